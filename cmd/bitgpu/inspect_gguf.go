package main

import (
	"io"
	"os"
	"strconv"
	"strings"

	"bitgpu/io/gguf"
	"bitgpu/nn/storage/public"
)

const (
	shownElements = 6   // of an array in the metadata
	shownBytes    = 100 // of a string there, or of an element
)

// inspectFile shows a GGUF file, or whatever else path is.
func inspectFile(path string, o public.Options) (*inspection, error) {
	if !isGGUF(path) {
		return inspect(path, o)
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := &inspection{Path: path, Bytes: f.Size(), Metadata: map[string]string{}}
	for _, key := range f.Keys() {
		value, _ := f.Value(key)
		r.Metadata[printable(key)] = value.Format(shownElements, shownBytes)
	}
	for _, t := range f.Tensors() {
		r.Parameters += product(t.Shape)
		dtype := t.Type.String()
		if t.Layout.Known() && t.Layout != t.Type.Layout() {
			dtype += " as " + t.Layout.String()
		}
		r.Tensors = append(r.Tensors, tensorInfo{Name: printable(t.Name), DType: dtype, Shape: t.Shape, Bytes: len(t.Data)})
	}
	r.ofGGUF(f, o)
	return r, nil
}

// isHF reports whether path is a directory in Hugging Face's form, or the tensors in one.
func isHF(path string) bool { return !isGGUF(path) && public.Recognize(path) }

// isGGUF checks a regular file's first bytes. Errors are left to the functions that read the file.
func isGGUF(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	begin := make([]byte, 8)
	n, _ := io.ReadFull(f, begin)
	return gguf.Recognize(begin[:n])
}

func product(shape []int) int {
	n := 1
	for _, length := range shape {
		n *= length
	}
	return n
}

// printable quotes a name that would not print on one line.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}
