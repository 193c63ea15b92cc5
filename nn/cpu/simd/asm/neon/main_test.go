package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestOutputIsCommitted(t *testing.T) {
	files := generate()
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the generator's output: run go generate in nn/cpu/simd", name)
		}
	}
	present, err := filepath.Glob("../../kernels_*_arm64.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range present {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is not generated any more", path)
		}
	}
}

var wordLine = regexp.MustCompile(`\tWORD \$(0x[0-9a-f]{8}) // (.*)`)

// instructions are the words of all files, with their texts.
func instructions(t *testing.T) map[uint32]string {
	texts := make(map[uint32]string)
	for name, text := range generate() {
		for _, m := range wordLine.FindAllStringSubmatch(string(text), -1) {
			word, err := strconv.ParseUint(m[1], 0, 32)
			if err != nil {
				t.Fatal(err)
			}
			if known, ok := texts[uint32(word)]; ok && known != m[2] {
				t.Errorf("%s: %s is %q, elsewhere %q", name, m[1], m[2], known)
			}
			texts[uint32(word)] = m[2]
		}
	}
	return texts
}

// The text behind a word is what a disassembler makes of it.
func TestWordsAreTheirTexts(t *testing.T) {
	disassembler, err := exec.LookPath("aarch64-linux-gnu-objdump")
	if err != nil {
		t.Skip("untested: ", err)
	}
	var words []uint32
	var code []byte
	texts := instructions(t)
	for w := range texts {
		words = append(words, w)
		code = binary.LittleEndian.AppendUint32(code, w)
	}
	path := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(disassembler, "-D", "-b", "binary", "-m", "aarch64", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	// "   4:	4e20cc20 	fmla	v0.4s, v1.4s, v0.4s"
	lines := regexp.MustCompile(`(?m)^ *[0-9a-f]+:\t[0-9a-f]{8} \t(.*)$`).FindAllStringSubmatch(string(out), -1)
	if len(lines) != len(words) || len(words) < 100 {
		t.Fatalf("%d lines of %d instructions", len(lines), len(words))
	}
	for i, w := range words {
		got, _, _ := strings.Cut(strings.Join(strings.Fields(lines[i][1]), " "), " //")
		if got != texts[w] {
			t.Errorf("%#08x is %q, written as %q", w, got, texts[w])
		}
	}
}

// Dot products are only where they are asked for: others fail on a processor without them.
func TestDotProductsAreApart(t *testing.T) {
	found := 0
	for name, text := range generate() {
		for _, function := range strings.Split(string(text), "\n// func ")[1:] {
			title, body, _ := strings.Cut(function, "\n")
			dot := strings.Contains(body, "// sdot")
			if dot {
				found++
			}
			if dot != strings.Contains(title, "DotProd(") {
				t.Errorf("%s: %s, with dot products: %v", name, title, dot)
			}
		}
	}
	if found != 4 {
		t.Errorf("%d functions with dot products", found)
	}
}
