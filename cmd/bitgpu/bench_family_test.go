package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// A family is measured, kept, and shown again.
func TestBenchFamily(t *testing.T) {
	dir := t.TempDir()
	json, html := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	out, _ := mustRun(t, "bench", "--quick", "--backend", "cpu", "--family", "1.7b", "--only", "text|context", "--json", json, "--html", html)
	for _, part := range []string{"Public families", "qwen3-1.7B-tiny/text/b8", "qwen3-1.7B-tiny/context/256"} {
		if !strings.Contains(out, part) {
			t.Errorf("the report lacks %q:\n%s", part, out)
		}
	}
	if strings.Contains(out, "prompt/b1") {
		t.Errorf("a row that was not asked for is in the report:\n%s", out)
	}
	again, _ := mustRun(t, "bench", "--from", json)
	if again != out {
		t.Errorf("got %s, want what was shown at first: %s", again, out)
	}
}

// A file with random weights is one that the program runs.
func TestBenchWritesGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "random.gguf")
	out, _ := mustRun(t, "bench", "--quick", "--write-gguf", path, "--family", "qwen3-1.7B", "--type", "TQ2_0")
	if !strings.Contains(out, "random.gguf: qwen3-1.7B-tiny with random weights as TQ2_0, ") {
		t.Errorf("got %q, want what was written", out)
	}
	_, stats := mustRun(t, "run", "--model", path, "--backend", "cpu", "--prompt", "the", "--max-tokens", "4", "--stats", "--seed", "1")
	if !strings.Contains(stats, "4 tokens in") {
		t.Errorf("got %q, want that 4 tokens were written", stats)
	}
}

func TestBenchFamilyRefuses(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--family 9B", `got "9B", want one of qwen3-100M`},
		{"--family 1.7B --dim 64", "--dim has nothing to act on"},
		{"--family 1.7B --type TQ2_0", "--type has nothing to act on"},
		{"--type TQ2_0", "--type has nothing to act on"},
		{"--family 1.7B --type Q4_K --peer x", `got "Q4_K", want one of PQ2_0`},
		{"--write-gguf x.gguf", "got 0 families"},
		{"--write-gguf x.gguf --family 1.7B,8B", "got 2 families"},
		{"--write-gguf x.gguf --family 1.7B --type Q4_K", `got "Q4_K"`},
		{"--write-gguf x.gguf --family 1.7B --only text", "--only has nothing to act on"},
	} {
		fails(t, exitUsage, c.want, append([]string{"bench"}, strings.Fields(c.args)...)...)
	}
}
