package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestOutputIsCommitted(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the generator's output: run go generate in nn/cpu/simd", name)
		}
	}
	present, err := filepath.Glob("../kernels_*_amd64.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range present {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is not generated any more", path)
		}
	}
}

// TestAVX2UsesItsRegistersOnly: with a register above 15 the assembler would silently
// encode the instruction for AVX-512.
func TestAVX2UsesItsRegistersOnly(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	foreign := regexp.MustCompile(`\b(Z\d+|[XY](1[6-9]|2\d|3[01])|K[0-7])\b|AVX512`)
	found := 0
	for name, text := range files {
		for _, function := range strings.Split(string(text), "\n// func ")[1:] {
			title, body, _ := strings.Cut(function, "\n")
			if !strings.Contains(title, "AVX2(") {
				continue
			}
			found++
			body, _, _ = strings.Cut(body, "\n\nDATA ")
			if bad := foreign.FindString(body); bad != "" {
				t.Errorf("%s: %s uses %s", name, title, bad)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d AVX2 functions found", found)
	}
}
