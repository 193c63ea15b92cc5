package gguf

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"bitgpu/io/ggml"
	"bitgpu/io/internal/clip"
	"bitgpu/io/safetensors"
)

// cursor reads a file from front to back.
type cursor struct {
	data []byte
	at   int
}

var errShort = errors.New("the file ends too early")

func (c *cursor) left() int { return len(c.data) - c.at }

func (c *cursor) take(n uint64) ([]byte, error) {
	if n > uint64(c.left()) {
		return nil, fmt.Errorf("%w: got %d bytes from byte %d on, want %d", errShort, c.left(), c.at, n)
	}
	part := c.data[c.at : c.at+int(n)]
	c.at += int(n)
	return part, nil
}

func (c *cursor) uint32() (uint32, error) {
	b, err := c.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64() (uint64, error) {
	b, err := c.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (c *cursor) bytes() ([]byte, error) {
	n, err := c.uint64()
	if err != nil {
		return nil, err
	}
	return c.take(n)
}

// name reads the name of a key or a tensor.
func (c *cursor) name() (string, error) {
	text, err := c.bytes()
	switch {
	case err != nil:
		return "", err
	case len(text) == 0 || len(text) > maxName:
		return "", fmt.Errorf("a name of %d bytes, want from 1 to %d", len(text), maxName)
	case !utf8.Valid(text):
		return "", fmt.Errorf("the name %s is not UTF-8", clip.Name(string(text)))
	}
	return string(text), nil
}

// count converts n, the number of things that follow, and checks that so many of at least size bytes fit into the file.
func (c *cursor) count(n uint64, size int, things string) (int, error) {
	if n > maxEntries {
		return 0, fmt.Errorf("%d %s announced, want at most %d", n, things, maxEntries)
	}
	if int(n) > c.left()/size {
		return 0, fmt.Errorf("%w: %d %s announced, %d bytes are left", errShort, n, things, c.left())
	}
	return int(n), nil
}

func parse(name string, data []byte) (*File, error) {
	f, body, err := parseHeader(name, data)
	if err != nil {
		return nil, err
	}
	return f, f.place(data, body)
}

// parseHeader reads everything before the data. body is where the data begin, possibly past the end of the file.
func parseHeader(name string, data []byte) (f *File, body int, err error) {
	if !Recognize(data) {
		return nil, 0, fmt.Errorf("begins with %q, want %q", data[:min(len(data), len(magic))], magic)
	}
	c := &cursor{data, len(magic)}
	f = &File{name: name, size: int64(len(data)), values: map[string]Value{}, byName: map[string]int{}}
	if f.version, err = c.uint32(); err != nil {
		return nil, 0, err
	}
	switch {
	case f.version&0xFFFF == 0 && f.version != 0:
		return nil, 0, fmt.Errorf("is a big-endian file of version %d, want a little-endian one", f.version>>24)
	case f.version == 1:
		return nil, 0, errors.New("has version 1, which nothing has written since 2023, want 2 or 3")
	case f.version != 2 && f.version != 3:
		return nil, 0, fmt.Errorf("has version %d, want 2 or 3", f.version)
	}
	tensors, err := c.uint64()
	if err != nil {
		return nil, 0, err
	}
	keys, err := c.uint64()
	if err != nil {
		return nil, 0, err
	}
	if err := f.readKeys(c, keys); err != nil {
		return nil, 0, err
	}
	if err := f.readAlignment(); err != nil {
		return nil, 0, err
	}
	if err := f.readTensors(c, tensors); err != nil {
		return nil, 0, err
	}
	return f, pad(c.at, f.alignment), nil
}

func (f *File) readKeys(c *cursor, n uint64) error {
	count, err := c.count(n, 8+1+4+1, "keys") // length, name, type and value
	if err != nil {
		return err
	}
	for range count {
		key, err := c.name()
		if err != nil {
			return fmt.Errorf("key %d: %w", len(f.keys), err)
		}
		if _, twice := f.values[key]; twice {
			return fmt.Errorf("key %s is there twice", clip.Name(key))
		}
		typ, err := c.uint32()
		if err == nil {
			f.values[key], err = c.value(ValueType(typ))
		}
		if err != nil {
			return fmt.Errorf("key %s: %w", clip.Name(key), err)
		}
		f.keys = append(f.keys, key)
	}
	return nil
}

// value reads a value of type t without copying it.
func (c *cursor) value(t ValueType) (v Value, err error) {
	switch {
	case t == String:
		v.data, err = c.bytes()
		return Value{Type: t, Len: 1, data: v.data}, err
	case t != Array:
		size := t.size()
		if size == 0 {
			return v, fmt.Errorf("has a value of type %d, want one from 0 to 12", uint32(t))
		}
		v.data, err = c.take(uint64(size))
		return Value{Type: t, Len: 1, data: v.data}, err
	}
	elem, err := c.uint32()
	if err != nil {
		return v, err
	}
	n, err := c.uint64()
	if err != nil {
		return v, err
	}
	v = Value{Type: Array, Elem: ValueType(elem)}
	size := v.Elem.size()
	switch {
	case v.Elem == Array:
		return v, errors.New("is an array of arrays, which no known model has: not supported")
	case v.Elem == String:
		size = 8
	case size == 0:
		return v, fmt.Errorf("is an array of type %d, want one from 0 to 12", elem)
	}
	if n > uint64(c.left()/size) {
		return v, fmt.Errorf("%w: an array of %d values of the type %v announced, %d bytes are left", errShort, n, v.Elem, c.left())
	}
	v.Len = int(n)
	if v.Elem != String {
		v.data, err = c.take(n * uint64(size))
		return v, err
	}
	start := c.at
	for i := range v.Len {
		if _, err := c.bytes(); err != nil {
			return v, fmt.Errorf("element %d: %w", i, err)
		}
	}
	v.data = c.data[start:c.at]
	return v, nil
}

func (f *File) readAlignment() error {
	f.alignment = defaultAlignment
	v, ok := f.values[alignmentKey]
	if !ok {
		return nil
	}
	if v.Type != Uint32 {
		return fmt.Errorf("key %s is %v, want %v", alignmentKey, v.describe(), Uint32)
	}
	n := binary.LittleEndian.Uint32(v.data)
	if n == 0 || n&(n-1) != 0 || n > 1<<30 {
		return fmt.Errorf("key %s is %d, want a power of two up to 2³⁰", alignmentKey, n)
	}
	f.alignment = int(n)
	return nil
}

func (f *File) readTensors(c *cursor, n uint64) error {
	count, err := c.count(n, 8+1+4+4+8, "tensors") // length, name, rank, type and offset
	if err != nil {
		return err
	}
	for range count {
		t, err := f.readTensor(c)
		if err != nil {
			if t.Name == "" {
				return fmt.Errorf("tensor %d: %w", len(f.tensors), err)
			}
			return fmt.Errorf("tensor %s: %w", clip.Name(t.Name), err)
		}
		f.byName[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	return nil
}

func (f *File) readTensor(c *cursor) (t Tensor, err error) {
	if t.Name, err = c.name(); err != nil {
		return t, err
	}
	if _, twice := f.byName[t.Name]; twice {
		return t, errors.New("is there twice")
	}
	rank, err := c.uint32()
	if err != nil {
		return t, err
	}
	if rank > maxRank {
		return t, fmt.Errorf("has %d axes, want at most %d", rank, maxRank)
	}
	t.Shape = make([]int, rank)
	elements := uint64(1)
	for i := range t.Shape {
		n, err := c.uint64()
		if err != nil {
			return t, err
		}
		if n == 0 || n > math.MaxInt/elements {
			return t, fmt.Errorf("has an axis of %d, want from 1 to what can be addressed", n)
		}
		elements *= n
		t.Shape[int(rank)-1-i] = int(n)
	}
	typ, err := c.uint32()
	if err != nil {
		return t, err
	}
	t.Type = ggml.Type(typ)
	t.Layout = t.Type.Layout()
	if (typ == 38 || typ == 39) && bytes.HasPrefix(f.values["general.architecture"].data, []byte("bitnet")) {
		return t, fmt.Errorf("has type %d, bitnet.cpp's TL%d, which is made for one kind of processor: not supported, take the I2_S file of the model", typ, typ-37)
	}
	if !t.Type.Known() {
		return t, fmt.Errorf("has type %d, which is not known", typ)
	}
	offset, err := c.uint64()
	if err != nil {
		return t, err
	}
	if offset%uint64(f.alignment) != 0 || offset > math.MaxInt64/2 {
		return t, fmt.Errorf("begins at byte %d of the data, want a multiple of %d below 2⁶²", offset, f.alignment)
	}
	t.Offset = int64(offset)
	return t, nil
}

// pad rounds n up to a multiple of alignment, a power of two.
func pad(n, alignment int) int { return (n + alignment - 1) &^ (alignment - 1) }

// place gives each tensor its data, and requires that there are no gaps other than padding.
func (f *File) place(data []byte, start int) error {
	if len(f.tensors) == 0 {
		return nil
	}
	if start > len(data) {
		return fmt.Errorf("%w: the data begin at byte %d of %d", errShort, start, len(data))
	}
	body := data[start:]
	slices.SortStableFunc(f.tensors, func(a, b Tensor) int { return cmp.Compare(a.Offset, b.Offset) })
	if err := f.resolve(len(body)); err != nil {
		return err
	}
	at, end := 0, 0
	for i := range f.tensors {
		t := &f.tensors[i]
		f.byName[t.Name] = i
		size, err := t.bytes()
		if err != nil {
			return fmt.Errorf("tensor %s: %w", clip.Name(t.Name), err)
		}
		if t.Offset > int64(len(body)) || size > len(body)-int(t.Offset) {
			return fmt.Errorf("%w: tensor %s takes %d bytes from byte %d of the data on, which have %d", errShort, clip.Name(t.Name), size, t.Offset, len(body))
		}
		offset := int(t.Offset)
		switch {
		case offset < end:
			return fmt.Errorf("tensor %s begins at byte %d of the data, inside %s, which ends at %d", clip.Name(t.Name), offset, clip.Name(f.tensors[i-1].Name), end)
		case offset != at:
			return fmt.Errorf("tensor %s begins at byte %d of the data, want %d, where what is before it ends", clip.Name(t.Name), offset, at)
		}
		t.Data = body[offset : offset+size : offset+size]
		t.Offset += int64(start)
		end = offset + size
		at = pad(end, f.alignment)
	}
	if len(body) > at {
		return fmt.Errorf("%d bytes follow the last tensor, %s", len(body)-end, clip.Name(f.tensors[len(f.tensors)-1].Name))
	}
	return nil
}

// bytes returns the size of the tensor by its layout, or by its type if it can only be listed.
func (t *Tensor) bytes() (int, error) {
	rows, cols := rowsAndCols(t.Shape)
	if t.Layout != 0 {
		return t.Layout.Bytes(rows, cols)
	}
	return t.Type.Bytes(rows, cols)
}

// resolve finds out which layout the number 42 means in this file, whose tensors are in the order of their data.
func (f *File) resolve(size int) error {
	legacy := ggml.LayoutPQ2_0
	if text, err := f.Text("general.quantization_version"); err == nil && text == "TQ2_0_G128" {
		legacy = ggml.LayoutTQ2_0G128
	}
	for _, layout := range []ggml.Layout{ggml.LayoutQ2_0, legacy} {
		misfit := -1 // a tensor whose size does not match the layout
		for i := range f.tensors {
			t := &f.tensors[i]
			if t.Type != ggml.Q2_0 {
				continue
			}
			t.Layout = layout
			want, err := t.bytes()
			last := i == len(f.tensors)-1
			room := int64(size) - t.Offset
			if !last {
				room = f.tensors[i+1].Offset - t.Offset
			}
			if fits := err == nil && int64(want) <= room && room <= int64(pad(want, f.alignment)); !fits {
				misfit = i
				break
			}
		}
		if misfit < 0 {
			return nil
		}
		if layout == legacy {
			t := f.tensors[misfit]
			return fmt.Errorf("tensor %s of type 42 and shape %s does not fill the bytes up to the next one, with 18 for 64 weights (Q2_0) or 34 for 128 (PrismML's older files)", clip.Name(t.Name), safetensors.FormatShape(t.Shape))
		}
	}
	return nil
}
