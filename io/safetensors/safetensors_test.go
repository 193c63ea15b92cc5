package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/io/internal/alloctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const reference = "../../testdata/reference"

// raw puts a file together without the checks of Write.
func raw(header string, body []byte) []byte {
	data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(data, header...), body...)
}

func encode(t *testing.T, tensors []Tensor, metadata map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, tensors, metadata); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func everyType(t *testing.T) []Tensor {
	t.Helper()
	half, err := FromFloat16s("half", []int{3}, []float32{1, -0.5, 65504})
	if err != nil {
		t.Fatal(err)
	}
	return []Tensor{
		FromUint8s("bytes", []int{5}, []byte{0, 1, 2, 3, 255}),
		FromFloat32s("floats", []int{2, 3}, []float32{1, 2, 3, -4, 5e-30, float32(math.Inf(1))}),
		half,
		{Name: "brain", DType: BF16, Shape: []int{2}, Data: []byte{0x80, 0x3f, 0x00, 0xc0}},
		FromInt8s("tiny", []int{1, 2}, []int8{-128, 127}),
		FromInt32s("ids", []int{}, []int32{-7}),
		FromInt64s("wide", []int{2}, []int64{-1, 1 << 30}),
		FromFloat32s("empty", []int{0, 9}, nil),
	}
}

func TestRoundTrip(t *testing.T) {
	tensors := everyType(t)
	metadata := map[string]string{"b": "2", "a": "\"quoted\"\n日本"}
	data := encode(t, tensors, metadata)
	f, err := Parse("test", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range tensors {
		got, ok := f.Tensor(want.Name)
		if !ok {
			t.Fatalf("%s is lost", want.Name)
		}
		if got.DType != want.DType || !cmp.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	if diff := cmp.Diff(metadata, f.Metadata()); diff != "" {
		t.Error(diff)
	}
	wantNames := []string{"wide", "floats", "ids", "empty", "half", "brain", "bytes", "tiny"}
	if diff := cmp.Diff(wantNames, f.Names()); diff != "" {
		t.Error(diff)
	}
	if f.Size() != int64(len(data)) {
		t.Errorf("got size %d, want %d", f.Size(), len(data))
	}
	if _, ok := f.Tensor("absent"); ok {
		t.Error("a tensor that is not there was found")
	}
	if !bytes.Equal(data, encode(t, tensors, metadata)) {
		t.Error("the same tensors gave other bytes")
	}
	if n := binary.LittleEndian.Uint64(data); (8+n)%64 != 0 {
		t.Errorf("the data begin at %d", 8+n)
	}
}

func TestConversions(t *testing.T) {
	f, err := Parse("test", encode(t, everyType(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]float32{
		"floats": {1, 2, 3, -4, 5e-30, float32(math.Inf(1))},
		"half":   {1, -0.5, 65504},
		"brain":  {1, -2},
		"empty":  {},
	} {
		tensor, _ := f.Tensor(name)
		got, err := tensor.Float32s()
		if err != nil || !cmp.Equal(got, want) || tensor.Len() != len(want) {
			t.Errorf("%s: got %v, want %v (%v)", name, got, want, err)
		}
	}
	for name, want := range map[string][]int32{"ids": {-7}, "wide": {-1, 1 << 30}} {
		tensor, _ := f.Tensor(name)
		if got, err := tensor.Int32s(); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: got %v, want %v (%v)", name, got, want, err)
		}
	}
	tiny, _ := f.Tensor("tiny")
	if got, err := tiny.Int8s(); err != nil || !cmp.Equal(got, []int8{-128, 127}) {
		t.Errorf("tiny: %v (%v)", got, err)
	}
}

func TestConversionRefusals(t *testing.T) {
	floats := FromFloat32s("w", []int{1}, []float32{1})
	ids := FromInt32s("i", []int{1}, []int32{1})
	_, err := ids.Float32s()
	wantError(t, err, "i: got type I32, want F32, F16 or BF16")
	_, err = floats.Int32s()
	wantError(t, err, "w: got type F32, want I32 or I64")
	_, err = floats.Int8s()
	wantError(t, err, "w: got type F32, want I8")
	_, err = FromInt64s("big", []int{1}, []int64{math.MaxInt32 + 1}).Int32s()
	wantError(t, err, "big: element 0 is 2147483648")
	_, err = FromFloat16s("h", []int{2}, []float32{0, 7e4})
	wantError(t, err, "h: element 1 is 70000, beyond the range of F16")
	if _, ok := ids.FloatView(); ok {
		t.Error("I32 was given as floats")
	}
}

// TestUnaligned reads the same file at every offset from an aligned address.
func TestUnaligned(t *testing.T) {
	tensors := everyType(t)
	data := encode(t, tensors, nil)
	buffer := make([]byte, len(data)+8)
	for shift := range 8 {
		copy(buffer[shift:], data)
		f, err := Parse("test", buffer[shift:shift+len(data)])
		if err != nil {
			t.Fatal(err)
		}
		floats, _ := f.Tensor("floats")
		got, err := floats.Float32s()
		if err != nil || !cmp.Equal(got, []float32{1, 2, 3, -4, 5e-30, float32(math.Inf(1))}) {
			t.Fatalf("shift %d: %v (%v)", shift, got, err)
		}
		view, ok := floats.FloatView()
		if littleEndian && ok != (shift%4 == 0) {
			t.Errorf("shift %d: view is %v", shift, ok)
		}
		if ok && !cmp.Equal(view, got) {
			t.Errorf("shift %d: the view differs: %v", shift, view)
		}
		wide, _ := f.Tensor("wide")
		if ids, err := wide.Int32s(); err != nil || !cmp.Equal(ids, []int32{-1, 1 << 30}) {
			t.Errorf("shift %d: %v (%v)", shift, ids, err)
		}
	}
}

// TestFloat16 goes through every value of 16 bits: what F16 holds survives the way to float32 and back.
func TestFloat16(t *testing.T) {
	data := make([]byte, 2<<16)
	for i := range 1 << 16 {
		binary.LittleEndian.PutUint16(data[2*i:], uint16(i))
	}
	values, err := Tensor{Name: "h", DType: F16, Shape: []int{1 << 16}, Data: data}.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		exponent, mantissa := i>>10&31, float64(i&1023)
		want := math.Ldexp(1+mantissa/1024, exponent-15)
		switch {
		case exponent == 0:
			want = math.Ldexp(mantissa/1024, -14)
		case exponent == 31 && mantissa == 0:
			want = math.Inf(1)
		case exponent == 31:
			want = math.NaN()
		}
		if i >= 1<<15 {
			want = -want
		}
		if float64(v) != want && !(math.IsNaN(want) && v != v) {
			t.Fatalf("%#04x: got %g, want %g", i, v, want)
		}
		if v != v {
			continue
		}
		back, err := FromFloat16s("h", []int{1}, []float32{v})
		if err != nil || !bytes.Equal(back.Data, data[2*i:2*i+2]) {
			t.Fatalf("%#04x came back as %x (%v)", i, back.Data, err)
		}
	}
}

func TestReference(t *testing.T) {
	paths, err := filepath.Glob(reference + "/*/*.safetensors")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no reference files (%v)", err)
	}
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range f.Names() {
			tensor, _ := f.Tensor(name)
			if tensor.DType == F32 {
				if values, err := tensor.Float32s(); err != nil || len(values) != tensor.Len() {
					t.Errorf("%s: %s: %v", path, name, err)
				}
			}
		}
		if tensor, ok := f.Tensor("embed.weight"); ok {
			torch := !strings.Contains(path, "d32-tied-head") // wrote the others, and says so
			if tensor.Shape[0] != 300 || torch != (f.Metadata()["format"] == "pt") {
				t.Errorf("%s: shape %v, metadata %v", path, tensor.Shape, f.Metadata())
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if err != nil && (len(err.Error()) > 1000 || strings.Contains(err.Error(), "\n")) {
		t.Errorf("not one sentence: %v", err)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors")
	good := []Tensor{FromFloat32s("w", []int{2}, []float32{1, 2})}
	if err := WriteFile(path, good, nil); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, []Tensor{FromFloat32s("w", []int{3}, []float32{9, 9})}, nil)
	wantError(t, err, "safetensors: "+path+": w: got 8 bytes, want 12 for shape (3) of F32")
	wantError(t, WriteFile(filepath.Dir(path), good, nil), "safetensors: "+filepath.Dir(path)+": got a directory, want a file to write")
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, _ := f.Tensor("w")
	if got, err := w.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2}) {
		t.Errorf("the old file is gone: %v (%v)", got, err)
	}
	// A mapped file that is replaced stays whole for who has it open.
	if runtime.GOOS != "windows" {
		if err := WriteFile(path, []Tensor{FromFloat32s("w", []int{1}, []float32{3})}, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2}) {
			t.Errorf("the mapped file changed: %v (%v)", got, err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	wantError(t, Write(full, []Tensor{FromFloat32s("w", []int{2}, []float32{1, 2})}, nil), "no space left on device")
}

func TestRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := []DType{F32, F16, BF16, U8, I8, I32, I64, U32}
		names := rapid.SliceOfNDistinct(rapid.StringN(0, 20, 60), 0, 6, rapid.ID).Draw(t, "names")
		var tensors []Tensor
		for _, name := range names {
			if name == metadataName {
				continue
			}
			dtype := rapid.SampledFrom(types).Draw(t, "dtype")
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
			size, err := byteSize(dtype, shape)
			if err != nil {
				t.Fatal(err)
			}
			data := rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "data")
			tensors = append(tensors, Tensor{Name: name, DType: dtype, Shape: shape, Data: data})
		}
		var out bytes.Buffer
		if err := Write(&out, tensors, nil); err != nil {
			t.Fatal(err)
		}
		f, err := Parse("test", out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tensors {
			got, ok := f.Tensor(want.Name)
			if !ok || got.DType != want.DType || len(got.Shape) != len(want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}

// smallReference keeps a reference file's small tensors: fuzzing is slow on long inputs.
func smallReference(f *testing.F, path string) []byte {
	file, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	var small []Tensor
	for _, name := range file.Names() {
		if tensor, _ := file.Tensor(name); len(tensor.Data) <= 128 {
			small = append(small, tensor)
		}
	}
	var out bytes.Buffer
	if err := Write(&out, small, file.Metadata()); err != nil {
		f.Fatal(err)
	}
	return out.Bytes()
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"d32-none", "d32-delta"} {
		f.Add(smallReference(f, filepath.Join(reference, dir, "model.safetensors")))
	}
	f.Add(raw(`{"__metadata__":null}`, nil))
	f.Add(raw(`{"__metadata__":{"format":"pt"},"w":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},"i":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}`, make([]byte, 12)))
	f.Add(raw(`{}`, nil))
	for _, c := range refused() {
		if len(c.data) < 1<<12 {
			f.Add(c.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		alloctest.Bounded(t, len(data), 20, func() { file, err = Parse("fuzz", data) })
		if err != nil {
			if !strings.HasPrefix(err.Error(), "safetensors: fuzz: ") {
				t.Fatalf("the error %q does not name the file", err)
			}
			return
		}
		var tensors []Tensor
		total := 0
		for _, name := range file.Names() {
			tensor, ok := file.Tensor(name)
			if !ok {
				t.Fatalf("%q is listed and not there", name)
			}
			if values, err := tensor.Float32s(); err == nil && len(values) != tensor.Len() {
				t.Fatalf("%q: %d values, length %d", name, len(values), tensor.Len())
			}
			tensor.Int32s()
			tensor.FloatView()
			total += len(tensor.Data)
			tensors = append(tensors, tensor)
		}
		if header := int(binary.LittleEndian.Uint64(data)); 8+header+total != len(data) {
			t.Fatalf("%d bytes of tensors in a file of %d", total, len(data))
		}
		var out bytes.Buffer
		if err := Write(&out, tensors, file.Metadata()); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Parse("again", out.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		for _, want := range tensors {
			got, _ := again.Tensor(want.Name)
			if got.DType != want.DType || !cmp.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
				t.Fatalf("got %v, want %v", got, want)
			}
		}
	})
}
