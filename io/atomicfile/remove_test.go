package atomicfile

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRemoveAll(t *testing.T) {
	for name, remove := range map[string]func(string) error{"RemoveAll": RemoveAll, "removeEach": removeEach} {
		dir := t.TempDir()
		kept, gone := filepath.Join(dir, "kept"), filepath.Join(dir, "gone")
		if err := os.MkdirAll(filepath.Join(gone, "a", "b"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{kept, filepath.Join(gone, "file"), filepath.Join(gone, "a", "file")} {
			if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(dir, filepath.Join(gone, "a", "link")); err != nil {
			t.Logf("no links here: %v", err)
		}
		for range 2 { // what is not there is removed already
			if err := remove(gone); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := os.Lstat(gone); !os.IsNotExist(err) {
			t.Errorf("%s: got %v, want nothing there", name, err)
		}
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("%s: what a link names is gone too: %v", name, err)
		}
	}
}
