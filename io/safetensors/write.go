package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"bitgpu/io/atomicfile"
	"bitgpu/io/internal/clip"
)

// Source is a tensor to write. Write is called once, when the tensor's turn comes, so that a model need not be in memory as a
// whole; it must write exactly as many bytes as type and shape take.
type Source struct {
	Name  string
	DType DType
	Shape []int
	Write func(io.Writer) error

	size  int
	given bool // the data exist already, and size is their length
}

// Write writes a file. Equal tensors and metadata give equal bytes. Tensors of wider types come first, otherwise they keep
// their order, so that each is aligned to its type; the data begin at a multiple of 64 bytes.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	return WriteSources(w, sources(tensors), metadata)
}

// WriteSources is Write for tensors that are produced as they are written.
func WriteSources(w io.Writer, tensors []Source, metadata map[string]string) error {
	header, ordered, err := encodeHeader(tensors, metadata)
	if err == nil {
		err = write(w, header, ordered)
	}
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// WriteFile replaces the file at path as a whole; after an error the old file is still there.
func WriteFile(path string, tensors []Tensor, metadata map[string]string) error {
	header, ordered, err := encodeHeader(sources(tensors), metadata)
	if err != nil {
		return fmt.Errorf("safetensors: %s: %w", path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error { return write(w, header, ordered) })
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}

// sources returns sources that write existing tensors.
func sources(tensors []Tensor) []Source {
	all := make([]Source, len(tensors))
	for i, t := range tensors {
		all[i] = Source{t.Name, t.DType, t.Shape, func(w io.Writer) error { _, err := w.Write(t.Data); return err }, len(t.Data), true}
	}
	return all
}

func write(w io.Writer, header []byte, ordered []Source) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, t := range ordered {
		counted := &counter{w: w, left: t.size}
		if err := t.Write(counted); err != nil {
			return err
		}
		if counted.left > 0 {
			return fmt.Errorf("%s: got %d bytes, want %d", clip.Name(t.Name), t.size-counted.left, t.size)
		}
	}
	return nil
}

// counter passes on no more than left bytes.
type counter struct {
	w    io.Writer
	left int
}

func (c *counter) Write(data []byte) (int, error) {
	if len(data) > c.left {
		return 0, errors.New("more bytes written than type and shape take")
	}
	n, err := c.w.Write(data)
	c.left -= n
	return n, err
}

// encodeHeader returns the length, the header and its padding, and the tensors in the order of their data.
func encodeHeader(tensors []Source, metadata map[string]string) ([]byte, []Source, error) {
	ordered := slices.Clone(tensors)
	slices.SortStableFunc(ordered, func(a, b Source) int { return cmp.Compare(b.DType.Size(), a.DType.Size()) })

	header := bytes.NewBuffer(make([]byte, 8, 8+128*len(tensors)))
	header.WriteByte('{')
	if len(metadata) > 0 {
		text, err := json.Marshal(metadata)
		if err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(header, "%q:%s", metadataName, text)
	}
	seen := map[string]bool{metadataName: true}
	at := 0
	for i := range ordered {
		t := &ordered[i]
		if err := t.check(seen); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", clip.Name(t.Name), err)
		}
		text, err := json.Marshal(struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int{at, at + t.size}})
		if err != nil {
			return nil, nil, err
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, nil, err
		}
		if len(name) > maxName {
			return nil, nil, fmt.Errorf("%s: got a name of %d bytes, want at most %d", clip.Name(t.Name), len(name), maxName)
		}
		if header.Len() > len(`12345678{`) {
			header.WriteByte(',')
		}
		fmt.Fprintf(header, "%s:%s", name, text)
		at += t.size
	}
	header.WriteByte('}')
	for header.Len()%dataAlign != 0 {
		header.WriteByte(' ')
	}
	if header.Len()-8 > maxHeader {
		return nil, nil, fmt.Errorf("got a header of %d bytes, want at most %d", header.Len()-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(header.Bytes(), uint64(header.Len()-8))
	return header.Bytes(), ordered, nil
}

// check refuses a tensor that no reader would accept, and records its name in seen.
func (t *Source) check(seen map[string]bool) error {
	if seen[t.Name] {
		return errors.New("this name is taken")
	}
	seen[t.Name] = true
	if bits[t.DType] == 0 {
		return unknownType(string(t.DType))
	}
	if !utf8.ValidString(t.Name) {
		return errors.New("the name is not valid UTF-8")
	}
	if len(t.Shape) > maxRank {
		return fmt.Errorf("got %d axes, want at most %d", len(t.Shape), maxRank)
	}
	size, err := byteSize(t.DType, t.Shape)
	if err != nil {
		return err
	}
	if !t.given {
		t.size = size
	}
	if size != t.size {
		return fmt.Errorf("got %d bytes, want %d for shape %s of %s", t.size, size, FormatShape(t.Shape), t.DType)
	}
	return nil
}
