package gguf

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"bitgpu/io/ggml"
)

func TestWriteRefusals(t *testing.T) {
	failing := errors.New("the source is broken")
	for want, c := range map[string]struct {
		keys    []Key
		tensors []Source
	}{
		"gguf: key a: a value of type int, want a string, a bool, a number of 8 to 64 bits or a slice of these": {keys: []Key{{"a", 7}}},
		"key a: a value of type [][]string":               {keys: []Key{{"a", [][]string{{"b"}}}}},
		"key a: no value":                                 {keys: []Key{{"a", nil}}},
		"key a is there twice":                            {keys: []Key{{"a", true}, {"a", true}}},
		"key general.alignment is 3, want a power of two": {keys: []Key{{alignmentKey, uint32(3)}}},
		"a name of 0 bytes":                               {keys: []Key{{"", uint32(1)}}},
		"tensor w: is there twice":                        {tensors: []Source{{"w", ggml.F32, []int{1}, nil}, {"w", ggml.F32, []int{1}, nil}}},
		"tensor w: rows of 5 weights, want a multiple of 256 for type TQ2_0": {tensors: []Source{{"w", ggml.TQ2_0, []int{5}, nil}}},
		"tensor w: type 50 is not known":                                     {tensors: []Source{{"w", 50, []int{5}, nil}}},
		"tensor w: 0 × 4 weights":                                            {tensors: []Source{{"w", ggml.F32, []int{0, 4}, nil}}},
		"tensor w: has an axis below 1":                                      {tensors: []Source{{"w", ggml.F32, []int{-1, -1, 4}, nil}}},
		"tensor w: has 5 axes":                                               {tensors: []Source{{"w", ggml.F32, []int{1, 1, 1, 1, 1}, nil}}},
		"tensor w: 7 bytes written, want 8":                                  {tensors: []Source{{"w", ggml.F32, []int{2}, Bytes(make([]byte, 7))}}},
		"tensor w: more bytes written than its type":                         {tensors: []Source{{"w", ggml.F32, []int{2}, Bytes(make([]byte, 9))}}},
		"tensor w: the source is broken":                                     {tensors: []Source{{"w", ggml.F32, []int{2}, func(io.Writer) error { return failing }}}},
	} {
		wantError(t, Write(io.Discard, c.keys, c.tensors), want)
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := WriteFile(path, sampleKeys, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, WriteFile(path, nil, []Source{{"w", ggml.F32, []int{2}, Bytes(nil)}}), "gguf: "+path+": tensor w: 0 bytes written, want 8")
	if f, err := Open(path); err != nil || len(f.Keys()) != len(sampleKeys) {
		t.Errorf("the old file is gone: %v", err)
	} else {
		f.Close()
	}
}
