// Command home moves the module to another path, in go.mod, imports, comments and pages:
//
//	go run ./internal/home example.org/x/bitgpu
//
// Other names, of the program and of the Python package, stay bitgpu.
//
// # Why
//
// Why replace lines of text instead of using Go's syntax? Tests contain programs as text, which import the module too.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "home: want one path, as in: make home PATH=example.org/x/bitgpu")
		os.Exit(2)
	}
	n, err := move(".", os.Args[1])
	if err != nil {
		fmt.Fprintf(os.Stderr, "home: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("the module is %s now; %d files changed\n", os.Args[1], n)
}

// good matches a module path: a host with a dot, and at least one name, as go get requires.
var good = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*(\.[a-z0-9-]+)+(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

// move rewrites the files below root, and returns how many it changed.
func move(root, to string) (changed int, err error) {
	if !good.MatchString(to) {
		return 0, fmt.Errorf("got the path %q, want a host and a name, such as example.org/x/bitgpu", to)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(mod)
	if found == nil {
		return 0, fmt.Errorf("%s: got no module line, want one", filepath.Join(root, "go.mod"))
	}
	r, err := newRenaming(root, string(found[1]), to)
	if err != nil {
		return 0, err
	}
	list := exec.Command("git", "ls-files", "-z")
	list.Dir, list.Stderr = root, os.Stderr
	names, err := list.Output()
	if err != nil {
		return 0, fmt.Errorf("git ls-files in %s: %w", root, err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		file := filepath.Join(root, filepath.FromSlash(name))
		info, err := os.Lstat(file)
		if err != nil || !info.Mode().IsRegular() {
			continue // removed, or a link to another file
		}
		old, err := os.ReadFile(file)
		if err != nil {
			return changed, err
		}
		moved, err := r.file(name, old)
		if err != nil {
			return changed, fmt.Errorf("%s: %w", name, err)
		}
		if bytes.Equal(old, moved) {
			continue
		}
		if err := os.WriteFile(file, moved, info.Mode().Perm()); err != nil {
			return changed, err
		}
		changed++
	}
	return changed, nil
}

// renaming finds the old path in text.
type renaming struct {
	from, to       string
	line, packages *regexp.Regexp
}

func newRenaming(root, from, to string) (*renaming, error) {
	entries, err := fs.ReadDir(os.DirFS(root), ".")
	if err != nil {
		return nil, err
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() {
			folders = append(folders, regexp.QuoteMeta(e.Name()))
		}
	}
	quoted := regexp.QuoteMeta(from)
	return &renaming{from, to,
		regexp.MustCompile(`(?m)^(\s*(?:import )?(?:[A-Za-z_.][\w.]* )?")` + quoted + `((?:/[\w./-]+)?"(?:\s*//.*)?)$`),
		// A name followed by a folder of the module is a package's; "cmd/bitgpu/…" is a file's.
		regexp.MustCompile(`(^|[^\w./-])` + quoted + `(/(?:` + strings.Join(folders, "|") + `)\b)`)}, nil
}

// homeless matches what a page says until the module has a home, and what it says from then on.
var homeless = regexp.MustCompile(`(?s)<!-- until the module has a home -->.*?<!-- from then on:\n(.*?)-->\n`)

func (r *renaming) file(name string, text []byte) ([]byte, error) {
	if name == "Makefile" {
		return r.packages.ReplaceAll(text, []byte("${1}"+r.to+"${2}")), nil
	}
	switch path.Ext(name) {
	case ".mod":
		if name == "go.mod" {
			return regexp.MustCompile(`(?m)^module \S+$`).ReplaceAll(text, []byte("module "+r.to)), nil
		}
	case ".go":
		moved := r.line.ReplaceAll(text, []byte("${1}"+r.to+"${2}"))
		lines := bytes.SplitAfter(moved, []byte("\n"))
		for i, line := range lines {
			if code, comment, ok := bytes.Cut(line, []byte("//")); ok && !bytes.ContainsAny(code, "\"`") {
				lines[i] = append(append(bytes.Clone(code), "//"...), r.packages.ReplaceAll(comment, []byte("${1}"+r.to+"${2}"))...)
			}
		}
		if moved = bytes.Join(lines, nil); bytes.Equal(moved, text) {
			return text, nil
		}
		return format.Source(moved) // imports are sorted
	case ".md":
		text = homeless.ReplaceAllFunc(text, func(passage []byte) []byte {
			return bytes.ReplaceAll(homeless.FindSubmatch(passage)[1], []byte("HOME"), []byte(r.to))
		})
		text = bytes.ReplaceAll(text, []byte("go get "+r.from), []byte("go get "+r.to))
		return r.packages.ReplaceAll(text, []byte("${1}"+r.to+"${2}")), nil
	}
	return text, nil
}
