package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const nfpmTool = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4"

// deb makes Debian's packages: with GPU support for amd64, without for arm64.
func (r *release) deb() error {
	for _, t := range []target{targets[0], targets[2]} {
		if err := r.debOf(t); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) debOf(t target) error {
	program, err := r.bitgpu(t)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.work, "deb-"+t.arch)
	contents, err := r.debContents(t, program)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, f := range contents {
		path := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.data, 0o644); err != nil {
			return err
		}
		mode := "0644"
		if f.exec {
			mode = "0755"
		}
		fmt.Fprintf(&list, "  - {src: %q, dst: %q, file_info: {mode: %s, owner: root, group: root, mtime: %q}}\n", path, "/"+f.name, mode, r.at.Format(time.RFC3339))
	}
	depends, err := debDepends(t, program)
	if err != nil {
		return err
	}
	config := filepath.Join(dir, "nfpm.yaml")
	text := fmt.Sprintf(`name: bitgpu
arch: %s
version: %s
version_schema: none
section: science
priority: optional
maintainer: %q
homepage: %q
mtime: %q
description: |
  run and train ternary language models
  bitgpu runs and trains ternary (1.58-bit) language models, its own, whose
  memory learns while they read, and those that others publish, on a CPU and,
  where the architecture has it, on any GPU through Vulkan. A small model is
  in the program; a server for clients of OpenAI's API is part of it.
%scontents:
%s`, t.arch, r.version, r.maintainer, r.homepage, r.at.Format(time.RFC3339), depends, list.String())
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return err
	}
	name := fmt.Sprintf("bitgpu_%s_%s.deb", r.version, t.arch)
	made := filepath.Join(dir, name)
	if err := run(nil, "go", "run", nfpmTool, "package", "-f", config, "-p", "deb", "-t", made); err != nil {
		return err
	}
	data, err := os.ReadFile(made)
	if err != nil {
		return err
	}
	return r.write(name, data)
}

// debDepends returns the package's lines about dependencies, derived from the program's symbols.
func debDepends(t target, program string) (string, error) {
	if t.cc == "" {
		return "", nil // a static program
	}
	needs, err := needsOf(program)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("depends:\n  - libc6 (>= %d.%d)\n", needs.glibc[0], needs.glibc[1])
	if slices.Contains(needs.libraries, "libgcc_s.so.1") {
		text += "  - libgcc-s1\n"
	}
	return text + "recommends:\n  - libvulkan1\n  - mesa-vulkan-drivers\n", nil
}

// debContents returns the files of the package.
func (r *release) debContents(t target, program string) ([]file, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	files := []file{{name: "usr/bin/bitgpu", data: data, exec: true}}
	add := func(name string, data []byte) { files = append(files, file{name: name, data: data}) }
	pages, err := r.manPages()
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		add("usr/share/man/man1/"+page.name+".gz", gzipped(page.data))
	}
	for shell, name := range map[string]string{
		"bash": "usr/share/bash-completion/completions/bitgpu", "zsh": "usr/share/zsh/vendor-completions/_bitgpu",
		"fish": "usr/share/fish/vendor_completions.d/bitgpu.fish",
	} {
		script, err := r.said("completion", shell)
		if err != nil {
			return nil, err
		}
		add(name, script)
	}
	unit, err := os.ReadFile("packaging/systemd/bitgpu.service")
	if err != nil {
		return nil, err
	}
	add("lib/systemd/system/bitgpu.service", packagedUnit(unit))
	licences, err := r.said("licenses")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("LICENSE")
	if err != nil {
		return nil, err
	}
	add("usr/share/doc/bitgpu/copyright", append([]byte("bitgpu, "+r.homepage+"\n\nTHIRD-PARTY.txt.gz beside this file has the licences of what is linked into it, each with its name.\n\n"), own...))
	add("usr/share/doc/bitgpu/THIRD-PARTY.txt.gz", gzipped(licences))
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return nil, err
	}
	add("usr/share/doc/bitgpu/README.md.gz", gzipped(readme))
	changes, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return nil, err
	}
	add("usr/share/doc/bitgpu/NEWS.md.gz", gzipped(changes))
	add("usr/share/doc/bitgpu/changelog.gz", gzipped(fmt.Appendf(nil, "bitgpu (%s) stable; urgency=medium\n\n  * Release %s, of commit %.12s; NEWS.md.gz has the changes.\n\n -- %s  %s\n",
		r.version, r.version, r.commit, r.maintainer, r.at.Format(time.RFC1123Z))))
	overrides, err := os.ReadFile("packaging/debian/lintian-overrides")
	if err != nil {
		return nil, err
	}
	if t.cc == "" {
		overrides = append(overrides, "# Without cgo a program of Go is static; that is its point.\nbitgpu: statically-linked-binary [usr/bin/bitgpu]\n"...)
	}
	add("usr/share/lintian/overrides/bitgpu", overrides)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// packagedUnit returns the unit for the package, where the program is elsewhere and nobody copies the file.
func packagedUnit(unit []byte) []byte {
	_, rest, _ := bytes.Cut(unit, []byte("\n[Unit]"))
	about := "# bitgpu serve as a service. Put the model at /etc/bitgpu/model.bitt, readable for all, and keys, one a line, at\n" +
		"# /etc/bitgpu/keys, owned by root with mode 0600; then systemctl enable --now bitgpu\n\n[Unit]"
	return append([]byte(about), bytes.ReplaceAll(rest, []byte("/usr/local/bin/"), []byte("/usr/bin/"))...)
}

// gzipped compresses without a name or a time, as Debian requires.
func gzipped(data []byte) []byte {
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is valid, and a buffer accepts everything
	w.Write(data)
	w.Close()
	return packed.Bytes()
}
