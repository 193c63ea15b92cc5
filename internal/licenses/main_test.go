package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The program carries the licences of all that is linked into it now.
func TestLicencesAreUpToDate(t *testing.T) {
	root := filepath.Join("..", "..")
	want, err := collect(root)
	if err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(root, output))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: go run ./internal/licenses", output)
	}
	for _, must := range []string{
		"\nGo\n", "Copyright 2009 The Go Authors", "\nwgpu-native\n", "\ngithub.com/urfave/cli/v2 v", "SIL OPEN FONT LICENSE", "Apache License",
		"Marcus Geelnard", "FreeType Project LICENSE",
	} {
		if !strings.Contains(want, must) {
			t.Errorf("%q is missing", must)
		}
	}
}

func TestAModuleWithoutALicenceIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "license.go"), []byte("package x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := textsOf(dir); err == nil || !strings.Contains(err.Error(), "no licence in "+dir) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LICENSE.md"), []byte("free\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := textsOf(dir); err != nil || text != "free" {
		t.Errorf("%q, %v", text, err)
	}
}
