package corpus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/internal/mapfile"
)

// Tokens is an open token file: raw little-endian ids, uint32 in .u32 files and uint16 in .u16 files, documents
// separated by the end-of-text id. It is mapped, not read; Close ends it.
type Tokens struct {
	name   string
	data   []byte
	width  int // bytes of an id
	mapped *mapfile.File
}

// OpenTokens opens the token file at path, whose name says the width of its ids.
func OpenTokens(path string) (*Tokens, error) {
	mapped, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	t, err := parseTokens(path, mapped.Data)
	if err != nil {
		mapped.Close()
		return nil, fmt.Errorf("corpus: %s: %w", path, err)
	}
	t.mapped = mapped
	return t, nil
}

func parseTokens(path string, data []byte) (*Tokens, error) {
	width, err := idWidth(path)
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, errors.New("an empty file; at least one token wanted")
	case len(data)%width != 0:
		return nil, fmt.Errorf("%d bytes found, a multiple of %d wanted", len(data), width)
	}
	return &Tokens{name: path, data: data, width: width}, nil
}

func idWidth(path string) (int, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".u32":
		return 4, nil
	case ".u16":
		return 2, nil
	}
	return 0, errors.New("a token file's name ends in .u32 or .u16, which says the width of its ids")
}

// Len is the number of tokens, at least one.
func (t *Tokens) Len() int { return len(t.data) / t.width }

// At is the id at position i, from 0.
func (t *Tokens) At(i int) uint32 {
	if t.width == 2 {
		return uint32(binary.LittleEndian.Uint16(t.data[2*i:]))
	}
	return binary.LittleEndian.Uint32(t.data[4*i:])
}

// CopyTo fills dst with the ids from position from on, and returns how many there were.
func (t *Tokens) CopyTo(dst []uint32, from int) int {
	n := max(0, min(len(dst), t.Len()-from))
	for i := range n {
		dst[i] = t.At(from + i)
	}
	return n
}

// Check reads all ids and refuses the first that a vocabulary of that size does not have.
func (t *Tokens) Check(vocabSize int) error {
	for i := range t.Len() {
		if id := t.At(i); uint64(id) >= uint64(vocabSize) {
			return fmt.Errorf("corpus: %s: token %d is %d, the vocabulary ends at %d", t.name, i, id, vocabSize-1)
		}
	}
	return nil
}

// Fingerprint tells one sequence of ids from another, whatever file it lies in and however wide its ids are there.
type Fingerprint struct {
	Tokens int64  `json:"tokens"`
	CRC32C string `json:"crc32c"` // of the ids as uint32, little-endian
}

// Fingerprint reads all ids.
func (t *Tokens) Fingerprint() Fingerprint {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	ids, bytes := make([]uint32, 1<<12), make([]byte, 0, 1<<14)
	for at := 0; at < t.Len(); at += len(ids) {
		bytes = bytes[:0]
		for _, id := range ids[:t.CopyTo(ids, at)] {
			bytes = binary.LittleEndian.AppendUint32(bytes, id)
		}
		sum.Write(bytes)
	}
	return Fingerprint{Tokens: int64(t.Len()), CRC32C: fmt.Sprintf("%08x", sum.Sum32())}
}

func (f Fingerprint) String() string {
	return fmt.Sprintf("%d tokens with CRC-32C %s", f.Tokens, f.CRC32C)
}

// Close ends the file.
func (t *Tokens) Close() error { return t.mapped.Close() }

// TokenWriter writes a token file as a stream. The file is there, whole, after Commit; until then an old one stays.
type TokenWriter struct {
	path    string
	file    *atomicfile.File
	w       *bufio.Writer
	width   int
	n       int64
	scratch []byte
}

// CreateTokens begins a token file at path, whose name says the width of its ids. Discard can be deferred.
func CreateTokens(path string) (*TokenWriter, error) {
	width, err := idWidth(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %s: %w", path, err)
	}
	file, err := atomicfile.Create(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	return &TokenWriter{path: path, file: file, w: bufio.NewWriterSize(file, 1<<18), width: width}, nil
}

// Append adds ids.
func (w *TokenWriter) Append(ids ...uint32) error {
	w.scratch = w.scratch[:0]
	for _, id := range ids {
		switch {
		case w.width == 4:
			w.scratch = binary.LittleEndian.AppendUint32(w.scratch, id)
		case id <= math.MaxUint16:
			w.scratch = binary.LittleEndian.AppendUint16(w.scratch, uint16(id))
		default:
			return fmt.Errorf("corpus: %s: token %d does not fit into 16 bits; a .u32 file holds it", w.path, id)
		}
	}
	if _, err := w.w.Write(w.scratch); err != nil {
		return fmt.Errorf("corpus: %s: %w", w.path, err)
	}
	w.n += int64(len(ids))
	return nil
}

// Len is the number of ids so far.
func (w *TokenWriter) Len() int64 { return w.n }

// Commit puts the file in its place.
func (w *TokenWriter) Commit() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("corpus: %s: %w", w.path, err)
	}
	if err := w.file.Commit(); err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}

// Discard ends the writing without a trace; after Commit it does nothing.
func (w *TokenWriter) Discard() { w.file.Discard() }
