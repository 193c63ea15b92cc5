package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"

	"bitgpu/io/atomicfile"
	"bitgpu/io/ggml"
	"bitgpu/io/internal/clip"
)

// Key is an entry of the metadata to write. Value is a string, a bool, a number of 8 to 64 bits or a slice of these. An int
// is refused, because its size is not defined.
type Key struct {
	Name  string
	Value any
}

// Source is a tensor to write. Write is called once, when the tensor's turn comes, so that a model need not be in memory as a
// whole; it must write exactly as many bytes as type and shape take.
type Source struct {
	Name  string
	Type  ggml.Type
	Shape []int // the outermost axis first
	Write func(io.Writer) error
}

// Bytes returns a function that writes data.
func Bytes(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

// Write writes a file of version 3 with keys and tensors in the given order. Equal arguments give equal bytes.
func Write(w io.Writer, keys []Key, tensors []Source) error {
	h, err := encodeHeader(keys, tensors)
	if err == nil {
		err = h.write(w)
	}
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// WriteFile replaces the file at path as a whole; after an error the old file is still there.
func WriteFile(path string, keys []Key, tensors []Source) error {
	h, err := encodeHeader(keys, tensors)
	if err != nil {
		return fmt.Errorf("gguf: %s: %w", path, err)
	}
	if err := atomicfile.Write(path, h.write); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// header is the beginning of a file, padded, and the data that follow.
type header struct {
	text      []byte
	tensors   []Source
	sizes     []int
	alignment int
}

func (h *header) write(w io.Writer) error {
	if _, err := w.Write(h.text); err != nil {
		return err
	}
	for i, t := range h.tensors {
		counted := &counter{w: w, left: h.sizes[i]}
		if err := t.Write(counted); err != nil {
			return fmt.Errorf("tensor %s: %w", clip.Name(t.Name), err)
		}
		if counted.left > 0 {
			return fmt.Errorf("tensor %s: %d bytes written, want %d", clip.Name(t.Name), h.sizes[i]-counted.left, h.sizes[i])
		}
		if _, err := w.Write(make([]byte, pad(h.sizes[i], h.alignment)-h.sizes[i])); err != nil {
			return err
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
		return 0, fmt.Errorf("more bytes written than its type and shape take")
	}
	n, err := c.w.Write(data)
	c.left -= n
	return n, err
}

func encodeHeader(keys []Key, tensors []Source) (*header, error) {
	h := &header{tensors: tensors, alignment: defaultAlignment}
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(keys)))
	for _, k := range keys {
		b = appendText(b, k.Name)
		var err error
		if b, err = appendValue(b, k.Value); err != nil {
			return nil, fmt.Errorf("key %s: %w", clip.Name(k.Name), err)
		}
		if n, ok := k.Value.(uint32); ok && k.Name == alignmentKey && n > 0 && n <= 1<<30 {
			h.alignment = int(n)
		}
	}
	offset := 0
	for _, t := range tensors {
		rows, cols := rowsAndCols(t.Shape)
		size, err := t.Type.Bytes(rows, cols)
		if err == nil && (slices.ContainsFunc(t.Shape, func(n int) bool { return n < 1 }) || offset > math.MaxInt/4) {
			err = errors.New("has an axis below 1, or no place in the file")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %s: %w", clip.Name(t.Name), err)
		}
		b = appendText(b, t.Name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Shape)))
		for _, n := range slices.Backward(t.Shape) {
			b = binary.LittleEndian.AppendUint64(b, uint64(n))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
		b = binary.LittleEndian.AppendUint64(b, uint64(offset))
		h.sizes = append(h.sizes, size)
		offset += pad(size, h.alignment)
	}
	// Let the reader check the header.
	if _, _, err := parseHeader("", b); err != nil {
		return nil, err
	}
	h.text = append(b, make([]byte, pad(len(b), h.alignment)-len(b))...)
	return h, nil
}

func appendText(b []byte, text string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(text))), text...)
}

// typeOf maps Go's types to the format's.
var typeOf = map[reflect.Kind]ValueType{
	reflect.Uint8: Uint8, reflect.Int8: Int8, reflect.Uint16: Uint16, reflect.Int16: Int16, reflect.Uint32: Uint32, reflect.Int32: Int32,
	reflect.Uint64: Uint64, reflect.Int64: Int64, reflect.Float32: Float32, reflect.Float64: Float64, reflect.Bool: Bool, reflect.String: String,
}

// appendValue appends type and value.
func appendValue(b []byte, value any) ([]byte, error) {
	t := reflect.TypeOf(value)
	if t == nil {
		return nil, errors.New("no value, want a string, a bool, a number or a slice of these")
	}
	array := t.Kind() == reflect.Slice
	if array {
		t = t.Elem()
	}
	typ, ok := typeOf[t.Kind()]
	if !ok {
		return nil, fmt.Errorf("a value of type %T, want a string, a bool, a number of 8 to 64 bits or a slice of these", value)
	}
	v := reflect.ValueOf(value)
	if array {
		b = binary.LittleEndian.AppendUint32(b, uint32(Array))
		b = binary.LittleEndian.AppendUint32(b, uint32(typ))
		b = binary.LittleEndian.AppendUint64(b, uint64(v.Len()))
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(typ))
	}
	switch {
	case typ != String:
		var out bytes.Buffer
		err := binary.Write(&out, binary.LittleEndian, value)
		return append(b, out.Bytes()...), err
	case !array:
		return appendText(b, v.String()), nil
	}
	for i := range v.Len() {
		b = appendText(b, v.Index(i).String())
	}
	return b, nil
}
