package mapfile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/io/regular"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "some bytes"} {
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Data) != text {
			t.Errorf("got %q, want %q", f.Data, text)
		}
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCut: a file that is cut while it is mapped is an error of one sentence that names it; other panics stay.
func TestCut(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be cut there")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	sum := byte(0)
	err = regular.Guard(func() error {
		for _, b := range f.Data {
			sum += b
		}
		return nil
	})
	if err == nil || !strings.HasPrefix(err.Error(), path+": the file was cut while it was read") {
		t.Errorf("got %v and %d", err, sum)
	}
	defer func() {
		if p := recover(); p != "other" {
			t.Errorf("got the panic %v", p)
		}
	}()
	regular.Guard(func() error { panic("other") })
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]string{
		dir:                          "got a directory, want a file",
		filepath.Join(dir, "absent"): "no such file",
		os.DevNull:                   "got a device, want a regular file",
	}
	for path, want := range cases {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}
