//go:build unix

package regular

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestGuardWhileItCloses: a file that is cut while it is read is named, although what reads it ends its map on the way out.
func TestGuardWhileItCloses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	size := 4 * os.Getpagesize()
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := byte(0)
	read := func(cut bool) error {
		return Guard(func() error {
			data, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
			if err != nil {
				return err
			}
			Mapped(path, data)
			defer func() {
				Unmapped(data)
				syscall.Munmap(data)
			}()
			if cut {
				if err := os.Truncate(path, 0); err != nil {
					return err
				}
			}
			for _, b := range data {
				sum += b
			}
			return nil
		})
	}
	if err := read(false); err != nil {
		t.Fatalf("a whole file: %v", err)
	}
	if err := read(true); err == nil || !strings.HasPrefix(err.Error(), path+": the file was cut") {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}
