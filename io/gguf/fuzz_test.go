package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/internal/alloctest"
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

// everything is what a file can hold: each type of value alone and in arrays, and tensors of each type that has a layout and of some
// that have none.
func everything() (keys []Key, tensors []Source) {
	keys = append(slices.Clone(sampleKeys), Key{alignmentKey, uint32(8)}, Key{"i8s", []int8{-1, 1}}, Key{"u16s", []uint16{1, 65535}}, Key{"i16s", []int16{-1}},
		Key{"u32s", []uint32{7, 8, 9}}, Key{"i64s", []int64{math.MinInt64}}, Key{"f64s", []float64{1, math.Inf(1)}}, Key{"none", []string{}})
	for _, typ := range []ggml.Type{
		ggml.F32, ggml.F16, ggml.BF16, ggml.Q4_0, ggml.Q8_0, ggml.Q4_K, ggml.Q6_K, ggml.TQ1_0, ggml.TQ2_0, ggml.I2_S, ggml.Q1_0, ggml.PQ2_0, ggml.PTQ1_0, 13, 24, 39,
	} {
		size, _ := typ.Bytes(1, 256)
		tensors = append(tensors, Source{typ.String(), typ, []int{1, 256}, Bytes(bytes.Repeat([]byte{0x15}, size))})
	}
	return keys, tensors
}

// version2 is data as a file of version 2, which is read alike.
func version2(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(magic)] = 2
	return data
}

// FuzzParse: whatever the bytes, there is an error, or a file with memory in proportion, whose tensors do not overlap and which is the
// same once more after it was written.
func FuzzParse(f *testing.F) {
	sample, all := encode(f, sampleKeys, sampleTensors()), func() []byte { k, s := everything(); return encode(f, k, s) }()
	for _, data := range [][]byte{
		sample, version2(sample), all, version2(all), legacy(f, nil, sampleTensors()),
		legacy(f, []Key{{"general.quantization_version", "TQ2_0_G128"}}, sampleTensors()), encode(f, nil, []Source{{"a", ggml.Q2_0, []int{2, 64}, Bytes(make([]byte, 36))}}),
		[]byte(head(2, 1, 1) + text(alignmentKey) + u32(4) + u32(8) + info("w", 36, 0, 128) + strings.Repeat("\x00", 70)),
	} {
		if _, err := Parse("seed", data); err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, what := range slices.Sorted(maps.Keys(refused)) {
		if data := refused[what]; len(data) < 1<<12 {
			f.Add([]byte(data))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		alloctest.Bounded(t, len(data), 40, func() { file, err = Parse("fuzz", data) })
		if err != nil {
			if !strings.HasPrefix(err.Error(), "gguf: fuzz: ") || len(err.Error()) > 600 {
				t.Fatalf("the error %q", err)
			}
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
			alloctest.Bounded(t, len(data), 40, func() {
				file.Texts(key)
				file.Ints(key)
				file.Floats(key)
				file.Bools(key)
			})
		}
		var tensors []Source
		end := int64(0)
		for _, tensor := range file.Tensors() {
			if tensor.Offset < end {
				t.Fatalf("%s begins at byte %d, inside what is before it", tensor.Name, tensor.Offset)
			}
			end = tensor.Offset + int64(len(tensor.Data))
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
