package bitt

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/io/internal/alloctest"
	"bitgpu/io/safetensors"

	"github.com/google/go-cmp/cmp"
)

const reference = "../../testdata/reference"

var weights = []safetensors.Tensor{
	safetensors.FromFloat32s("w", []int{2, 2}, []float32{1, 2, 3, 4}),
	safetensors.FromUint8s("q", []int{3}, []byte{1, 2, 3}),
}

// raw puts a file together without the checks of Write.
func raw(t testing.TB, header string, tensors []safetensors.Tensor) []byte {
	t.Helper()
	data := binary.LittleEndian.AppendUint64([]byte(Magic), uint64(len(header)))
	body := bytes.NewBuffer(append(data, header...))
	if err := safetensors.Write(body, tensors, nil); err != nil {
		t.Fatal(err)
	}
	return body.Bytes()
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func wantWeights(t *testing.T, f *File) {
	t.Helper()
	w, ok := f.Tensors.Tensor("w")
	if !ok {
		t.Fatal("w is lost")
	}
	if got, err := w.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2, 3, 4}) {
		t.Errorf("w: %v (%v)", got, err)
	}
}

func TestBothVariants(t *testing.T) {
	object := `{"model": {"type":"BPE","vocab":{"é\"":0}}}`
	quoted, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	// The spaces move the body to every offset, so that tensors are unaligned in most cases.
	for spaces := range 8 {
		for variant, tokenizer := range map[string]string{"object": object, "string": string(quoted)} {
			header := `{"tokenizer":` + tokenizer + `,"config":{"dim": 4},"other":[1]}` + strings.Repeat(" ", spaces)
			f, err := Parse("model.bitt", raw(t, header, weights))
			if err != nil {
				t.Fatal(err)
			}
			if string(f.Tokenizer) != object || string(f.Config) != `{"dim": 4}` {
				t.Errorf("%s: config %s, tokenizer %s", variant, f.Config, f.Tokenizer)
			}
			wantWeights(t, f)
		}
	}
}

func TestNoTokenizer(t *testing.T) {
	for _, header := range []string{`{"config":{}}`, `{"config":{},"tokenizer":null}`} {
		f, err := Parse("model.bitt", raw(t, header, weights))
		if err != nil {
			t.Fatal(err)
		}
		if f.Tokenizer != nil {
			t.Errorf("%s: tokenizer %s", header, f.Tokenizer)
		}
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.bitt")
	metadata := map[string]string{"by": "test"}
	for _, tokenizer := range []json.RawMessage{json.RawMessage(` {"a": "< é"} `), nil} {
		if err := WriteFile(path, json.RawMessage("{\n \"dim\": 4}\n"), tokenizer, weights, metadata); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Config) != `{"dim":4}` || (tokenizer == nil) != (f.Tokenizer == nil) {
			t.Errorf("config %s, tokenizer %s", f.Config, f.Tokenizer)
		}
		if tokenizer != nil && string(f.Tokenizer) != `{"a":"< é"}` {
			t.Errorf("tokenizer %s", f.Tokenizer)
		}
		if diff := cmp.Diff(metadata, f.Tensors.Metadata()); diff != "" {
			t.Error(diff)
		}
		wantWeights(t, f)
		if w, _ := f.Tensors.Tensor("w"); binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
			if _, ok := w.FloatView(); !ok {
				t.Error("a written file is not aligned")
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if body := 12 + binary.LittleEndian.Uint64(data[4:]); body%64 != 0 {
			t.Errorf("the body begins at %d", body)
		}
		var again bytes.Buffer
		if err := Write(&again, f.Config, f.Tokenizer, weights, metadata); err != nil || !bytes.Equal(again.Bytes(), data) {
			t.Errorf("the same model gave other bytes (%v)", err)
		}
	}
}

func TestReference(t *testing.T) {
	for _, dir := range []string{"d32-none", "d32-delta", "d36-absmean"} {
		f, err := Open(filepath.Join(reference, dir, "model.bitt"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want, err := safetensors.Open(filepath.Join(reference, dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer want.Close()
		if diff := cmp.Diff(want.Names(), f.Tensors.Names()); diff != "" {
			t.Error(diff)
		}
		for _, name := range want.Names() {
			a, _ := want.Tensor(name)
			b, _ := f.Tensors.Tensor(name)
			if !bytes.Equal(a.Data, b.Data) {
				t.Errorf("%s: %s differs from model.safetensors", dir, name)
			}
		}
		for part, got := range map[string]json.RawMessage{"config.json": f.Config, "tokenizer.json": f.Tokenizer} {
			file, err := os.ReadFile(filepath.Join(reference, dir, part))
			if err != nil {
				t.Fatal(err)
			}
			var a, b any
			if err := json.Unmarshal(file, &a); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(got, &b); err != nil || !cmp.Equal(a, b) {
				t.Errorf("%s: the header's part differs from %s (%v)", dir, part, err)
			}
		}
	}
}

type refusal struct {
	name string
	data []byte
	want string
}

// refused are files that are no models, and what is said of them.
func refused(t testing.TB) []refusal {
	length := func(n uint64) []byte { return append(binary.LittleEndian.AppendUint64([]byte(Magic), n), "{}"...) }
	return []refusal{
		{"empty", nil, `begins with "", want "BITT"`},
		{"short", []byte("BITT\x00"), "got 5 bytes, want at least 12"},
		{"magic", []byte("GGUF0123456789"), `begins with "GGUF", want "BITT"`},
		{"length", length(3), "header of 3 bytes announced, 2 bytes follow"},
		{"length 2^63", length(1 << 63), "header of 9223372036854775808 bytes announced, 2 bytes follow"},
		{"length 2^64-1", length(math.MaxUint64), "bytes announced, 2 bytes follow"},
		{"no JSON", raw(t, `{"config"}`, nil), "header is not JSON: invalid character '}'"},
		{"array", raw(t, `[]`, nil), "header is not a JSON object"},
		{"no config", raw(t, `{"tokenizer":{}}`, nil), "the header has no config"},
		{"config null", raw(t, `{"config":null}`, nil), "config: not a JSON object"},
		{"config twice", raw(t, `{"config":{},"config":{}}`, nil), "the header has config twice"},
		{"tokenizer number", raw(t, `{"config":{},"tokenizer":1}`, nil), "tokenizer: neither a JSON object nor a string that holds one"},
		{"tokenizer text", raw(t, `{"config":{},"tokenizer":"hello"}`, nil), "tokenizer: not a string with a JSON object inside: invalid character 'h'"},
		{"tokenizer list", raw(t, `{"config":{},"tokenizer":"[]"}`, nil), "tokenizer: not a string with a JSON object inside: not an object"},
		{"no body", length(2)[:14], "the header has no config"},
		{"empty body", append(binary.LittleEndian.AppendUint64([]byte(Magic), 13), `{"config":{}}`...), "safetensors: model.bitt: got 0 bytes"},
		{"cut body", raw(t, `{"config":{}}`, weights)[:150], "safetensors: model.bitt: "},
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range refused(t) {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("model.bitt", c.data)
			wantError(t, err, c.want)
			if err != nil && (!strings.HasPrefix(err.Error(), "bitt: ") || !strings.Contains(err.Error(), "model.bitt: ")) {
				t.Errorf("the file is not named: %v", err)
			}
		})
	}
}

func TestWriteRefusals(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.bitt")
	if err := WriteFile(path, json.RawMessage(`{}`), nil, weights, nil); err != nil {
		t.Fatal(err)
	}
	wrong := []safetensors.Tensor{safetensors.FromFloat32s("w", []int{2}, nil)}
	cases := []struct {
		config, tokenizer string
		tensors           []safetensors.Tensor
		want              string
	}{
		{``, `{}`, weights, "config: not a JSON object: unexpected end of JSON input"},
		{`[]`, `{}`, weights, "config: not a JSON object: not an object"},
		{`{}`, `"{}"`, weights, "tokenizer: not a JSON object: not an object"},
		{`{}`, `{}`, wrong, "w: got 0 bytes, want 8 for shape (2) of F32"},
	}
	for _, c := range cases {
		err := WriteFile(path, json.RawMessage(c.config), json.RawMessage(c.tokenizer), c.tensors, nil)
		wantError(t, err, "bitt: "+path+": ")
		wantError(t, err, c.want)
		f, err := Open(path)
		if err != nil {
			t.Fatalf("the old file is gone: %v", err)
		}
		wantWeights(t, f)
		f.Close()
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full")
	}
	defer full.Close()
	wantError(t, Write(full, json.RawMessage(`{}`), nil, weights, nil), "no space left on device")
}

// TestMemory: a header costs at most twice its size, even with a tokenizer in a string.
func TestMemory(t *testing.T) {
	quoted, err := json.Marshal(`{"vocab":"` + strings.Repeat("ab\\n", 1<<20) + `"}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"string":  raw(t, `{"config":{},"tokenizer":`+string(quoted)+`}`, nil),
		"members": raw(t, `{"config":{}`+strings.Repeat(`,"":0`, 1<<20)+`}`, nil),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse("large", data)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > 2*uint64(len(data)) {
			t.Errorf("%s: %d bytes taken for a file of %d", name, taken, len(data))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, dir := range []string{"d32-none", "d32-delta"} {
		file, err := Open(filepath.Join(reference, dir, "model.bitt"))
		if err != nil {
			f.Fatal(err)
		}
		norm, ok := file.Tensors.Tensor("norm_f.weight")
		if !ok {
			f.Fatalf("%s has no norm_f.weight", dir)
		}
		// The whole tokenizer and all tensors would make the fuzzer slow.
		header := `{"config":` + string(file.Config) + `,"tokenizer":"{\"model\":{}}"}`
		f.Add(raw(f, header, []safetensors.Tensor{norm}))
		file.Close()
	}
	f.Add(raw(f, `{"config":{},"tokenizer":{"a":[1,"x"]}}   `, weights))
	for _, c := range refused(f) {
		f.Add(c.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		alloctest.Bounded(t, len(data), 40, func() { file, err = Parse("fuzz", data) })
		if err != nil {
			if !strings.HasPrefix(err.Error(), "bitt: ") || !strings.Contains(err.Error(), "fuzz: ") {
				t.Fatalf("the error %q does not name the file", err)
			}
			return
		}
		var tensors []safetensors.Tensor
		for _, name := range file.Tensors.Names() {
			tensor, _ := file.Tensors.Tensor(name)
			tensors = append(tensors, tensor)
		}
		var out bytes.Buffer
		if err := Write(&out, file.Config, file.Tokenizer, tensors, file.Tensors.Metadata()); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Parse("again", out.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if (file.Tokenizer == nil) != (again.Tokenizer == nil) {
			t.Fatalf("tokenizer %q became %q", file.Tokenizer, again.Tokenizer)
		}
	})
}
