// Command licenses collects the licences of everything that is linked into the program, for "bitgpu licenses":
//
//	go run ./internal/licenses
//
// The modules are those of "go list -deps" for every system that the program is built for, and the texts are those in their
// folders. by-hand has the texts for what is not a module, or for modules without a text.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// output is where the program embeds the texts, relative to the repository's root.
const output = "cmd/bitgpu/licenses.txt.gz"

func main() {
	if err := generate("."); err != nil {
		fmt.Fprintf(os.Stderr, "licenses: %v\n", err)
		os.Exit(1)
	}
}

func generate(root string) error {
	text, err := collect(root)
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, output), packed.Bytes(), 0o644)
}

// module is go list's description of one.
type module struct {
	Path, Version, Dir string
	Main               bool
}

// collect returns all texts, each under a line that says what it is for.
func collect(root string) (string, error) {
	modules, err := linked(root)
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil {
		return "", err
	}
	var all strings.Builder
	section(&all, "bitgpu", string(own))
	hand := filepath.Join(root, "internal", "licenses", "by-hand")
	files, err := os.ReadDir(hand)
	if err != nil {
		return "", err
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(hand, f.Name()))
		if err != nil {
			return "", err
		}
		section(&all, strings.TrimSuffix(f.Name(), ".txt"), string(text))
	}
	for _, m := range modules {
		texts, err := textsOf(m.Dir)
		if err != nil {
			return "", fmt.Errorf("%s: %w", m.Path, err)
		}
		section(&all, m.Path+" "+m.Version, texts)
	}
	return all.String(), nil
}

func section(w *strings.Builder, title, text string) {
	rule := strings.Repeat("=", len(title))
	fmt.Fprintf(w, "%s\n%s\n%s\n\n%s\n\n", rule, title, rule, strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")))
}

// linked returns the modules that some build of the program or of the C library contains, by path.
func linked(root string) ([]module, error) {
	found := map[string]module{}
	for _, build := range [][2]string{{"linux", "window"}, {"darwin", "window"}, {"windows", "window"}, {"linux", "wgpu22"}} {
		system, tags := build[0], build[1]
		list := exec.Command("go", "list", "-deps", "-tags", tags, "-json=Module", "./cmd/bitgpu", "./cmd/libbitgpu")
		list.Dir, list.Stderr = root, os.Stderr
		list.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=1")
		out, err := list.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w", system, err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var p struct{ Module *module }
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, err
			}
			if p.Module != nil && !p.Module.Main {
				found[p.Module.Path] = *p.Module
			}
		}
	}
	var modules []module
	for _, m := range found {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// licence matches the names of files that contain a licence, or a part of one. Fonts have an OFL, and FreeType an FTL; its
// alternative, the GPL, is not used.
var licence = regexp.MustCompile(`(?i)^(licen[cs]es?|copying|notice|patents|ofl|ftl)([.-].*)?$`)

// textsOf returns the licences in a module's folder and those below it, which may contain others' code or fonts.
func textsOf(dir string) (string, error) {
	var texts []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{"testdata", "examples", "example"}, d.Name()):
			return fs.SkipDir
		case d.IsDir() || !licence.MatchString(d.Name()) || strings.HasSuffix(d.Name(), ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		part := strings.TrimSpace(string(text))
		if filepath.Dir(name) != "." {
			part = filepath.ToSlash(name) + ":\n\n" + part
		}
		texts = append(texts, part)
		return nil
	})
	if err == nil && len(texts) == 0 {
		err = fmt.Errorf("no licence in %s; ask its authors, or write by-hand what they say elsewhere", dir)
	}
	return strings.Join(texts, "\n\n"), err
}
