package regular_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bitgpu/io/gguf"
	"bitgpu/io/regular"
)

// Pages that are let go of are read again; memory that is no map of a file stays what it is.
func TestDrop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.gguf")
	want := bytes.Repeat([]byte("abcd"), 1<<16)
	if err := gguf.WriteFile(path, nil, []gguf.Source{{Name: "x", Type: 24, Shape: []int{len(want)}, Write: gguf.Bytes(want)}}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, _ := f.Tensor("x")
	heap := slices.Clone(want)
	for _, data := range [][]byte{nil, x.Data[:1], x.Data[5:7000], x.Data, heap, heap[1:], make([]byte, os.Getpagesize())} {
		regular.Drop(data)
	}
	if !bytes.Equal(x.Data, want) || !bytes.Equal(heap, want) {
		t.Error("the bytes have changed")
	}
}
