package modeldir

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/bitt"
	"bitgpu/io/safetensors"

	"github.com/google/go-cmp/cmp"
)

const reference = "../../testdata/reference/d32-none"

var weights = []safetensors.Tensor{safetensors.FromFloat32s("w", []int{2}, []float32{1, 2})}

func wantError(t *testing.T, err error, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err != nil && (!strings.HasPrefix(err.Error(), "modeldir: ") || strings.Contains(err.Error(), "\n")) {
		t.Errorf("not one sentence: %v", err)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// encoded is a sound safetensors file.
func encoded(t testing.TB) string {
	var out bytes.Buffer
	if err := safetensors.Write(&out, weights, nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func sameJSON(t *testing.T, what string, a, b []byte) {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil || !cmp.Equal(x, y) {
		t.Errorf("%s differs (%v)", what, err)
	}
}

// TestForms opens the same reference model in each form, under names that say nothing.
func TestForms(t *testing.T) {
	dir := t.TempDir()
	nameless := write(t, filepath.Join(dir, "one"), string(read(t, reference+"/model.bitt")))
	lone := write(t, filepath.Join(dir, "lone", "weights.bin"), string(read(t, reference+"/model.safetensors")))
	write(t, filepath.Join(dir, "lone", ConfigName), string(read(t, reference+"/config.json")))

	want, err := safetensors.Open(reference + "/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	for _, c := range []struct {
		path      string
		form      Form
		tokenizer bool
	}{{reference, Dir, true}, {nameless, Bitt, true}, {lone, Safetensors, false}, {reference + "/model.safetensors", Safetensors, true}} {
		m, err := Open(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if m.Form != c.form || (m.Tokenizer != nil) != c.tokenizer || m.Path != c.path {
			t.Errorf("%s: opened as %s, tokenizer of %d bytes", c.path, m.Form, len(m.Tokenizer))
		}
		sameJSON(t, c.path+": config", m.Config, read(t, reference+"/config.json"))
		if c.tokenizer {
			sameJSON(t, c.path+": tokenizer", m.Tokenizer, read(t, reference+"/tokenizer.json"))
		}
		if diff := cmp.Diff(want.Names(), m.Tensors.Names()); diff != "" {
			t.Error(diff)
		}
		for _, path := range []string{m.ConfigPath, m.TokenizerPath, m.TensorsPath} {
			if !strings.HasPrefix(path, dir) && !strings.HasPrefix(path, filepath.Clean(reference)) {
				t.Errorf("%s: a part is called %q", c.path, path)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestParse(t *testing.T) {
	m, err := Parse("built in", read(t, reference+"/model.bitt"))
	if err != nil {
		t.Fatal(err)
	}
	if m.Form != Bitt || m.ConfigPath != "built in: config" || m.Tokenizer == nil {
		t.Errorf("%s, %s", m.Form, m.ConfigPath)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	_, err = Parse("built in", []byte("GGUF"))
	wantError(t, err, `, want "BITT"`)
}

func TestWriteDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	config := json.RawMessage(`{"z":1,"a":{"kept":[1,2]}}`)
	for _, tokenizer := range []json.RawMessage{json.RawMessage(`{"model":{}}`), nil} {
		if err := WriteDir(dir, config, tokenizer, weights, map[string]string{"k": "v"}); err != nil {
			t.Fatal(err)
		}
		m, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		sameJSON(t, "config", m.Config, config)
		if !bytes.Equal(m.Tokenizer, tokenizer) {
			t.Errorf("got tokenizer %s, want %s", m.Tokenizer, tokenizer)
		}
		if strings.Index(string(m.Config), `"z"`) > strings.Index(string(m.Config), `"a"`) {
			t.Error("the keys were reordered")
		}
		if m.Tensors.Metadata()["k"] != "v" {
			t.Errorf("metadata %v", m.Tensors.Metadata())
		}
		// An open model can be written over itself.
		w, _ := m.Tensors.Tensor("w")
		if err := WriteDir(dir, m.Config, m.Tokenizer, []safetensors.Tensor{w}, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2}) {
			t.Errorf("the open model changed: %v (%v)", got, err)
		}
		m.Close()
	}
}

func TestWriteDirKeepsOldWeights(t *testing.T) {
	dir := t.TempDir()
	if err := WriteDir(dir, json.RawMessage(`{}`), nil, weights, nil); err != nil {
		t.Fatal(err)
	}
	wrong := []safetensors.Tensor{safetensors.FromFloat32s("w", []int{2}, nil)}
	wantError(t, WriteDir(dir, json.RawMessage(`{}`), nil, wrong, nil), filepath.Join(dir, TensorsName)+": safetensors: w: got 0 bytes, want 8 for shape (2) of F32")
	wantError(t, WriteDir(dir, json.RawMessage(`[]`), nil, weights, nil), filepath.Join(dir, ConfigName)+": not a JSON object")
	wantError(t, WriteDir(dir, json.RawMessage(`{}`), json.RawMessage(`{`), weights, nil), filepath.Join(dir, TokenizerName)+": is not JSON")
	file := write(t, filepath.Join(t.TempDir(), "file"), "x")
	wantError(t, WriteDir(file, json.RawMessage(`{}`), nil, weights, nil), file+": the directory cannot be made")
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w, _ := m.Tensors.Tensor("w")
	if got, err := w.Float32s(); err != nil || !cmp.Equal(got, []float32{1, 2}) {
		t.Errorf("the old weights are gone: %v (%v)", got, err)
	}
}

func TestFileRefusals(t *testing.T) {
	dir := t.TempDir()
	length := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	cases := []struct{ name, content, want string }{
		{"empty", "", "an empty file, want a .bitt, a .safetensors or a GGUF file"},
		{"text", "hello", `begins with "hello", which no model does`},
		{"gguf", "GGUF\x03\x00\x00\x00{\x00", "is a GGUF file of llama.cpp, want a .bitt or a .safetensors file"},
		{"pt", "PK\x03\x04rest", "is a ZIP archive, as PyTorch writes"},
		{"pickle", "\x80\x02\x8a\nl\xfc\x9cF\xf9 j", "is a Python pickle file"},
		{"gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00", "is compressed with gzip"},
		{"lfs", "version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"},
		{"json", `{"vocab_size": 300}`, "is JSON, want the directory that holds it, or a .bitt"},
		{"json 2", `{"a":  {{`, "is JSON"},
		{"bitt", "BITT\x00", "got 5 bytes, want at least 12"},
		{"bitt length", "BITT" + length(1<<63) + "{}", "header of 9223372036854775808 bytes announced"},
		{"length", length(1<<63) + "{}", "header of 9223372036854775808 bytes announced, 2 bytes follow"},
		{"length 640", length(640) + "{}", "header of 640 bytes announced, 2 bytes follow"},
		{"length 123", length(123) + "{}", "header of 123 bytes announced, 2 bytes follow"},
	}
	write(t, filepath.Join(dir, ConfigName), `{}`)
	for _, c := range cases {
		path := write(t, filepath.Join(dir, c.name), c.content)
		_, err := Open(path)
		wantError(t, err, path+": ", c.want)
	}
	_, err := Open(os.DevNull)
	wantError(t, err, ", want a regular file")
	_, err = Open(filepath.Join(dir, "absent"))
	wantError(t, err, "absent: no such file or directory, want a model directory, a .bitt, a .safetensors or a GGUF file")
	lone := write(t, filepath.Join(dir, "lone", "model.safetensors"), encoded(t))
	_, err = Open(lone)
	wantError(t, err, lone+": a safetensors file needs its config.json beside it, none found in "+filepath.Dir(lone))
}

func TestDirRefusals(t *testing.T) {
	cases := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"empty", nil, "an empty directory, want config.json and model.safetensors"},
		{"no config", map[string]string{TensorsName: encoded(t), "a": ""}, "no config.json in this directory; found a, model.safetensors"},
		{"no weights", map[string]string{ConfigName: "{}", "model.bitt": ""}, "no model.safetensors in this directory; found config.json, model.bitt"},
		{"many", map[string]string{"1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": ""}, "found 1, 2, 3, 4, 5, 6 and 2 more"},
		{"split", map[string]string{ConfigName: "{}", TensorsName + ".index.json": ""}, "the weights are split into several files"},
		{"config text", map[string]string{ConfigName: "{", TensorsName: encoded(t)}, "config.json: is not JSON: unexpected end of JSON input"},
		{"config list", map[string]string{ConfigName: "[]", TensorsName: encoded(t)}, "config.json: not a JSON object"},
		{"tokenizer text", map[string]string{ConfigName: "{}", TokenizerName: "", TensorsName: encoded(t)}, "tokenizer.json: is not JSON"},
		{"config directory", map[string]string{ConfigName + "/x": "", TensorsName: encoded(t)}, "config.json: got a directory, want a file"},
		{"weights text", map[string]string{ConfigName: "{}", TensorsName: "hello"}, "model.safetensors: got 5 bytes"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				write(t, filepath.Join(dir, name), content)
			}
			_, err := Open(dir)
			wantError(t, err, dir, c.want)
		})
	}
}

func TestByteOrderMark(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, ConfigName), "\ufeff{}")
	write(t, filepath.Join(dir, TensorsName), encoded(t))
	m, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if string(m.Config) != "{}" {
		t.Errorf("config %q", m.Config)
	}
}

// FuzzOpen gives any bytes the name of a model, with a sound config beside them.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(encoded(f)))
	var out bytes.Buffer
	if err := bitt.Write(&out, json.RawMessage(`{}`), json.RawMessage(`{}`), weights, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte("GGUF\x03\x00\x00\x00{"))
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ConfigName), []byte("{}"), 0o644); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "model")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path)
		if err != nil {
			wantError(t, err, path)
			return
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
