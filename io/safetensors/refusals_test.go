package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

type refusal struct {
	name string
	data []byte
	want string
}

// refused are files that are no safetensors, and what is said of them.
func refused() []refusal {
	one := func(entry string) string { return `{"w":` + entry + `}` }
	long := strings.Repeat("x", 5000)
	return []refusal{
		{"empty", nil, "got 0 bytes, a safetensors file has at least 8"},
		{"short", []byte("abc"), "got 3 bytes"},
		{"length past the end", append(binary.LittleEndian.AppendUint64(nil, 100), "{}"...), "header of 100 bytes announced, 2 bytes follow"},
		{"length 2^63", append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...), "header of 9223372036854775808 bytes announced"},
		{"length 2^64-1", append(binary.LittleEndian.AppendUint64(nil, math.MaxUint64), "{}"...), "announced, 2 bytes follow"},
		{"no JSON", raw(`{"w":]`, nil), "header is not JSON: invalid character ']'"},
		{"empty header", raw("", nil), "header is not JSON"},
		{"array", raw(`[]`, nil), "header is not a JSON object"},
		{"nested", raw(strings.Repeat("[", 1<<16), nil), "exceeded max depth"},
		{"name twice", raw(`{"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0077":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, nil), "w: the header has this name twice"},
		{"metadata twice", raw(`{"__metadata__":{},"__metadata__":{}}`, nil), "__metadata__: the header has this name twice"},
		{"metadata no object", raw(`{"__metadata__":[]}`, nil), "__metadata__: not a JSON object"},
		{"metadata no text", raw(`{"__metadata__":{"a":1}}`, nil), "__metadata__: a: not a string"},
		{"metadata key twice", raw(`{"__metadata__":{"a":"1","a":"2"}}`, nil), "__metadata__: a: this key is there twice"},
		{"long name", raw(`{"`+long+`":{}}`, nil), "got a name of 5002 bytes, want at most 4096"},
		{"no entry", raw(one(`7`), nil), "w: not a JSON object with dtype"},
		{"no dtype", raw(one(`{"shape":[],"data_offsets":[0,0]}`), nil), "w: dtype is missing"},
		{"no shape", raw(one(`{"dtype":"U8","data_offsets":[0,0]}`), nil), "w: shape is missing"},
		{"no offsets", raw(one(`{"dtype":"U8","shape":[]}`), nil), "w: data_offsets is missing"},
		{"dtype twice", raw(one(`{"dtype":"U8","dtype":"I8"}`), nil), "w: dtype is there twice"},
		{"dtype no text", raw(one(`{"dtype":1,"shape":[],"data_offsets":[0,0]}`), nil), "w: dtype: not the name of a type"},
		{"other dtype", raw(one(`{"dtype":"F128","shape":[1],"data_offsets":[0,16]}`), make([]byte, 16)), `w: got type "F128", which the format does not have`},
		{"half a byte", raw(one(`{"dtype":"F4","shape":[3],"data_offsets":[0,2]}`), make([]byte, 2)), "w: shape (3) of F4 does not fill its last byte"},
		{"shape no list", raw(one(`{"dtype":"U8","shape":null,"data_offsets":[0,0]}`), nil), "w: shape: not a list of numbers"},
		{"negative", raw(one(`{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}`), nil), "w: shape: got -1, want a whole number from 0 on"},
		{"fraction", raw(one(`{"dtype":"U8","shape":[1.5],"data_offsets":[0,0]}`), nil), "w: shape: got 1.5, want a whole number from 0 on"},
		{"null", raw(one(`{"dtype":"U8","shape":[null],"data_offsets":[0,0]}`), nil), "w: shape: got null, want a whole number from 0 on"},
		{"huge", raw(one(`{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,0]}`), nil), "w: shape: 9223372036854775808 is more than 9223372036854775807"},
		{"overflow", raw(one(`{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}`), nil), "w: shape (4294967296, 4294967296) of F32 is more bytes than can be addressed"},
		{"overflow by type", raw(one(`{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}`), nil), "more bytes than can be addressed"},
		{"many axes", raw(one(`{"dtype":"U8","shape":[`+strings.Repeat("1,", 60)+`1],"data_offsets":[0,1]}`), []byte{0}), "w: shape: more than 16 numbers"},
		{"wrong size", raw(one(`{"dtype":"F32","shape":[2,2],"data_offsets":[0,4]}`), make([]byte, 4)), "w: got data_offsets that span 4 bytes, want 16 for shape (2, 2) of F32"},
		{"one offset", raw(one(`{"dtype":"U8","shape":[0],"data_offsets":[0]}`), nil), "w: data_offsets: got 1 numbers, want 2"},
		{"backwards", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[1,0]}`), nil), "w: data_offsets: end 0 lies before begin 1"},
		{"outside", raw(one(`{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`), make([]byte, 3)), "w: lies at bytes 0 to 4, the file has 3 bytes of data"},
		{"trailing", raw(one(`{"dtype":"U8","shape":[4],"data_offsets":[0,4]}`), make([]byte, 7)), "3 bytes follow the last tensor"},
		{"only trailing", raw(`{}`, make([]byte, 7)), "7 bytes follow the last tensor"},
		{"gap at the start", raw(one(`{"dtype":"U8","shape":[1],"data_offsets":[1,2]}`), make([]byte, 2)), "w: begins at byte 1, which leaves a gap after byte 0"},
		{"overlap", raw(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, make([]byte, 6)), "b: begins at byte 2, inside a, which ends at 4"},
		{"same place", raw(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, make([]byte, 4)), "b: begins at byte 0, inside a"},
		{"control characters", raw(`{"\n\u0007`+strings.Repeat("y", 500)+`":7}`, nil), `"\n\ayyy`},
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range refused() {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("some.safetensors", c.data)
			wantError(t, err, c.want)
			if err != nil && !strings.HasPrefix(err.Error(), "safetensors: some.safetensors: ") {
				t.Errorf("the file is not named: %v", err)
			}
		})
	}
}

func TestOpenRefusals(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "absent"))
	wantError(t, err, filepath.Join(dir, "absent")+": ")
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the cause is lost")
	}
	_, err = Open(dir)
	wantError(t, err, "got a directory, want a file")
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(empty)
	wantError(t, err, empty+": got 0 bytes")
}

// TestHostileHeaderMemory gives headers that would grow manifold as Go values.
func TestHostileHeaderMemory(t *testing.T) {
	const size = 4 << 20
	fill := func(open, unit, end string) []byte {
		return raw(open+strings.Repeat(unit, (size-len(open)-len(end))/len(unit))+end, nil)
	}
	cases := map[string][]byte{
		"arrays":   fill(`{"w":[`, `[],`, `[]]}`),
		"depth":    fill(`{"w":`, `[`, ``),
		"shape":    fill(`{"w":{"dtype":"U8","data_offsets":[0,0],"shape":[`, `0,`, `0]}}`),
		"names":    fill(`{"a":{},`, `"":0,`, `"b":0}`),
		"metadata": fill(`{"__metadata__":{`, `"":"",`, `"a":""}}`),
		"keys":     fill(`{"w":{`, `"":0,`, `"a":0}}`),
		"name":     fill(`{"`, `\u0001`, `":0}`),
		"number":   fill(`{"w":{"dtype":"U8","data_offsets":[0,0],"shape":[`, `1`, `]}}`),
		"type":     fill(`{"w":{"dtype":"`, `U`, `","data_offsets":[0,0],"shape":[]}}`),
	}
	for name, data := range cases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("hostile", data)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > size {
			t.Errorf("%s: %d bytes taken for a file of %d", name, taken, size)
		}
	}
	var many strings.Builder
	many.WriteString(`{"":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`)
	for i := range maxEntries {
		fmt.Fprintf(&many, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	_, err := Parse("many", raw(many.String()+"}", nil))
	wantError(t, err, "more than 65536 tensors")
}

func TestWriteRefusals(t *testing.T) {
	floats := []float32{1, 2}
	cases := []struct {
		tensors []Tensor
		want    string
	}{
		{[]Tensor{FromFloat32s("w", []int{3}, floats)}, "w: got 8 bytes, want 12 for shape (3) of F32"},
		{[]Tensor{FromFloat32s("w", []int{-1, -2}, floats)}, "w: shape (-1, -2) has a negative length"},
		{[]Tensor{FromFloat32s("w", []int{2}, floats), FromFloat32s("w", []int{2}, floats)}, "w: this name is taken"},
		{[]Tensor{FromFloat32s("__metadata__", []int{2}, floats)}, "__metadata__: this name is taken"},
		{[]Tensor{{Name: "w", DType: "F8", Shape: []int{2}}}, `w: got type "F8", which the format does not have`},
		{[]Tensor{FromUint8s("w\xff", []int{1}, []byte{1})}, "not valid UTF-8"},
		{[]Tensor{FromUint8s(strings.Repeat("w", 5000), []int{1}, []byte{1})}, "got a name of 5002 bytes"},
		{[]Tensor{FromUint8s("w", make([]int, 17), nil)}, "w: got 17 axes"},
	}
	for _, c := range cases {
		var out bytes.Buffer
		wantError(t, Write(&out, c.tensors, nil), c.want)
		if out.Len() != 0 {
			t.Errorf("%s: %d bytes written all the same", c.want, out.Len())
		}
	}
}

// TestNullMetadata: null is none, as safetensors 0.8.0 has it; twice is twice still.
func TestNullMetadata(t *testing.T) {
	f, err := Parse("null", raw(`{"__metadata__": null,"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, []byte{7}))
	if err != nil {
		t.Fatal(err)
	}
	if m := f.Metadata(); m == nil || len(m) != 0 || len(f.Names()) != 1 {
		t.Errorf("got metadata %v and tensors %q, want none and w", m, f.Names())
	}
	if _, err := Parse("twice", raw(`{"__metadata__":null,"__metadata__":{}}`, nil)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("got %v, want an error", err)
	}
}

// Every type of the format opens, with the size that its elements have, and is written as it was.
func TestAllTypesOpen(t *testing.T) {
	for dtype, size := range map[DType]int{
		"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "U16": 16, "I16": 16,
		"F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
	} {
		header := fmt.Sprintf(`{"w":{"dtype":%q,"shape":[2,4],"data_offsets":[0,%d]}}`, dtype, size)
		f, err := Parse("f", raw(header, make([]byte, size)))
		if err != nil {
			t.Error(err)
			continue
		}
		if x, _ := f.Tensor("w"); x.Len() != 8 || len(x.Data) != size {
			t.Errorf("%s: got %d of %d, want 8 elements of %d bytes", dtype, x.Len(), len(x.Data), size)
		} else if err := Write(io.Discard, []Tensor{x}, nil); err != nil {
			t.Error(err)
		}
	}
}
