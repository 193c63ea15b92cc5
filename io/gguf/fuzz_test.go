package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
)

// again is a value as Go has it, for writing it once more.
func again(f *File, key string) any {
	v, _ := f.Value(key)
	if v.Type != Array {
		return single(v)
	}
	if v.Elem == String {
		texts, _ := f.Texts(key)
		return texts
	}
	elem := reflect.TypeOf(single(Value{Type: v.Elem, Len: 1, data: make([]byte, 8)}))
	all := reflect.MakeSlice(reflect.SliceOf(elem), v.Len, v.Len)
	for i := range v.Len {
		all.Index(i).Set(reflect.ValueOf(single(v.at(i))))
	}
	return all.Interface()
}

func single(v Value) any {
	i, _, _ := v.integer()
	x, _ := v.float()
	switch v.Type {
	case Uint8:
		return uint8(i)
	case Int8:
		return int8(i)
	case Uint16:
		return uint16(i)
	case Int16:
		return int16(i)
	case Uint32:
		return uint32(i)
	case Int32:
		return int32(i)
	case Float32:
		return math.Float32frombits(binary.LittleEndian.Uint32(v.data))
	case Float64:
		return x
	case Bool:
		return v.data[0] != 0
	case String:
		return string(v.data)
	case Uint64:
		return binary.LittleEndian.Uint64(v.data)
	}
	return int64(i)
}

func FuzzParse(f *testing.F) {
	f.Add(encode(f, sampleKeys, sampleTensors()))
	f.Add(legacy(f, nil, sampleTensors()))
	f.Add([]byte(head(2, 1, 1) + text(alignmentKey) + u32(4) + u32(8) + info("w", 36, 0, 128) + strings.Repeat("\x00", 70)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("fuzz", data)
		if err != nil {
			return
		}
		var keys []Key
		for _, key := range file.Keys() {
			value := again(file, key)
			if v, _ := file.Value(key); v.Format(3, 10) == "" || fmt.Sprint(value) == "" && v.Type != String {
				t.Fatalf("%s is listed as nothing", key)
			}
			keys = append(keys, Key{key, value})
			file.Text(key)
			file.Int(key)
			file.Float(key)
			file.Bool(key)
			file.Texts(key)
			file.Ints(key)
			file.Floats(key)
			file.Bools(key)
		}
		var tensors []Source
		for _, tensor := range file.Tensors() {
			m := tensor.Matrix()
			if m.Cols < 1<<16 && m.Rows < 1<<10 {
				row := make([]float32, m.Cols)
				for r := range m.Rows {
					m.Floats(row, r)
				}
				m.Ternary()
			}
			if tensor.Layout.Known() && tensor.Layout.Type() != tensor.Type || tensor.Layout == ggml.LayoutPQ2_0 {
				tensor.Type = ggml.PQ2_0 // as the number 42 would be written
			}
			tensors = append(tensors, Source{tensor.Name, tensor.Type, tensor.Shape, Bytes(tensor.Data)})
		}
		var out bytes.Buffer
		if file.Alignment() > 1<<20 {
			return
		}
		if err := Write(&out, keys, tensors); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		second, err := Parse("again", out.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !slices.Equal(second.Keys(), file.Keys()) || second.Alignment() != file.Alignment() {
			t.Fatalf("keys %v, want %v", second.Keys(), file.Keys())
		}
		for _, want := range file.Tensors() {
			got, _ := second.Tensor(want.Name)
			if !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	})
}
