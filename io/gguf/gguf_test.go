package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bitgpu/io/ggml"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var sampleKeys = []Key{
	{"general.architecture", "qwen3"}, {"u8", uint8(200)}, {"i8", int8(-3)}, {"u16", uint16(60000)}, {"i16", int16(-300)},
	{"u32", uint32(2e9)}, {"i32", int32(-5)}, {"f32", float32(1e-6)}, {"yes", true}, {"no", false}, {"u64", uint64(1) << 63},
	{"i64", int64(-1) << 30}, {"f64", 1e300}, {"texts", []string{"a", "", "b\xff\x00c"}}, {"ints", []int32{1, -2, 3}}, {"floats", []float32{0.5, 2}},
	{"bools", []bool{true, false}}, {"empty", []uint8{}}, {"long", []uint64{1, math.MaxUint64}},
}

func sampleTensors() []Source {
	return []Source{
		{"token_embd.weight", ggml.PQ2_0, []int{3, 256}, Bytes(bytes.Repeat([]byte{0x55}, 3*68))},
		{"norm.weight", ggml.F32, []int{5}, Bytes(make([]byte, 20))},
		{"scalar", ggml.F16, nil, Bytes([]byte{0, 0x3C})},
		{"conv", ggml.BF16, []int{2, 3, 4}, Bytes(make([]byte, 48))},
		{"last", ggml.TQ1_0, []int{1, 256}, Bytes(make([]byte, 54))},
	}
}

func encode(t testing.TB, keys []Key, tensors []Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, keys, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if err != nil && (len(err.Error()) > 600 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("not one sentence: %v", err)
	}
}

func TestReadWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := WriteFile(path, sampleKeys, sampleTensors()); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, _ := os.Stat(path); f.Version() != 3 || f.Alignment() != 32 || f.Size() != info.Size() || f.Size()%32 != 0 {
		t.Errorf("version %d, alignment %d, %d bytes", f.Version(), f.Alignment(), f.Size())
	}
	var names []string
	for _, k := range sampleKeys {
		names = append(names, k.Name)
	}
	if !slices.Equal(f.Keys(), names) {
		t.Errorf("keys %v, want %v", f.Keys(), names)
	}
	check := func(key string, got any, err error, want any) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, want %#v (%v)", key, got, want, err)
		}
	}
	text, err := f.Text("general.architecture")
	check("text", text, err, "qwen3")
	for key, want := range map[string]int{"u8": 200, "i8": -3, "u16": 60000, "i16": -300, "u32": 2e9, "i32": -5, "i64": -1 << 30} {
		i, err := f.Int(key)
		check(key, i, err, want)
	}
	for key, want := range map[string]float64{"f32": float64(float32(1e-6)), "f64": 1e300} {
		x, err := f.Float(key)
		check(key, x, err, want)
	}
	for key, want := range map[string]bool{"yes": true, "no": false} {
		b, err := f.Bool(key)
		check(key, b, err, want)
	}
	texts, err := f.Texts("texts")
	check("texts", texts, err, []string{"a", "", "b\xff\x00c"})
	ints, err := f.Ints("ints")
	check("ints", ints, err, []int{1, -2, 3})
	floats, err := f.Floats("floats")
	check("floats", floats, err, []float64{0.5, 2})
	bools, err := f.Bools("bools")
	check("bools", bools, err, []bool{true, false})
	ints, err = f.Ints("empty")
	check("empty", ints, err, []int{})

	_, err = f.Text("u8")
	wantError(t, err, "gguf: "+path+": key u8 is the uint8 200, want a string")
	_, err = f.Int("texts")
	wantError(t, err, "key texts is an array of 3 values of the type string, want an integer that an int holds")
	_, err = f.Int("u64")
	wantError(t, err, "key u64 is the uint64 ")
	_, err = f.Ints("long")
	wantError(t, err, "key long is an array of 2 values of the type uint64, want an array of integers that an int holds")
	_, err = f.Texts("ints")
	wantError(t, err, "key ints is an array of 3 values of the type int32, want an array of strings")
	_, err = f.Bools("ints")
	wantError(t, err, "want an array of bools")
	_, err = f.Floats("floaty")
	wantError(t, err, "gguf: "+path+": key floaty is missing, want an array of floats")
	if !errors.Is(err, ErrMissing) {
		t.Errorf("%v is not ErrMissing", err)
	}
	if _, err = f.Float("i32"); errors.Is(err, ErrMissing) {
		t.Errorf("%v is ErrMissing", err)
	}
	wantError(t, err, "key i32 is the int32 -5, want a float")

	for key, want := range map[string]string{
		"general.architecture": `"qw"… (5 bytes)`, "u64": "9223372036854775808", "f32": "1e-06", "yes": "true", "texts": `3 string ["a", "", …]`,
		"ints": "3 int32 [1, -2, …]", "empty": "0 uint8 []", "bools": "2 bool [true, false]", "i8": "-3", "long": "2 uint64 [1, 18446744073709551615]",
	} {
		if v, ok := f.Value(key); !ok || v.Format(2, 2) != want {
			t.Errorf("%s is listed as %s, want %s", key, v.Format(2, 2), want)
		}
	}

	if got := (Value{Type: String, data: []byte("aé—")}).Format(1, 2); got != `"a"… (6 bytes)` {
		t.Errorf("a string is cut as %s", got)
	}

	want := []struct {
		shape  []int
		layout ggml.Layout
		size   int
	}{{[]int{3, 256}, ggml.LayoutPQ2_0, 204}, {[]int{5}, ggml.LayoutF32, 20}, {[]int{}, ggml.LayoutF16, 2}, {[]int{2, 3, 4}, ggml.LayoutBF16, 48}, {[]int{1, 256}, ggml.LayoutTQ1_0, 54}}
	for i, tensor := range f.Tensors() {
		w := want[i]
		found, ok := f.Tensor(tensor.Name)
		if !ok || found.Offset != tensor.Offset || !slices.Equal(tensor.Shape, w.shape) || tensor.Layout != w.layout || len(tensor.Data) != w.size || tensor.Offset%32 != 0 {
			t.Errorf("%+v, want %+v", tensor, w)
		}
		m := tensor.Matrix()
		if err := m.Floats(make([]float32, m.Cols), m.Rows-1); err != nil {
			t.Error(err)
		}
	}
	if m := f.Tensors()[3].Matrix(); m.Rows != 6 || m.Cols != 4 {
		t.Errorf("%d × %d", m.Rows, m.Cols)
	}
	if _, ok := f.Tensor("absent"); ok {
		t.Error("found a tensor that is not there")
	}
}

// legacy makes a file whose tensors of type PQ2_0 have the number 42.
func legacy(t testing.TB, keys []Key, tensors []Source) []byte {
	data := encode(t, keys, tensors)
	for _, s := range tensors {
		if s.Type == ggml.PQ2_0 {
			at := bytes.Index(data, []byte(text(s.Name))) + 8 + len(s.Name) + 4 + 8*len(s.Shape)
			binary.LittleEndian.PutUint32(data[at:], 42)
		}
	}
	return data
}

// The number 42 is three layouts, told apart by the bytes a tensor takes.
func TestType42(t *testing.T) {
	tensors := func(typ ggml.Type, size int) []Source {
		return []Source{
			{"a", typ, []int{4, 1024}, Bytes(make([]byte, 4*1024/64*size))},
			{"norm", ggml.F32, []int{8}, Bytes(make([]byte, 32))},
			{"tiny", typ, []int{1, 128}, Bytes(make([]byte, 2*size))},
		}
	}
	for name, c := range map[string]struct {
		data []byte
		want ggml.Layout
	}{
		"llama.cpp": {encode(t, nil, tensors(ggml.Q2_0, 18)), ggml.LayoutQ2_0},
		"prism":     {legacy(t, []Key{{"general.quantization_version", uint32(2)}}, tensors(ggml.PQ2_0, 17)), ggml.LayoutPQ2_0},
		"oxibonsai": {legacy(t, []Key{{"general.quantization_version", "TQ2_0_G128"}}, tensors(ggml.PQ2_0, 17)), ggml.LayoutTQ2_0G128},
	} {
		f, err := Parse(name, c.data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, i := range []int{0, 2} {
			if tensor := f.Tensors()[i]; tensor.Type != ggml.Q2_0 || tensor.Layout != c.want {
				t.Errorf("%s: %s has type %v and layout %v, want %v", name, tensor.Name, tensor.Type, tensor.Layout, c.want)
			}
		}
	}
	mixed := legacy(t, nil, append(tensors(ggml.PQ2_0, 17), Source{"b", ggml.Q2_0, []int{8, 512}, Bytes(make([]byte, 64*18))}))
	_, err := Parse("mixed", mixed)
	wantError(t, err, "gguf: mixed: tensor b of type 42 and shape (8, 512) does not fill the bytes up to the next one, with 18 for 64 weights (Q2_0) or 34 for 128")
}

// A tensor beyond 4 GB is found; the file is sparse and takes no room.
func TestLargeFile(t *testing.T) {
	if strconv.IntSize == 32 || runtime.GOOS == "windows" {
		t.Skip("a file beyond 4 GB cannot be mapped on a 32-bit machine, and takes its room on Windows")
	}
	const rows = int64(9 << 20)
	header := head(3, 2, 0) + info("big", 24, 0, 512, uint64(rows)) + info("after", 0, uint64(512*rows), 2)
	path := filepath.Join(t.TempDir(), "large.gguf")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	start := int64(pad(len(header), 32))
	_, err1 := file.WriteString(header)
	err2 := file.Truncate(start + 512*rows + 8)
	_, err3 := file.WriteAt([]byte{0, 0, 0x80, 0x3F, 0, 0, 0, 0x40}, start+512*rows)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Skipf("no sparse file of 4.8 GB can be made here: %v", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	after, _ := f.Tensor("after")
	got := make([]float32, 2)
	if err := after.Matrix().Floats(got, 0); err != nil || !slices.Equal(got, []float32{1, 2}) || after.Offset != start+512*rows {
		t.Errorf("%v at byte %d (%v)", got, after.Offset, err)
	}
	if big, _ := f.Tensor("big"); int64(len(big.Data)) != 512*rows || big.Layout != 0 {
		t.Errorf("%d bytes of %v", len(big.Data), big.Type)
	}
}

// Alignment is that of the key, in the list and in the padding.
func TestAlignment(t *testing.T) {
	keys := []Key{{alignmentKey, uint32(128)}}
	data := encode(t, keys, []Source{{"a", ggml.F32, []int{2}, Bytes(make([]byte, 8))}, {"b", ggml.F32, []int{2}, Bytes([]byte{0, 0, 0, 0, 0, 0, 128, 63})}})
	f, err := Parse("f", data)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := f.Tensor("b")
	if f.Alignment() != 128 || b.Offset%128 != 0 || len(data)%128 != 0 || b.Data[7] != 63 {
		t.Errorf("alignment %d, offset %d, %d bytes", f.Alignment(), b.Offset, len(data))
	}
}

func TestRoundTripProperty(t *testing.T) {
	types := []ggml.Type{ggml.F32, ggml.F16, ggml.BF16, ggml.TQ1_0, ggml.TQ2_0, ggml.I2_S, ggml.Q2_0, ggml.PQ2_0, ggml.PTQ1_0, 13, 20, 26}
	rapid.Check(t, func(t *rapid.T) {
		var keys []Key
		for _, name := range rapid.SliceOfNDistinct(rapid.StringN(1, 20, 60), 0, 6, rapid.ID).Draw(t, "keys") {
			value := rapid.OneOf(rapid.String().AsAny(), rapid.SliceOf(rapid.String()).AsAny(), rapid.Uint32().AsAny(), rapid.SliceOf(rapid.Int32()).AsAny(),
				rapid.Bool().AsAny(), rapid.SliceOf(rapid.Float32()).AsAny(), rapid.Int64().AsAny()).Draw(t, "value")
			if name != alignmentKey {
				keys = append(keys, Key{name, value})
			}
		}
		var tensors []Source
		contents := map[string][]byte{}
		for _, name := range rapid.SliceOfNDistinct(rapid.StringN(1, 20, 60), 0, 5, rapid.ID).Draw(t, "tensors") {
			s := Source{Name: name, Type: rapid.SampledFrom(types).Draw(t, "type")}
			s.Shape = rapid.SliceOfN(rapid.IntRange(1, 3), 0, 3).Draw(t, "outer")
			s.Shape = append(s.Shape, 256*rapid.IntRange(1, 2).Draw(t, "inner"))
			rows, cols := rowsAndCols(s.Shape)
			size, err := s.Type.Bytes(rows, cols)
			if err != nil {
				t.Fatal(err)
			}
			contents[name] = bytes.Repeat([]byte(name), size/len(name)+1)[:size]
			s.Write = Bytes(contents[name])
			tensors = append(tensors, s)
		}
		var out bytes.Buffer
		if err := Write(&out, keys, tensors); err != nil {
			t.Fatal(err)
		}
		f, err := Parse("f", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range tensors {
			got, ok := f.Tensor(s.Name)
			if !ok || got.Type != s.Type || !slices.Equal(got.Shape, s.Shape) || !bytes.Equal(got.Data, contents[s.Name]) {
				t.Fatalf("%+v, want %+v", got, s)
			}
		}
		for _, k := range keys {
			if got := again(f, k.Name); !cmp.Equal(got, k.Value) {
				t.Fatalf("%s: %#v, want %#v", k.Name, got, k.Value)
			}
		}
	})
}
