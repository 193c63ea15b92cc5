// Package gguf reads and writes GGUF, the one-file format of ggml and llama.cpp: typed metadata, a list of tensors, and
// their bytes.
//
// The meaning of keys and tensors is not its business, and neither are weights: package ggml reads them, from
// [Tensor.Matrix]. Big-endian files, version 1 and arrays within arrays are refused by name. A model split into several files
// is several files here.
//
// # Why
//
// Why a memory map? As for safetensors: a model starts without reading what it does not use. Keys and values are checked when
// the file is opened but converted to Go values on demand, so that a file cannot take memory by announcing much. Tensor data
// are valid until [File.Close]; what the getters return belongs to the caller.
//
// Why is a file refused for a gap between two tensors? llama.cpp refuses it too, so no file in use has one, and the size of a
// tensor tells layouts apart that share a type's number: see [Tensor.Layout].
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

	// maxEntries limits what many short keys or tensors can take in Go values.
	maxEntries = 1 << 16
	maxName    = 1<<16 - 1 // bytes, the limit for keys in the format's specification
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
	tensors   []Tensor // in the order of their data
	byName    map[string]int
	mapped    *mapfile.File // nil after Parse
}

// Tensor is a named array of weights.
type Tensor struct {
	Name string
	Type ggml.Type // as in the file
	// Layout says how to read the bytes; it is zero for types that can only be listed. Type Q2_0 (42) has had three layouts,
	// which are told apart by the size of the tensor: blocks of 64 weights in llama.cpp, of 128 in PrismML's files until July
	// 2026 and in those of oxibonsai, which are recognised by their metadata.
	Layout ggml.Layout
	Shape  []int  // the outermost axis first, so a matrix is (outputs, inputs); empty for a single number
	Offset int64  // of the data in the file
	Data   []byte // part of the mapped file: read-only, and invalid after [File.Close]
}

// Matrix returns the tensor as rows of weights along its last axis.
func (t Tensor) Matrix() *ggml.Matrix {
	rows, cols := rowsAndCols(t.Shape)
	return &ggml.Matrix{Name: t.Name, Type: t.Type, Layout: t.Layout, Rows: rows, Cols: cols, Data: t.Data}
}

// rowsAndCols treats all axes but the last as rows.
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

// Open maps the file at path and checks all of it except the weights.
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

// Parse reads data as a whole file. The tensors are views of it. name is for messages.
func Parse(name string, data []byte) (*File, error) {
	f, err := parse(name, data)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", name, err)
	}
	return f, nil
}

// Close closes the file, and the data of its tensors and its values become invalid. After [Parse] it does nothing.
func (f *File) Close() error {
	if f.mapped == nil {
		return nil
	}
	return f.mapped.Close()
}

// Name returns the file's path, or the name given to [Parse].
func (f *File) Name() string { return f.name }

// Version returns the version of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Alignment returns the alignment of the tensors' data in bytes.
func (f *File) Alignment() int { return f.alignment }

// Size returns the size of the file in bytes.
func (f *File) Size() int64 { return f.size }

// Keys lists the metadata in the order of the file. The slice must not be modified.
func (f *File) Keys() []string { return f.keys }

// Tensors lists the tensors in the order of their data. The slice must not be modified.
func (f *File) Tensors() []Tensor { return f.tensors }

// Tensor finds a tensor by name.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.byName[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Recognize reports whether data begins like a GGUF file.
func Recognize(data []byte) bool {
	return len(data) >= len(magic) && string(data[:len(magic)]) == magic
}
