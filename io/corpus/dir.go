package corpus

import (
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"bitgpu/io/atomicfile"
)

// DirWriter writes a data directory, whose files are replaced together or not at all. Append to Train and Val, then call
// Commit; Discard can be deferred.
type DirWriter struct {
	Train, Val *TokenWriter
	// TrainMarks and ValMarks are the marks of all tokens of conversations; nil for other text.
	TrainMarks, ValMarks []byte
	dir                  string
	set                  *atomicfile.Set
}

// CreateDir begins a data directory, which it creates if necessary.
func CreateDir(dir string) (*DirWriter, error) {
	set, err := atomicfile.CreateSet(dir)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	w := &DirWriter{dir: dir, set: set}
	for name, part := range map[string]**TokenWriter{TrainName: &w.Train, ValName: &w.Val} {
		file, err := set.Create(name)
		if *part, err = newTokenWriter(filepath.Join(dir, name), 4, file, err); err != nil {
			w.Discard()
			return nil, err
		}
	}
	return w, nil
}

// Commit puts the token files, their marks, the tokenizer under its name, and the description in place.
func (w *DirWriter) Commit(m Meta, tokenizerName string, tokenizer []byte) error {
	m.Train.CRC32C, m.Val.CRC32C = w.Train.Fingerprint().CRC32C, w.Val.Fingerprint().CRC32C
	var gone []string
	for _, of := range []struct {
		name  string
		marks []byte
		part  *Part
	}{{TrainName, w.TrainMarks, &m.Train}, {ValName, w.ValMarks, &m.Val}} {
		name := maskName(of.name)
		if of.marks == nil {
			if _, err := os.Stat(filepath.Join(w.dir, name)); err == nil {
				gone = append(gone, name)
			}
			continue
		}
		of.part.MaskCRC32C = formatSum(crc32.Checksum(of.marks, castagnoli))
		if err := w.set.Write(name, func(out io.Writer) error {
			_, err := out.Write(of.marks)
			return err
		}); err != nil {
			return fmt.Errorf("corpus: %w", err)
		}
	}
	meta, err := m.encode()
	if err != nil {
		return fmt.Errorf("corpus: %s: %w", filepath.Join(w.dir, MetaName), err)
	}
	for _, part := range []*TokenWriter{w.Train, w.Val} {
		if err := part.Commit(); err != nil {
			return err
		}
	}
	err = w.set.Write(tokenizerName, func(out io.Writer) error {
		_, err := out.Write(tokenizer)
		return err
	})
	if err == nil {
		err = w.set.Write(MetaName, meta)
	}
	if err == nil {
		err = w.set.Commit(gone...)
	}
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}

// Discard leaves the directory as it was; after Commit it does nothing.
func (w *DirWriter) Discard() {
	for _, part := range []*TokenWriter{w.Train, w.Val} {
		if part != nil {
			part.Discard()
		}
	}
	w.set.Discard()
}
