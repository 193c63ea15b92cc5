package mapfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
			t.Errorf("%q wanted, %q found", text, f.Data)
		}
		for range 2 {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]string{
		dir:                          "is a directory",
		filepath.Join(dir, "absent"): "no such file",
		os.DevNull:                   "is not a regular file",
	}
	for path, want := range cases {
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: %q wanted, %v found", path, want, err)
		}
	}
}
