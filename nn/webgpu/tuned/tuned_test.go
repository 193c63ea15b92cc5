package tuned

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/op"
	"bitgpu/nn/webgpu"
)

// product opens what the file at path knows, runs one product and ends it.
func product(t *testing.T, path string) {
	t.Helper()
	ops := webgpu.New(gputest.Device(t))
	done := open(ops, path)
	h, w, y := ops.New(op.F32, 1, 64), ops.NewTernary(8, 64, 1, false), ops.New(op.F32, 1, 8)
	p, err := ops.Prepare(op.Program[*webgpu.Tensor]{&op.Linear[*webgpu.Tensor]{Y: y, Addend: y, X: h, W: w}})
	if err != nil {
		t.Fatal(err)
	}
	p.Run()
	p.Release()
	ops.Release(h, w, y)
	done()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRemembers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "tuning.json")
	product(t, path)
	info := gputest.Device(t).Info()
	first := read(t, path)
	for _, want := range []string{info.Name, info.Driver, "linear_vector ternary n=1 quads=2 blocks=1", `"lanes": 1`} {
		if !bytes.Contains(first, []byte(want)) {
			t.Errorf("%q is missing from %s", want, first)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil { // a file written again is another file
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	product(t, path)
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("what is known was measured again: %v", err)
	}
}

// TestMeasuresAgain holds that whatever the file holds is no error, and is replaced.
func TestMeasuresAgain(t *testing.T) {
	e := entryOf(gputest.Device(t).Info())
	for name, content := range map[string]string{
		"empty": "", "no JSON": "\x00\xff{", "another shape": `{"adapter": 3}`, "nulls": `[null, {"variants": null}]`,
		"another driver":      `[{"adapter": "` + e.Adapter + `", "driver": "0", "shaders": "` + e.Shaders + `", "variants": {}}]`,
		"a choice of nothing": `[{"adapter": "` + e.Adapter + `", "driver": "` + e.Driver + `", "shaders": "` + e.Shaders + `", "variants": {"linear_vector ternary n=1 quads=2 blocks=1": {"lanes": 0, "workgroup": 999}}}]`,
		"too large":           strings.Repeat(" ", maxFile) + "[]",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tuning.json")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			product(t, path)
			known := load(path)
			if n := len(known); n == 0 || known[n-1].identity != e.identity || strings.Contains(string(read(t, path)), "999") {
				t.Errorf("%+v", known)
			}
			for _, other := range known[:len(known)-1] {
				if other.Adapter == e.Adapter {
					t.Errorf("two entries of one adapter: %+v", known)
				}
			}
		})
	}
}

// TestNowhereToWrite holds that a file which cannot be written is no error.
func TestNowhereToWrite(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	product(t, filepath.Join(blocked, "tuning.json"))
}

// TestOthersStay holds that other adapters' entries are kept.
func TestOthersStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tuning.json")
	const other = `{"adapter": "Other GPU", "driver": "1", "shaders": "2", "variants": {"a": {"tiles": true}}}`
	if err := os.WriteFile(path, []byte("["+other+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	product(t, path)
	if known := load(path); len(known) != 2 || !bytes.Contains(read(t, path), []byte(`"Other GPU"`)) || !bytes.Contains(read(t, path), []byte(`"tiles": true`)) {
		t.Errorf("got %s, want two adapters", read(t, path))
	}
}

// TestSoftware holds that software adapters are left as they are.
func TestSoftware(t *testing.T) {
	dev := gputest.Device(t)
	if dev.Info().Hardware() {
		t.Skip("the adapter is hardware")
	}
	folder := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", folder)
	ops, done := Open(dev)
	h, w, y := ops.New(op.F32, 1, 64), ops.NewTernary(8, 64, 1, false), ops.New(op.F32, 1, 8)
	p, err := ops.Prepare(op.Program[*webgpu.Tensor]{&op.Linear[*webgpu.Tensor]{Y: y, Addend: y, X: h, W: w}})
	if err != nil {
		t.Fatal(err)
	}
	p.Run()
	p.Release()
	ops.Release(h, w, y)
	done()
	if _, err := os.Stat(filepath.Join(folder, "bitgpu")); err == nil {
		t.Error("something was measured")
	}
}
