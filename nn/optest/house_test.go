package optest

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the module.
func root() string { return filepath.Join(ReferenceDir("."), "..", "..") }

// mayImport says which packages of this module a package may import, except in tests; the first row
// that fits counts. A pattern that ends in /... means a folder and all below it; bitgpu is the module, whatever its path is.
var mayImport = []struct {
	from string
	to   []string
}{
	{"bitgpu/wgsl", nil},
	{"bitgpu/gpu/...", []string{"bitgpu/gpu/...", "bitgpu/wgsl"}},
	{"bitgpu/internal/await", nil},
	{"bitgpu/internal/units", nil},
	{"bitgpu/io/...", []string{"bitgpu/io/...", "bitgpu/internal/await"}},
	{"bitgpu/nn/ternary", nil},
	{"bitgpu/nn/quants", nil},
	{"bitgpu/nn/op", []string{"bitgpu/nn/ternary", "bitgpu/nn/quants"}},
	{"bitgpu/nn/layer", []string{"bitgpu/nn/op"}},
	{"bitgpu/nn/arch", []string{"bitgpu/nn/op", "bitgpu/nn/layer"}},
	{"bitgpu/nn", []string{"bitgpu/nn/ternary", "bitgpu/nn/op", "bitgpu/nn/layer", "bitgpu/nn/arch"}},
	{"bitgpu/nn/cpu/...", []string{"bitgpu/nn/op", "bitgpu/nn/ternary", "bitgpu/nn/quants", "bitgpu/nn/cpu/..."}},
	{"bitgpu/nn/webgpu/tuned", []string{"bitgpu/nn/webgpu", "bitgpu/gpu", "bitgpu/wgsl", "bitgpu/io/atomicfile"}},
	{"bitgpu/nn/webgpu/...", []string{"bitgpu/nn/op", "bitgpu/nn/ternary", "bitgpu/nn/quants", "bitgpu/nn/webgpu/...", "bitgpu/gpu", "bitgpu/wgsl"}},
	{"bitgpu/nn/train/ranks", []string{"bitgpu/nn", "bitgpu/nn/op", "bitgpu/nn/cpu/parallel", "bitgpu/nn/train", "bitgpu/nn/train/device", "bitgpu/nn/train/mpi"}},
	{"bitgpu/nn/train/mpi", []string{"bitgpu/nn/train"}},
	{"bitgpu/nn/train/device", []string{"bitgpu/nn", "bitgpu/nn/op", "bitgpu/nn/cpu/...", "bitgpu/nn/train", "bitgpu/nn/webgpu/...", "bitgpu/internal/units", "bitgpu/io/regular"}},
	{"bitgpu/nn/train/prepare", []string{"bitgpu/nn", "bitgpu/nn/op", "bitgpu/nn/storage", "bitgpu/nn/train", "bitgpu/nn/train/device", "bitgpu/nn/train/ranks", "bitgpu/io/..."}},
	{"bitgpu/nn/...", []string{"bitgpu/nn", "bitgpu/nn/op", "bitgpu/nn/layer", "bitgpu/nn/arch", "bitgpu/nn/ternary", "bitgpu/nn/quants", "bitgpu/nn/storage/...", "bitgpu/nn/cpu/...", "bitgpu/io/..."}},
	{"bitgpu/serve/store", []string{"bitgpu/io/atomicfile"}},
	{"bitgpu/serve", []string{"bitgpu", "bitgpu/serve/store", "bitgpu/io/..."}},
	{"bitgpu/cmd/...", []string{"bitgpu/..."}},
	{"bitgpu/bench/...", []string{"bitgpu", "bitgpu/bench/...", "bitgpu/nn/...", "bitgpu/io/...", "bitgpu/gpu/...", "bitgpu/wgsl", "bitgpu/internal/units"}},
	{"bitgpu/...", []string{"bitgpu/nn/...", "bitgpu/io/...", "bitgpu/gpu", "bitgpu/wgsl"}},
}

// bindings are the packages that access a GPU; only package gpu and those below it may import them.
var bindings = []string{"github.com/rajveermalviya/go-webgpu/wgpu", "github.com/cogentcore/webgpu/wgpu"}

// named returns the name that a package of this module has in the table.
func named(path, module string) string {
	if path == module || strings.HasPrefix(path, module+"/") {
		return "bitgpu" + strings.TrimPrefix(path, module)
	}
	return path
}

func fits(path, pattern string) bool {
	folder, all := strings.CutSuffix(pattern, "/...")
	return path == folder || all && strings.HasPrefix(path, folder+"/")
}

// allowed reports whether package from may import package to.
func allowed(from, to string) bool {
	if slices.Contains(bindings, to) {
		return from == "bitgpu/gpu/internal/wgpu"
	}
	if !fits(to, "bitgpu/...") {
		return true
	}
	for _, row := range mayImport {
		if fits(from, row.from) {
			return slices.ContainsFunc(row.to, func(p string) bool { return fits(to, p) })
		}
	}
	return false
}

// Imports go one way: cmd → bitgpu, bench → backends, training → nn → ternary, and webgpu → gpu →
// wgsl. Formats of files know nothing of models, and models nothing of files or devices.
func TestImportDirection(t *testing.T) {
	// go test repeats a result until a file changes that the test itself has looked at, so it looks at those of go list.
	if err := filepath.WalkDir(root(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root() && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{} // what a package imports, "from to"
	for _, built := range []struct {
		tags string
		env  []string
	}{
		{"", nil}, {"mpi,window", nil}, {"wgpu22", nil},
		{"", []string{"GOOS=js", "GOARCH=wasm", "CGO_ENABLED=0"}}, {"", []string{"GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0"}},
	} {
		// With -e, modules that only such a build needs may be missing on this machine.
		list := exec.Command("go", "list", "-e", "-tags", built.tags, "-json=ImportPath,Imports,Module", "./...")
		list.Dir, list.Stderr, list.Env = root(), os.Stderr, append(os.Environ(), built.env...)
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -tags %q %v: %v", built.tags, built.env, err)
		}
		for d := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p struct {
				ImportPath string
				Imports    []string
				Module     struct{ Path string }
			}
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			from := named(p.ImportPath, p.Module.Path)
			for _, to := range p.Imports {
				if to = named(to, p.Module.Path); !allowed(from, to) {
					t.Errorf("%s must not import %s (tags %q, %v)", p.ImportPath, to, built.tags, built.env)
				}
				seen[from+" "+to] = true
			}
		}
	}
	// Each way of building has one of these to itself.
	for _, must := range []string{
		"bitgpu/nn bitgpu/nn/op", "bitgpu/nn/cpu bitgpu/nn/cpu/simd", "bitgpu/gpu/internal/wgpu " + bindings[0], "bitgpu/gpu/internal/wgpu " + bindings[1],
		"bitgpu/nn/train/mpi C", "bitgpu/cmd/bitgpu github.com/go-gl/glfw/v3.3/glfw", "bitgpu/gpu syscall/js", "bitgpu/cmd/bitgpu golang.org/x/sys/windows",
	} {
		if !seen[must] {
			t.Errorf("go list does not show the import %s", must)
		}
	}
	for _, wrong := range [][2]string{
		{"bitgpu/io/bitt", "bitgpu/nn"}, {"bitgpu/nn", "bitgpu/io/safetensors"}, {"bitgpu/nn", "bitgpu/gpu"}, {"bitgpu/nn/cpu", bindings[0]},
		{"bitgpu/nn/train", "bitgpu/nn/webgpu"}, {"bitgpu/wgsl", "bitgpu/gpu"}, {"bitgpu", "bitgpu/cmd/bitgpu"}, {"bitgpu", "bitgpu/bench"},
		{"bitgpu/nn/ternary", "bitgpu/nn"}, {"bitgpu/gpu", "bitgpu/nn"}, {"bitgpu", "bitgpu/serve"}, {"bitgpu/serve", "bitgpu/nn"},
	} {
		if allowed(wrong[0], wrong[1]) {
			t.Errorf("the table lets %s import %s", wrong[0], wrong[1])
		}
	}
}
