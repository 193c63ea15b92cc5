package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	{"u32", uint32(4e9)}, {"i32", int32(-5)}, {"f32", float32(1e-6)}, {"yes", true}, {"no", false}, {"u64", uint64(1) << 63},
	{"i64", int64(-1) << 40}, {"f64", 1e300}, {"texts", []string{"a", "", "b\xff\x00c"}}, {"ints", []int32{1, -2, 3}}, {"floats", []float32{0.5, 2}},
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
	for key, want := range map[string]int{"u8": 200, "i8": -3, "u16": 60000, "i16": -300, "u32": 4e9, "i32": -5, "i64": -1 << 40} {
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
	wantError(t, err, "key texts is an array of 3 string, want an integer that an int holds")
	_, err = f.Int("u64")
	wantError(t, err, "key u64 is the uint64 ")
	_, err = f.Ints("long")
	wantError(t, err, "key long is an array of 2 uint64, want an array of integers that an int holds")
	_, err = f.Texts("ints")
	wantError(t, err, "key ints is an array of 3 int32, want an array of strings")
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

// text is a string as the format has it, and u32 and u64 are its numbers.
func text(s string) string { return u64(uint64(len(s))) + s }
func u32(n uint32) string  { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func u64(n uint64) string  { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func head(version uint32, tensors, keys uint64) string {
	return magic + u32(version) + u64(tensors) + u64(keys)
}

// info is an entry of the tensors' list.
func info(name string, typ uint32, offset uint64, dims ...uint64) string {
	s := text(name) + u32(uint32(len(dims)))
	for _, d := range dims {
		s += u64(d)
	}
	return s + u32(typ) + u64(offset)
}

func TestRefusals(t *testing.T) {
	padded := func(s string, data int) string { return s + strings.Repeat("\x00", pad(len(s), 32)-len(s)+data) }
	huge := uint64(1) << 63
	for want, data := range map[string]string{
		`gguf: f: begins with "", want "GGUF"`:                                      "",
		`begins with "GGML", want "GGUF"`:                                           "GGML" + u32(3),
		"is a big-endian file of version 3, want a little-endian one":               magic + "\x00\x00\x00\x03" + u64(0),
		"is a big-endian file of version 2":                                         magic + "\x00\x00\x00\x02" + u64(0),
		"has version 1, which nothing has written since 2023, want 2 or 3":          magic + u32(1) + u32(0) + u32(0),
		"has version 4, want 2 or 3":                                                head(4, 0, 0),
		"has version 0, want 2 or 3":                                                head(0, 0, 0),
		"the file ends too early: 4 bytes wanted at byte 4, 2 are left":             magic + "\x03\x00",
		"the file ends too early: 8 bytes wanted at byte 16":                        magic + u32(3) + u64(0),
		"9223372036854775808 keys announced, want at most 65536":                    head(3, 0, huge),
		"the file ends too early: 9 keys announced, 20 bytes are left":              head(3, 0, 9) + strings.Repeat("\x00", 20),
		"9223372036854775808 tensors announced, want at most 65536":                 head(3, huge, 0),
		"the file ends too early: 60000 tensors announced, 100 bytes are left":      head(3, 60000, 0) + strings.Repeat("\x00", 100),
		"key 0: the file ends too early: 9223372036854775808 bytes wanted":          head(3, 0, 1) + u64(huge) + "general.name......",
		"key 0: a name of 0 bytes, want from 1 to 65535":                            head(3, 0, 1) + text("") + u32(4) + u32(1) + "....",
		"key 0: a name of 65536 bytes, want from 1 to 65535":                        head(3, 0, 1) + text(strings.Repeat("a", 65536)) + u32(4) + u32(1),
		`key 0: the name "a\xff" is not UTF-8`:                                      head(3, 0, 1) + text("a\xff") + u32(4) + u32(1),
		"key a is there twice":                                                      head(3, 0, 2) + text("a") + u32(4) + u32(1) + text("a") + u32(4) + u32(1),
		"key a: has a value of type 13, want one from 0 to 12":                      head(3, 0, 1) + text("a") + u32(13) + u64(1),
		"key a: the file ends too early: 9223372036854775808 bytes wanted":          head(3, 0, 1) + text("a") + u32(8) + u64(huge) + "...",
		"key a: the file ends too early: an array of 9223372036854775808 uint64":    head(3, 0, 1) + text("a") + u32(9) + u32(10) + u64(huge) + "...",
		"key a: the file ends too early: an array of 2305843009213693952 uint64":    head(3, 0, 1) + text("a") + u32(9) + u32(10) + u64(1<<61) + "...",
		"key a: the file ends too early: an array of 3 string announced, 23 bytes":  head(3, 0, 1) + text("a") + u32(9) + u32(8) + u64(3) + strings.Repeat("\x00", 23),
		"key a: element 1: the file ends too early: 9223372036854775808 bytes":      head(3, 0, 1) + text("a") + u32(9) + u32(8) + u64(2) + text("") + u64(huge),
		"key a: is an array of arrays, which no known model has: not supported":     head(3, 0, 1) + text("a") + u32(9) + u32(9) + u64(1) + u32(9) + u64(1),
		"key a: is an array of type 77, want one from 0 to 12":                      head(3, 0, 1) + text("a") + u32(9) + u32(77) + u64(1),
		"key general.alignment is 0, want a power of two up to 2³⁰":                 head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(0),
		"key general.alignment is 24, want a power of two":                          head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(24),
		"key general.alignment is 2147483648, want a power of two":                  head(3, 0, 1) + text(alignmentKey) + u32(4) + u32(1<<31),
		"key general.alignment is string, want uint32":                              head(3, 0, 1) + text(alignmentKey) + u32(8) + text("32"),
		"key general.alignment is an array of 1 uint32, want uint32":                head(3, 0, 1) + text(alignmentKey) + u32(9) + u32(4) + u64(1) + u32(32),
		"tensor 0: a name of 0 bytes":                                               head(3, 1, 0) + info("", 0, 0, 8) + strings.Repeat("\x00", 99),
		"tensor w: has 5 axes, want at most 4":                                      head(3, 1, 0) + info("w", 0, 0, 1, 1, 1, 1, 1),
		"tensor w: has 4294967295 axes":                                             head(3, 1, 0) + text("w") + u32(math.MaxUint32) + strings.Repeat("\x00", 40),
		"tensor w: has an axis of 0":                                                head(3, 1, 0) + info("w", 0, 0, 8, 0),
		"tensor w: has an axis of 9223372036854775808":                              head(3, 1, 0) + info("w", 0, 0, huge),
		"tensor w: has an axis of 8589934592, want from 1 to what can be addressed": head(3, 1, 0) + info("w", 0, 0, 1<<33, 1<<33),
		"tensor w: 4194304 × 1099511627776 weights, want from 1 to 2⁵⁶":             padded(head(3, 1, 0)+info("w", 0, 0, 1<<40, 1<<20, 4), 64),
		"tensor w: has type 99, which is not known":                                 head(3, 1, 0) + info("w", 99, 0, 8),
		"tensor w: has type 38, bitnet.cpp's TL1":                                   head(3, 1, 1) + text("general.architecture") + u32(8) + text("bitnet-b1.58") + info("w", 38, 0, 32),
		"tensor w: has type 39, bitnet.cpp's TL2":                                   head(3, 1, 1) + text("general.architecture") + u32(8) + text("bitnet") + info("w", 39, 0, 32),
		"tensor w: rows of 100 weights, want a multiple of 128 for type PTQ1_0":     padded(head(3, 1, 0)+info("w", 143, 0, 100), 64),
		"tensor w: rows of 33 weights, want a multiple of 32 for type MXFP4":        padded(head(3, 1, 0)+info("w", 39, 0, 33), 64),
		"tensor w: begins at byte 8 of the data, want a multiple of 32 below 2⁶²":   head(3, 1, 0) + info("w", 0, 8, 8),
		"tensor w: begins at byte 9223372036854775808 of the data":                  head(3, 1, 0) + info("w", 0, huge, 8),
		"tensor w: is there twice":                                                  head(3, 2, 0) + info("w", 0, 0, 8) + info("w", 0, 32, 8),
		"the data begin at byte 64 of 57":                                           head(3, 1, 0) + info("w", 0, 0, 8),
		"tensor w takes 64 bytes from byte 0 of the data on, which have 63":         padded(head(3, 1, 0)+info("w", 0, 0, 16), 63),
		"tensor w takes 32 bytes from byte 4611686018427387872 of the data on":      padded(head(3, 1, 0)+info("w", 0, 1<<62-32, 8), 63),
		"tensor b begins at byte 32 of the data, inside a, which ends at 64":        padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 32, 8), 64),
		"tensor b begins at byte 0 of the data, inside a, which ends at 64":         padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 0, 8), 64),
		"tensor b begins at byte 96 of the data, want 64, where what is before it":  padded(head(3, 2, 0)+info("a", 0, 0, 16)+info("b", 0, 96, 8), 128),
		"tensor a begins at byte 32 of the data, want 0":                            padded(head(3, 1, 0)+info("a", 0, 32, 8), 64),
		"33 bytes follow the last tensor, a":                                        padded(head(3, 1, 0)+info("a", 0, 0, 16), 97),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("f", []byte(data))
		runtime.ReadMemStats(&after)
		wantError(t, err, want)
		if taken := after.TotalAlloc - before.TotalAlloc; taken > uint64(20*len(data)+1<<16) {
			t.Errorf("%s: %d bytes taken for a file of %d", want, taken, len(data))
		}
	}
	// Tensors in another order than their data, an unpadded end, a file without data and version 2 are all right.
	for name, data := range map[string]string{
		"order":    padded(head(3, 2, 0)+info("b", 0, 64, 8)+info("a", 0, 0, 16), 96),
		"unpadded": padded(head(3, 1, 0)+info("a", 0, 0, 7), 28),
		"no data":  head(3, 0, 1) + text("a") + u32(4) + u32(1),
		"two":      padded(head(2, 1, 0)+info("a", 0, 0, 8), 32),
	} {
		if _, err := Parse(name, []byte(data)); err != nil {
			t.Error(err)
		}
	}
}

// Every file cut short is refused.
func TestTruncated(t *testing.T) {
	data := encode(t, sampleKeys, sampleTensors())
	for n := range len(data) - 10 { // the last 10 bytes are padding
		if _, err := Parse("f", data[:n]); err == nil {
			t.Fatalf("%d of %d bytes were read", n, len(data))
		}
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir: "gguf: " + dir + ": is a directory", filepath.Join(dir, "absent"): "no such file", os.DevNull: "is not a regular file",
	} {
		_, err := Open(path)
		wantError(t, err, want)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(empty)
	wantError(t, err, `begins with "", want "GGUF"`)
}

// A tensor beyond 4 GB is found; the file is sparse and takes no room.
func TestLargeFile(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("a file beyond 4 GB cannot be mapped on a 32-bit machine")
	}
	const rows = 9 << 20
	header := head(3, 2, 0) + info("big", 24, 0, 512, rows) + info("after", 0, 512*rows, 2)
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
	if big, _ := f.Tensor("big"); len(big.Data) != 512*rows || big.Layout != 0 {
		t.Errorf("%d bytes of %v", len(big.Data), big.Type)
	}
}

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
