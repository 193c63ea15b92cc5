package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// archives makes one for each target: the program, its licences, its manual pages and completions, in one folder.
func (r *release) archives() error {
	for _, t := range targets {
		built, err := r.bitgpu(t)
		if err != nil {
			return err
		}
		program, err := os.ReadFile(built)
		if err != nil {
			return err
		}
		rest, err := r.beside(t)
		if err != nil {
			return err
		}
		files := append([]file{{name: t.program(), data: program, exec: true}}, rest...)
		folder := r.folder(t)
		for i := range files {
			files[i].name = path.Join(folder, files[i].name)
		}
		name, pack := r.archive(t), tarball
		if t.system == "windows" {
			pack = zipped
		}
		data, err := pack(files, r.at)
		if err != nil {
			return err
		}
		if err := r.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

func (r *release) folder(t target) string { return "bitgpu-" + r.version + "-" + t.label() }

// archive returns the name of a target's archive.
func (r *release) archive(t target) string {
	if t.system == "windows" {
		return r.folder(t) + ".zip"
	}
	return r.folder(t) + ".tar.gz"
}

// beside returns the files beside the program.
func (r *release) beside(t target) ([]file, error) {
	about := fmt.Sprintf("bitgpu %s\ncommit %s of %s\nbuilt for %s/%s, %s\n", r.version, r.commit, r.at.Format(time.DateOnly), t.system, t.arch,
		map[bool]string{true: "CPU only", false: "CPU and GPU"}[t.cc == ""])
	files := []file{{name: "VERSION.txt", data: []byte(about)}}
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md"} {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: name, data: data})
	}
	licences, err := r.said("licenses")
	if err != nil {
		return nil, err
	}
	files = append(files, file{name: "LICENSES.txt", data: licences})
	scripts := map[string]string{"bash": "bash", "zsh": "zsh", "fish": "fish"}
	if t.system == "windows" {
		scripts = map[string]string{"powershell": "ps1"}
	} else {
		pages, err := r.manPages()
		if err != nil {
			return nil, err
		}
		for _, page := range pages {
			files = append(files, file{name: "man/" + page.name, data: page.data})
		}
	}
	for _, shell := range slices.Sorted(maps.Keys(scripts)) {
		script, err := r.said("completion", shell)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name: "completion/bitgpu." + scripts[shell], data: script})
	}
	return files, nil
}

// said returns what the program for this machine prints.
func (r *release) said(args ...string) ([]byte, error) {
	program, err := r.bitgpu(targets[1]) // it needs no library of this machine
	if err != nil {
		return nil, err
	}
	out, err := output(program, args...)
	return []byte(utf8Text(out) + "\n"), err
}

// utf8Text converts text that is not UTF-8 from Latin-1, which old licences use for names.
func utf8Text(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var valid strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			r = rune(text[i])
		}
		valid.WriteRune(r)
		i += n
	}
	return valid.String()
}

// manPages lets the program itself make its manual pages.
func (r *release) manPages() ([]file, error) {
	dir := filepath.Join(r.work, "man")
	if _, err := r.said("__man", "--date", r.at.Format(time.DateOnly), dir); err != nil {
		return nil, err
	}
	return filesOf(dir)
}

// filesOf returns the files below a folder, sorted.
func filesOf(dir string) (files []file, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, file{name: filepath.ToSlash(name), data: data})
		return err
	})
	return files, err
}

// tarball packs files, all with the same time and without an owner.
func tarball(files []file, at time.Time) ([]byte, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Size: int64(len(f.data)), Mode: 0o644, ModTime: at, Format: tar.FormatUSTAR, Uid: f.owner, Gid: f.owner}
		if f.exec || strings.HasSuffix(f.name, "/") {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// zipped is tarball for systems that use zip files. Wheels are zip files, too.
func zipped(files []file, at time.Time) ([]byte, error) {
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at.Truncate(2 * time.Second)}
		h.SetMode(0o644)
		if f.exec {
			h.SetMode(0o755)
		}
		entry, err := w.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := io.Copy(entry, bytes.NewReader(f.data)); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}
