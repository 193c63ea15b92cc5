package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every command has a page with all of its flags, which man's formatter takes without a complaint.
func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man pages")
	succeed(t, "", "__man", "--date", "2026-01-02", dir)
	app := newApp(nil, nil, nil)
	program, err := os.ReadFile(filepath.Join(dir, "bitgpu.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range app.VisibleCommands() {
		path := filepath.Join(dir, "bitgpu-"+c.Name+".1")
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(program), roff("bitgpu-"+c.Name)) {
			t.Errorf("bitgpu.1 does not name %s", c.Name)
		}
		for _, f := range c.Flags {
			if name := roff(dashes(f.Names()[0])); !strings.Contains(string(page), name) {
				t.Errorf("%s: got no %s, want it", path, name)
			}
		}
		if groff, err := exec.LookPath("groff"); err == nil {
			format := exec.Command(groff, "-man", "-Tutf8", "-ww", "-Kutf8", path)
			var complaints strings.Builder
			format.Stderr = &complaints
			if out, err := format.Output(); err != nil || complaints.Len() > 0 || !strings.Contains(string(out), c.Name) {
				t.Errorf("%s: %v\n%s", path, err, complaints.String())
			}
		}
	}
	refuse(t, exitUsage, bitgpuRun("", "__man", "--date", "today", dir), "__man: --date: ")
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{".x": `\&.x`, `a\n`: `a\en`, "--k": `\-\-k`, "'x'": `\(aqx\(aq`, "größe": "größe"} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
