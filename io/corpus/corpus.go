// Package corpus has everything between text files and a training step: documents read from files, their split into training
// and validation, token files, and the order in which training takes windows from them.
//
// Turning text into tokens is the tokenizer's work, and nothing here computes.
//
// # Why
//
// Why do documents keep their line breaks? Text is cut into documents but never trimmed: in line and block mode the documents
// of a text file, joined together, are the file again. So no text is lost, bytes can be counted for bits per byte, and a
// model learns natural text: a line ends with its newline, a block with its blank lines, and then comes the end-of-text
// token.
//
// Why is the split a hash of the document? A hash needs no order, no count and no state: a document falls on the same side in
// every run, on every machine, whatever else is in the input, and a document that occurs twice is never on both sides.
//
// Why is a position enough to resume? The window at position p is computed from (seed, p) alone: instead of a shuffled list
// of all windows there is a permutation that can be evaluated at one point. Rows of repeated passages are computed from the
// same two numbers, and count as the windows that they replace.
package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Mode is how a text file is cut into documents.
type Mode string

// The modes. In .jsonl files every record is a document, whatever the mode.
const (
	// Line makes every line a document, with its newline and the blank lines after it.
	Line Mode = "line"
	// Block makes the lines up to a blank one a document, with the blank lines after them.
	Block Mode = "block"
	// Whole makes every file a document.
	Whole Mode = "file"
)

// ParseMode returns the mode with a name.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case Line, Block, Whole:
		return m, nil
	}
	return "", fmt.Errorf("corpus: documents: got %q, want line, block or file", name)
}

// MaxDocument is the longest document in bytes. It limits the memory that a malicious compressed file can take.
const MaxDocument = 128 << 20

// MaxRecord is the longest record returned whole, in bytes. It is less because rendering a conversation takes many times its
// size.
const MaxRecord = 16 << 20

// InValidation reports whether a document belongs to the validation part if that gets the given share of all documents, 0 to
// 1. A document that is in for one share is in for every larger one.
func InValidation(doc string, ratio float64) bool {
	sum := sha256.Sum256([]byte(doc))
	// The first 53 bits as a fraction in [0, 1), which a float64 holds exactly.
	return float64(binary.BigEndian.Uint64(sum[:])>>11)/(1<<53) < ratio
}
