package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestPlotFormats: the end of the name says what the picture is, and another end is refused.
func TestPlotFormats(t *testing.T) {
	dir := t.TempDir()
	run := writeText(t, filepath.Join(dir, "metrics.jsonl"), `{"step":0,"loss":2}`+"\n"+`{"step":1,"loss":1}`+"\n")
	for name, want := range map[string]string{"a.png": "\x89PNG", "a.SVG": "<svg"} {
		mustRun(t, "plot", "-o", filepath.Join(dir, name), run)
		if got := string(read(t, dir, name)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %.10q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"a.pdf", "picture"} {
		fails(t, exitUsage, "plot: --output: "+name+": want a name that ends in .png or .svg", "plot", "-o", name, run)
	}
}
