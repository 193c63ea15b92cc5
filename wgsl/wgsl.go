// Package wgsl holds the shaders: one .wgsl file an op, view/*.wgsl for what draws pictures, shared/*.wgsl for code that
// several of them import, and the table of kernels (kernels.go) through which the host sees them: name, bindings with
// their access, constants.
//
// It is not for running anything: it knows no GPU API and imports nothing of this module, so that any WebGPU
// binding, a compiler on the command line or a browser can take the same text.
//
// # Rules of a shader file
//
//   - Every @group(0) @binding(n) line stands in the kernel's own file, in the order of the table. All entry points
//     of a file share its bindings; a variant that needs others is a file of its own.
//   - Parameters are one `struct Params` of u32, i32 and f32 fields in a uniform buffer at binding 0, named `params`.
//   - `#import shared/grid.wgsl` on a line of its own brings in shared code, once however often it is named.
//   - Constants are not declared in the file. They are named in the table with a default and enter as text.
//   - No `override`, no `enable`, no subgroup operations, no f16 arithmetic: the oldest compiler in use has none.
//
// That compiler, naga 0.13 inside wgpu-native 0.17, also wants: every array size a literal or one of the table's
// constants, not an expression of them; no `const` inside a function; no abstract numbers, so `1.0` and `1u` where
// f32 and u32 are meant; `var` instead of `let` for an array that is indexed by a variable.
//
// # Why
//
// Why do imports and constants follow the kernel's text instead of preceding it? WGSL allows use before declaration,
// and so the line numbers in a compiler's message are the lines of the file.
//
// Why text and not pipeline-overridable constants? The compiler inside wgpu-native 0.17 does not know `override`.
//
// Why are constants u32 with a `u` suffix? The same compiler has no abstract integers: `const N = 64;` is an i32
// there and a type error in every u32 expression.
package wgsl

import (
	"embed"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.wgsl view/*.wgsl shared/*.wgsl
var files embed.FS

// Access is how a kernel uses a binding.
type Access int

// The kinds of access. Within one dispatch a buffer bound ReadWrite must not be bound Read as well, whatever the
// offsets: WebGPU tracks whole buffers.
const (
	Uniform Access = iota
	Read
	ReadWrite
)

// String is the address space and access as WGSL writes them between `var<` and `>`.
func (a Access) String() string {
	switch a {
	case Uniform:
		return "uniform"
	case Read:
		return "storage, read"
	case ReadWrite:
		return "storage, read_write"
	}
	return fmt.Sprintf("Access(%d)", int(a))
}

// Binding is one buffer of a kernel; its place in Kernel.Bindings is its @binding number.
type Binding struct {
	Name   string
	Access Access
}

// Consts gives the constants of a kernel their values.
type Consts map[string]uint32

// Kernel is one entry point of one shader file, as the host sees it.
type Kernel struct {
	Name     string // unique; the entry point's name too unless Entry is set
	Entry    string
	Vertex   string // of a kernel that draws to a surface: its vertex shader, and the entry point is the fragment shader
	File     string // the file in this package, or the name messages use for Text
	Text     string // a shader given as text instead of in a file of this package; for tests of what runs kernels
	Params   any    // zero value of the Go struct laid out as `struct Params`, or nil
	Bindings []Binding
	Wide     bool   // binds more than the 8 storage buffers that WebGPU promises: the host has another way as well
	Consts   Consts // every constant the text needs, with its default
}

// EntryPoint is the name of the kernel's function in the shader.
func (k *Kernel) EntryPoint() string {
	if k.Entry != "" {
		return k.Entry
	}
	return k.Name
}

// Source is the kernel's complete text: its file, then its imports, then its constants, those in consts replacing
// the defaults. A name in consts that the kernel does not declare is an error.
func (k *Kernel) Source(consts Consts) (string, error) {
	values := maps.Clone(k.Consts)
	for name, value := range consts {
		if _, ok := values[name]; !ok {
			return "", fmt.Errorf("wgsl: kernel %s: no constant %s among those it declares (%s)",
				k.Name, name, strings.Join(slices.Sorted(maps.Keys(k.Consts)), ", "))
		}
		values[name] = value
	}
	parts, err := k.parts()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, p := range parts {
		text.WriteString(p.text)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&text, "const %s = %du;\n", name, values[name])
	}
	return literalWorkgroupSize(k.Name, text.String(), values)
}

// Locate translates a line of Source's text (from 1) into a file of this package and a line of it. Lines past the
// last file are those of the constants.
func (k *Kernel) Locate(line int) (file string, fileLine int) {
	parts, err := k.parts()
	if err != nil {
		return k.File, line
	}
	for _, p := range parts {
		n := strings.Count(p.text, "\n")
		if line <= n {
			return p.file, line
		}
		line -= n
	}
	return "constants of " + k.File, line
}

type part struct{ file, text string }

var importLine = regexp.MustCompile(`(?m)^#import[ \t]+(\S+)[ \t]*$`)

// parts are the kernel's file and, in the order they are first named, its imports; import lines are blanked.
func (k *Kernel) parts() ([]part, error) {
	parts := []part{{k.File, k.Text}}
	seen := map[string]bool{k.File: true}
	for i := 0; i < len(parts); i++ {
		p := &parts[i]
		if p.text == "" {
			text, err := files.ReadFile(p.file)
			if err != nil {
				return nil, fmt.Errorf("wgsl: kernel %s: there is no shader file %s", k.Name, p.file)
			}
			p.text = string(text)
		}
		if !strings.HasSuffix(p.text, "\n") {
			p.text += "\n"
		}
		for _, m := range importLine.FindAllStringSubmatch(p.text, -1) {
			file := path.Clean(m[1])
			if !strings.HasPrefix(file, "shared/") {
				return nil, fmt.Errorf("wgsl: %s: #import %s: only files under shared/ can be imported", p.file, m[1])
			}
			if !seen[file] {
				seen[file] = true
				parts = append(parts, part{file: file})
			}
		}
		// parts may have moved while growing.
		parts[i].text = importLine.ReplaceAllString(parts[i].text, "")
	}
	return parts, nil
}

var (
	workgroupSize = regexp.MustCompile(`@workgroup_size\(([^)]*)\)`)
	literal       = regexp.MustCompile(`^[0-9]+u?$`)
)

// literalWorkgroupSize puts the constants' values into @workgroup_size, where the oldest compiler wants literals.
func literalWorkgroupSize(kernel, text string, values Consts) (string, error) {
	var err error
	text = workgroupSize.ReplaceAllStringFunc(text, func(attribute string) string {
		sizes := strings.Split(workgroupSize.FindStringSubmatch(attribute)[1], ",")
		for i, size := range sizes {
			size = strings.TrimSpace(size)
			if value, ok := values[size]; ok {
				size = strconv.FormatUint(uint64(value), 10)
			} else if !literal.MatchString(size) && size != "" {
				err = fmt.Errorf("wgsl: kernel %s: %s is neither a number nor a constant of the kernel in %s",
					kernel, size, attribute)
			}
			sizes[i] = size
		}
		return "@workgroup_size(" + strings.Join(sizes, ", ") + ")"
	})
	return text, err
}
