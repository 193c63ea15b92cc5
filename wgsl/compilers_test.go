package wgsl

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// workgroupSizes are those at which every kernel that has the constant WORKGROUP must compile.
var workgroupSizes = []uint32{32, 64, 128, 256}

// variants writes the text of every kernel at every workgroup size and returns the files' names.
func variants(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for _, k := range All() {
		sizes := workgroupSizes
		if _, ok := k.Consts["WORKGROUP"]; !ok {
			sizes = []uint32{0}
		}
		for _, size := range sizes {
			var consts Consts
			if size > 0 {
				consts = Consts{"WORKGROUP": size}
			}
			text, err := k.Source(consts)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, fmt.Sprintf("%s_%d.wgsl", k.Name, size))
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
	}
	return names
}

// TestCurrentCompilers holds the kernels against the compilers of newer bindings and browsers, where installed.
func TestCurrentCompilers(t *testing.T) {
	for _, compiler := range []struct {
		name string
		args []string
	}{
		{"naga", nil},
		{"tint", []string{"--format", "wgsl"}},
	} {
		t.Run(compiler.name, func(t *testing.T) {
			path, err := exec.LookPath(compiler.name)
			if err != nil {
				t.Skipf("%s is not installed", compiler.name)
			}
			for _, name := range variants(t) {
				out, err := exec.Command(path, append(compiler.args, name)...).CombinedOutput()
				if err != nil {
					t.Errorf("%s %s: %v\n%s", compiler.name, filepath.Base(name), err, out)
				}
			}
		})
	}
}
