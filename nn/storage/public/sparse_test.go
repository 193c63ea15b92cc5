package public

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
)

// sparse writes a file in which zeros take no room.
type sparse struct {
	file  *os.File
	at    int64
	zeros []byte
}

func (s *sparse) Write(data []byte) (int, error) {
	n := len(data)
	for len(data) > 0 {
		piece := data[:min(len(data), len(s.zeros))]
		if !bytes.Equal(piece, s.zeros[:len(piece)]) {
			if _, err := s.file.WriteAt(piece, s.at); err != nil {
				return 0, err
			}
		}
		s.at += int64(len(piece))
		data = data[len(piece):]
	}
	return n, nil
}

// Tensors that begin beyond 4 GiB in the file, and one that reaches across, are read as they are elsewhere.
func TestBeyond4GiB(t *testing.T) {
	if testing.Short() || math.MaxInt == math.MaxInt32 {
		t.Skip("maps a sparse file of 4 GiB")
	}
	dir := t.TempDir()
	m := random(decoders()["qwen3"], 64)
	near := filepath.Join(dir, "near.gguf")
	if err := m.Export(near, ExportOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(near)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	far := filepath.Join(dir, "far.gguf")
	out, err := os.Create(far)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	const n = 1<<30 - 1<<13 // float32s: 32 KiB below 4 GiB
	if err := out.Truncate(n*4 + 1<<26); err != nil {
		t.Skipf("no room for a sparse file: %v", err)
	}
	w := &sparse{file: out, zeros: make([]byte, 1<<20)}
	tensors := []gguf.Source{{Name: "of another program", Type: ggml.F32, Shape: []int{n}, Write: func(to io.Writer) error {
		for left := n * 4; left > 0; left -= min(left, len(w.zeros)) {
			if _, err := to.Write(w.zeros[:min(left, len(w.zeros))]); err != nil {
				return err
			}
		}
		return nil
	}}}
	for _, x := range f.Tensors() {
		tensors = append(tensors, gguf.Source{Name: x.Name, Type: x.Type, Shape: x.Shape, Write: gguf.Bytes(x.Data)})
	}
	keys, err := m.ggufKeys()
	if err != nil {
		t.Fatal(err)
	}
	if err := gguf.Write(w, keys, tensors); err != nil {
		t.Skipf("no room for a sparse file: %v", err)
	}
	if err := out.Truncate(w.at); err != nil {
		t.Fatal(err)
	}
	got, err := Open(far, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Open(near, Options{})
	if err != nil {
		t.Fatal(err)
	}
	crossed, beyond := false, 0
	g, err := gguf.Open(far)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, x := range g.Tensors()[1:] {
		crossed = crossed || x.Offset < 1<<32 && x.Offset+int64(len(x.Data)) > 1<<32
		if x.Offset >= 1<<32 {
			beyond++
		}
	}
	if beyond == 0 || !crossed {
		t.Errorf("%d tensors lie beyond 4 GiB, one across: %v; want some, and one", beyond, crossed)
	}
	if !reflect.DeepEqual(*got.Weights, *want.Weights) {
		t.Error("the weights differ")
	}
}
