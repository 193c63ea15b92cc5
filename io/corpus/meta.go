package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
)

// The names of the files in a data directory.
const (
	TrainName = "train.u32"
	ValName   = "val.u32"
	MetaName  = "meta.json"
)

// metaVersion is the format that this package writes. chatVersion is that of conversations: readers of the first version
// would not see their marks.
const (
	metaVersion = 1
	chatVersion = 2
)

func (m Meta) version() int {
	if m.Train.MaskCRC32C != "" || m.Val.MaskCRC32C != "" {
		return chatVersion
	}
	return metaVersion
}

// Meta describes a data directory.
type Meta struct {
	FormatVersion int     `json:"format_version"`
	VocabSize     int     `json:"vocab_size"`
	EndOfText     uint32  `json:"end_of_text"` // the id between documents
	Tokenizer     string  `json:"tokenizer_sha256"`
	Document      Mode    `json:"document"`
	ValRatio      float64 `json:"val_ratio"`
	Dropout       float64 `json:"bpe_dropout,omitempty"` // share of merges left out of Train
	Copies        int     `json:"copies,omitempty"`      // how often Train has its text, in other tokens each time; 0 is once
	Train         Part    `json:"train"`
	Val           Part    `json:"val"`
}

// Part counts what is in one token file.
type Part struct {
	Documents int64 `json:"documents"`
	Tokens    int64 `json:"tokens"` // including the end-of-text ids
	Bytes     int64 `json:"bytes"`  // of text, for bits per byte
	// CRC32C is the checksum of the ids as little-endian uint32; "" in directories of earlier versions.
	CRC32C string `json:"crc32c,omitempty"`
	// MaskCRC32C is the checksum of the marks of conversations, one byte per token; "" if all tokens count.
	MaskCRC32C string `json:"mask_crc32c,omitempty"`
	Answers    int64  `json:"answers,omitempty"` // tokens of conversations that count
}

// OpenPart opens the token file of a part, and refuses one that differs from the description.
func OpenPart(path string, part Part) (*Tokens, error) {
	t, err := OpenTokens(path)
	if err != nil {
		return nil, err
	}
	err = t.matches(part)
	if err == nil && part.MaskCRC32C != "" {
		err = t.readMarks(path, part)
	}
	if err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Tokens) matches(part Part) error {
	if int64(t.Len()) != part.Tokens {
		return fmt.Errorf("corpus: %s: got %d tokens, want %d as %s says; the files do not belong together", t.name, t.Len(), part.Tokens, MetaName)
	}
	if part.CRC32C == "" {
		return nil
	}
	found, err := t.Fingerprint()
	if err == nil && found.CRC32C != part.CRC32C {
		err = fmt.Errorf("corpus: %s: got tokens with CRC-32C %s, want %s as %s says; the file has changed", t.name, found.CRC32C, part.CRC32C, MetaName)
	}
	return err
}

// TokenizerHash returns the identity of a tokenizer in [Meta]: the SHA-256 of its file, in hexadecimal.
func TokenizerHash(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])
}

// WriteMeta writes m to path, with the format version of this package.
func WriteMeta(path string, m Meta) error {
	text, err := m.encode()
	if err != nil {
		return fmt.Errorf("corpus: %s: %w", path, err)
	}
	if err := atomicfile.Write(path, text); err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}

func (m Meta) encode() (func(io.Writer) error, error) {
	m.FormatVersion = m.version()
	if err := m.check(); err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	return func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	}, err
}

// ReadMeta reads what [WriteMeta] wrote. It first completes what a killed writer of the directory had committed.
func ReadMeta(path string) (Meta, error) {
	if err := atomicfile.Recover(filepath.Dir(path)); err != nil {
		return Meta{}, fmt.Errorf("corpus: %w", err)
	}
	data, err := regular.ReadFile(path)
	if err != nil {
		return Meta{}, fmt.Errorf("corpus: %s: %w", path, cause(err))
	}
	m, err := parseMeta(data)
	if err != nil {
		return Meta{}, fmt.Errorf("corpus: %s: %w", path, err)
	}
	return m, nil
}

func parseMeta(data []byte) (Meta, error) {
	var m Meta
	if err := json.Unmarshal(data, &m); err != nil {
		return Meta{}, fmt.Errorf("not a description of token data: %w", err)
	}
	return m, m.check()
}

func (m Meta) check() error {
	if want := m.version(); m.FormatVersion != want {
		return fmt.Errorf("got format_version %d, want %d", m.FormatVersion, want)
	}
	if m.VocabSize <= 0 || int64(m.EndOfText) >= int64(m.VocabSize) {
		return fmt.Errorf("got vocab_size %d and end_of_text %d, want a vocab_size above 0 and an end_of_text below it", m.VocabSize, m.EndOfText)
	}
	if _, err := ParseMode(string(m.Document)); err != nil {
		return err
	}
	if !(m.ValRatio >= 0 && m.ValRatio <= 1) {
		return fmt.Errorf("got %g, want a val_ratio from 0 to 1", m.ValRatio)
	}
	if m.Copies < 0 || !(m.Dropout >= 0 && m.Dropout < 1) {
		return fmt.Errorf("got %d copies and a bpe_dropout of %g, want no negative number of copies and a share from 0 to below 1", m.Copies, m.Dropout)
	}
	for name, part := range map[string]Part{"train": m.Train, "val": m.Val} {
		if min(part.Documents, part.Tokens, part.Bytes, part.Answers) < 0 {
			return fmt.Errorf("%s: a negative count", name)
		}
	}
	return nil
}
