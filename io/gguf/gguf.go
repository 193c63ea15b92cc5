// Package gguf reads and writes GGUF, the one-file format of ggml and llama.cpp: typed metadata, a list of tensors, and
// their bytes.
//
// It is not for what the keys and tensors mean, and it reads no weights: package ggml does, from [Tensor.Matrix].
// Big-endian files, version 1 and arrays within arrays are refused by name. A model that is cut into several files is
// several files here.
//
// # Why
//
// Why a memory map? As for safetensors: a model starts without reading what it does not use. Keys and values are checked when
// the file is opened and made into Go values when they are asked for, so that what a file announces costs no memory. Tensor
// data live until [File.Close]; what the getters return is the caller's.
//
// Why is a file refused over a gap between two tensors? llama.cpp refuses it too, so no file in use has one, and the
// bytes a tensor takes tell apart layouts that share a type's number: see [Tensor.Layout].
package gguf

import (
	"fmt"

	"bitgpu/io/ggml"
	"bitgpu/io/internal/mapfile"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	alignmentKey     = "general.alignment"

	// maxEntries bounds what short keys or tensors can cost in Go values.
	maxEntries = 1 << 16
	maxName    = 1<<16 - 1 // bytes, by the format's specification for keys
	maxRank    = 4         // of ggml's tensors
)

// File is an open GGUF file.
type File struct {
	name      string // for messages
	version   uint32
	alignment int
	size      int64
	keys      []string // in the file's order
	values    map[string]Value
	tensors   []Tensor // by place in the file
	byName    map[string]int
	mapped    *mapfile.File // nil after Parse
}

// Tensor is a named array of weights.
type Tensor struct {
	Name string
	Type ggml.Type // as the file has it
	// Layout is how the bytes are to be read; zero for types that can only be listed. Type Q2_0 (42) has had three
	// layouts, of which the bytes up to the next tensor tell: blocks of 64 weights in llama.cpp, of 128 in files of
	// PrismML until July 2026 and in those of oxibonsai, which say so in their metadata.
	Layout ggml.Layout
	Shape  []int  // the outermost axis first, so that a matrix is (outputs, inputs); empty for one number
	Offset int64  // of the data in the file
	Data   []byte // the file's own bytes: not to be written to, and gone with [File.Close]
}

// Matrix is the tensor as rows of weights along its last axis.
func (t Tensor) Matrix() *ggml.Matrix {
	rows, cols := rowsAndCols(t.Shape)
	return &ggml.Matrix{Name: t.Name, Type: t.Type, Layout: t.Layout, Rows: rows, Cols: cols, Data: t.Data}
}

// rowsAndCols takes all axes but the last for rows.
func rowsAndCols(shape []int) (rows, cols int) {
	rows, cols = 1, 1
	for i, n := range shape {
		if i == len(shape)-1 {
			cols = n
		} else {
			rows *= n
		}
	}
	return rows, cols
}

// Open maps the file at path and checks all of it but the weights.
func Open(path string) (*File, error) {
	mapped, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := Parse(path, mapped.Data)
	if err != nil {
		mapped.Close()
		return nil, err
	}
	f.mapped = mapped
	return f, nil
}

// Parse takes data as a whole file; the tensors are views of it. The name is for messages.
func Parse(name string, data []byte) (*File, error) {
	f, err := parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", name, err)
	}
	return f, nil
}

// Close ends the file; the data of its tensors and its values are gone. After [Parse] it has nothing to do.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}

// Name is the file's path, or the name given to [Parse].
func (f *File) Name() string { return f.name }

// Version is that of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Alignment is the number that the places of tensors are multiples of, in bytes.
func (f *File) Alignment() int { return f.alignment }

// Size is the length of the whole file in bytes.
func (f *File) Size() int64 { return f.size }

// Keys lists the metadata in the file's order. They are not to be written to.
func (f *File) Keys() []string { return f.keys }

// Tensors lists the tensors by their place in the file. They are not to be written to.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Recognize says whether data begins as a GGUF file does.
func Recognize(data []byte) bool {
	return len(data) >= len(magic) && string(data[:len(magic)]) == magic
}
