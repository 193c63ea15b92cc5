//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestRefusals: what is not a regular file is refused at once, by its name and what it is.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "s")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		pipe: "got a pipe, want a regular file", link: "got a pipe", socket: "got a socket", os.DevNull: "got a device", "/dev/zero": "got a device",
		dir: "got a directory, want a file", filepath.Join(dir, "none"): "no such file",
	} {
		for name, open := range map[string]func(string) error{
			"Open":     func(p string) error { _, err := Open(p); return err },
			"ReadFile": func(p string) error { _, err := ReadFile(p); return err },
			"Check":    func(p string) error { _, err := Check(p); return err },
		} {
			err := open(path)
			var pathErr *fs.PathError
			if !errors.As(err, &pathErr) || pathErr.Path != path || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q of %s", name, err, want, path)
			}
		}
	}
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadFile(path); err != nil || string(data) != "text" {
		t.Errorf("got %q and %v, want the text", data, err)
	}
}
