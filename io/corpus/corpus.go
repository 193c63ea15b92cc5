// Package corpus is what lies between text files and a training step: documents read from files, their split into
// training and validation, token files, and the order in which a training run takes windows from them.
//
// It is not for turning text into tokens, which is the tokenizer's work, nor for anything that computes.
//
// # Why
//
// Why do documents keep their line breaks? Documents are cut, never trimmed: in line and block mode the documents of
// a text file, joined together, are the file again. So no text is lost, bytes can be counted for bits per byte, and a
// model learns natural text: a line ends with its newline, a block with its blank lines, and then comes the
// end-of-text token.
//
// Why is the split a hash of the document? It needs no order, no count and no state: the same document falls on the
// same side in every run, on every machine, whatever else is in the input, and a document that occurs twice is never
// in both.
//
// Why does a position suffice to resume? The window at position p is computed from (seed, p) alone: a permutation
// that can be evaluated at one point replaces the shuffled list of all windows. Rows of passages that are read again are
// computed from the same two numbers, and count as the window in whose place they stand.
package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Mode is how a text file is cut into documents.
type Mode string

// The modes. In .jsonl files a document is a record, whatever the mode.
const (
	// Line makes each line a document, with its newline and the blank lines after it.
	Line Mode = "line"
	// Block makes lines up to a blank one a document, with the blank lines after them.
	Block Mode = "block"
	// Whole makes each file a document.
	Whole Mode = "file"
)

// ParseMode is the mode of that name.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case Line, Block, Whole:
		return m, nil
	}
	return "", fmt.Errorf("corpus: documents: got %q, want line, block or file", name)
}

// MaxDocument is the longest document in bytes; it bounds what a hostile compressed file can take in memory.
const MaxDocument = 128 << 20

// MaxRecord is the longest record that is given whole, in bytes: a conversation takes many times as much while it is rendered.
const MaxRecord = 16 << 20

// InValidation says whether a document belongs to the validation part when that is to be the given share of all
// documents, 0 to 1. A document that is in at one ratio is in at every larger one.
func InValidation(doc string, ratio float64) bool {
	sum := sha256.Sum256([]byte(doc))
	// The first 53 bits as a fraction from 0 to below 1, which a float64 holds exactly.
	return float64(binary.BigEndian.Uint64(sum[:])>>11)/(1<<53) < ratio
}
