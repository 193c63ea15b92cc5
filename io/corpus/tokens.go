package corpus

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
	"path/filepath"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
)

// Tokens is an open token file: raw little-endian ids, uint32 in .u32 files and uint16 in .u16 files, with documents
// separated by the end-of-text id. Close closes it.
//
// Ids are read on demand and not mapped: if another program truncates the file, that is an error, where a map would crash the
// process.
type Tokens struct {
	name  string
	data  io.ReaderAt
	file  io.Closer // nil after parseTokens
	size  int64     // bytes
	width int       // bytes per id
	marks []byte    // of conversations, one per token; otherwise nil
}

// OpenTokens opens the token file at path, whose extension gives the width of ids.
func OpenTokens(path string) (*Tokens, error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %s: %w", path, cause(err))
	}
	info, err := file.Stat()
	var t *Tokens
	if err == nil {
		t, err = parseTokens(path, file, info.Size())
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("corpus: %s: %w", path, cause(err))
	}
	t.file = file
	return t, nil
}

func parseTokens(path string, data io.ReaderAt, size int64) (*Tokens, error) {
	width, err := idWidth(path)
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, errors.New("an empty file, want at least one token")
	case size%int64(width) != 0:
		return nil, fmt.Errorf("got %d bytes, want a multiple of %d", size, width)
	case size/int64(width) > math.MaxInt:
		return nil, fmt.Errorf("%d bytes are more than this machine can address", size)
	}
	return &Tokens{name: path, data: data, size: size, width: width}, nil
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

// Len returns the number of tokens, at least one.
func (t *Tokens) Len() int { return int(t.size / int64(t.width)) }

// CopyTo fills dst with ids starting at position from, and returns how many there were. Fewer than [Tokens.Len] promises are
// an error: the file has been truncated since.
func (t *Tokens) CopyTo(dst []uint32, from int) (int, error) {
	n := max(0, min(len(dst), t.Len()-from))
	bytes := make([]byte, min(n*t.width, 1<<16))
	for done := 0; done < n; {
		some := min(n-done, len(bytes)/t.width)
		piece := bytes[:some*t.width]
		if read, err := t.data.ReadAt(piece, int64(from+done)*int64(t.width)); read < len(piece) {
			if errors.Is(err, io.EOF) {
				err = fmt.Errorf("got an end before token %d, want %d tokens: the file was cut while it was read", from+done+some, t.Len())
			}
			return 0, fmt.Errorf("corpus: %s: %w", t.name, cause(err))
		}
		for i := range some {
			if t.width == 2 {
				dst[done+i] = uint32(binary.LittleEndian.Uint16(piece[2*i:]))
			} else {
				dst[done+i] = binary.LittleEndian.Uint32(piece[4*i:])
			}
		}
		done += some
	}
	return n, nil
}

// All yields the ids piece by piece, each with the position of its first. An error is the last thing yielded.
func (t *Tokens) All() iter.Seq2[[]uint32, error] {
	return func(yield func([]uint32, error) bool) {
		ids := make([]uint32, 1<<14)
		for at := 0; at < t.Len(); at += len(ids) {
			n, err := t.CopyTo(ids, at)
			if !yield(ids[:n], err) || err != nil {
				return
			}
		}
	}
}

// Check reads all ids and refuses the first that is outside of a vocabulary of that size.
func (t *Tokens) Check(vocabSize int) error {
	at := 0
	for ids, err := range t.All() {
		if err != nil {
			return err
		}
		for i, id := range ids {
			if uint64(id) >= uint64(vocabSize) {
				return fmt.Errorf("corpus: %s: token %d is %d, the vocabulary ends at %d", t.name, at+i, id, vocabSize-1)
			}
		}
		at += len(ids)
	}
	return nil
}

// Fingerprint identifies a sequence of ids, whatever file holds it and however wide its ids are.
type Fingerprint struct {
	Tokens int64  `json:"tokens"`
	CRC32C string `json:"crc32c"` // of the ids as little-endian uint32
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// addIDs continues a checksum with ids.
func addIDs(sum uint32, ids []uint32, scratch []byte) (uint32, []byte) {
	scratch = scratch[:0]
	for _, id := range ids {
		scratch = binary.LittleEndian.AppendUint32(scratch, id)
	}
	return crc32.Update(sum, castagnoli, scratch), scratch
}

func formatSum(sum uint32) string { return fmt.Sprintf("%08x", sum) }

// Fingerprint reads all ids.
func (t *Tokens) Fingerprint() (Fingerprint, error) {
	var sum uint32
	var scratch []byte
	for ids, err := range t.All() {
		if err != nil {
			return Fingerprint{}, err
		}
		sum, scratch = addIDs(sum, ids, scratch)
	}
	if t.marks != nil { // with other answers it is another training
		sum = crc32.Update(sum, castagnoli, t.marks)
	}
	return Fingerprint{Tokens: int64(t.Len()), CRC32C: formatSum(sum)}, nil
}

func (f Fingerprint) String() string {
	return fmt.Sprintf("%d tokens with CRC-32C %s", f.Tokens, f.CRC32C)
}

// Close closes the file.
func (t *Tokens) Close() error { return t.file.Close() }

// TokenWriter writes a token file as a stream. The file is in place after Commit; until then an old one stays.
type TokenWriter struct {
	path    string
	file    *atomicfile.File
	w       *bufio.Writer
	width   int
	n       int64
	sum     uint32 // CRC-32C of the ids as uint32
	scratch []byte
}

// CreateTokens begins a token file at path, whose extension gives the width of ids. Discard can be deferred.
func CreateTokens(path string) (*TokenWriter, error) {
	width, err := idWidth(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %s: %w", path, err)
	}
	file, err := atomicfile.Create(path)
	return newTokenWriter(path, width, file, err)
}

func newTokenWriter(path string, width int, file *atomicfile.File, err error) (*TokenWriter, error) {
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	return &TokenWriter{path: path, file: file, w: bufio.NewWriterSize(file, 1<<18), width: width}, nil
}

// Append appends ids.
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
	w.sum, w.scratch = addIDs(w.sum, ids, w.scratch)
	return nil
}

// Fingerprint returns that of the ids so far.
func (w *TokenWriter) Fingerprint() Fingerprint { return Fingerprint{w.n, formatSum(w.sum)} }

// Commit puts the file in place.
func (w *TokenWriter) Commit() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("corpus: %s: %w", w.path, err)
	}
	if err := w.file.Commit(); err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}

// Discard drops the file; after Commit it does nothing.
func (w *TokenWriter) Discard() { w.file.Discard() }
