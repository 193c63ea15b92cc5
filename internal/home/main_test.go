package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMove(t *testing.T) {
	root := t.TempDir()
	before := map[string]string{
		"go.mod":     "module bitgpu\n\ngo 1.26.0\n",
		"nn/nn.go":   "// Package nn is bitgpu/nn; see bitgpu/io/bitt and cmd/bitgpu/nn.go.\npackage nn\n\nimport (\n\t\"bitgpu/io/bitt\"\n\t\"fmt\"\n)\n",
		"a_test.go":  "package bitgpu_test\n\nimport api \"bitgpu\"\n\nvar program = `import (\n\t\"bitgpu\"\n\t\"bitgpu/nn\" // x\n)`\n\nvar names = []string{\"bitgpu\", \"bitgpu/nn\"}\n",
		"README.md":  "`go doc bitgpu`, package bitgpu/nn in bitgpu/tuning.json, python/bitgpu/nn.\n<!-- until the module has a home -->\nreplace it\n<!-- from then on:\ngo get HOME\n-->\nend\n",
		"Makefile":   "build:\n\tgo build -gcflags='bitgpu/nn/...=' -o bin/bitgpu ./cmd/bitgpu\n",
		"io/link.md": "",
	}
	after := map[string]string{
		"Makefile":  "build:\n\tgo build -gcflags='example.org/x/bitgpu/nn/...=' -o bin/bitgpu ./cmd/bitgpu\n",
		"go.mod":    "module example.org/x/bitgpu\n\ngo 1.26.0\n",
		"nn/nn.go":  "// Package nn is example.org/x/bitgpu/nn; see example.org/x/bitgpu/io/bitt and cmd/bitgpu/nn.go.\npackage nn\n\nimport (\n\t\"example.org/x/bitgpu/io/bitt\"\n\t\"fmt\"\n)\n",
		"a_test.go": "package bitgpu_test\n\nimport api \"example.org/x/bitgpu\"\n\nvar program = `import (\n\t\"example.org/x/bitgpu\"\n\t\"example.org/x/bitgpu/nn\" // x\n)`\n\nvar names = []string{\"bitgpu\", \"bitgpu/nn\"}\n",
		"README.md": "`go doc bitgpu`, package example.org/x/bitgpu/nn in bitgpu/tuning.json, python/bitgpu/nn.\ngo get example.org/x/bitgpu\nend\n",
	}
	for name, text := range before {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
		if out, err := exec.Command("git", append([]string{"-C", root}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, to := range []string{"", "bitgpu", "example.org", "/usr/bin:/bin", "example.org/x/../y z"} {
		if _, err := move(root, to); err == nil || !strings.Contains(err.Error(), "example.org/x/bitgpu") {
			t.Errorf("%q: got %v, want a refusal that says what is wanted", to, err)
		}
	}
	for _, to := range []string{"example.com/first/home", "example.org/x/bitgpu"} { // it can move again
		if _, err := move(root, to); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range after {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}
