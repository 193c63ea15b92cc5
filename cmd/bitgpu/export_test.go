package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu"
)

// A model of a public family has the same id and writes the same text in every form, and from bytes.
func TestExportOfPublicModels(t *testing.T) {
	folder := os.Getenv("BITGPU_PUBLIC_MODELS")
	if folder == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	from, dir := filepath.Join(folder, "b_qwen35", "model-PQ2_0.gguf"), t.TempDir()
	id, want := "", ""
	check := func(what string, m *bitgpu.Model, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer m.Close()
		text, err := m.Generate(t.Context(), "the dog", bitgpu.Options{MaxTokens: 20})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if id == "" {
			id, want = m.ID(), text
		}
		if m.ID() != id || text != want || m.ChatTemplate() == nil {
			t.Errorf("%s: got the id %s and the text %q, want %s and %q", what, m.ID(), text, id, want)
		}
	}
	load := func(path string) {
		t.Helper()
		m, err := bitgpu.Load(path, bitgpu.WithBackend(bitgpu.CPU))
		check(path, m, err)
	}
	load(from)
	for _, name := range []string{"a.bitt", "b/", "c.gguf", "d.bitt", "e.gguf --type q2_0"} {
		args := strings.Fields(name)
		slash := strings.HasSuffix(args[0], "/")
		if args[0] = filepath.Join(dir, args[0]); slash {
			args[0] += "/"
		}
		r := bitgpuRun("", append([]string{"export", "-m", from, "-o"}, args...)...)
		if r.code != 0 || r.out != "" || !strings.Contains(r.err, "kB, from ") && !strings.Contains(r.err, "MB, from ") {
			t.Fatalf("%s: %+v", name, r)
		}
		load(args[0])
		from = args[0]
	}
	data, err := os.ReadFile(filepath.Join(dir, "a.bitt"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := bitgpu.LoadBytes("bytes", data, bitgpu.WithBackend(bitgpu.CPU))
	check("bytes", m, err)
	for args, want := range map[string]string{
		"x.bitt --pack":         "is a model of a public family, which is packed already",
		"x.bitt --type q2_0":    `export: --type: got "q2_0", which is for files that end in .gguf`,
		"x.gguf --type q4_0":    `export: --type: got "q4_0", want pq2_0, q2_0, tq2_0 or i2_s`,
		"x.gguf --type i2_s":    "type I2_S says that the inputs of products are rounded to int8",
		"x.safetensors":         "a name that ends in .bitt",
		"a.bitt/y.gguf --type=": `export: --type: got ""`,
	} {
		r := bitgpuRun("", append([]string{"export", "-m", from, "-o"}, strings.Fields(filepath.Join(dir, args))...)...)
		if r.code == 0 || !strings.Contains(r.err, want) {
			t.Errorf("%s: got %d and %q, want %q", args, r.code, r.err, want)
		}
	}
}
