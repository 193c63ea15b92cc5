// Package web is the page that runs bitgpu in a browser: static files for any web server, without one of ours behind them. The
// engine in it is cmd/bitgpu-wasm, which "make web" builds into the folder built before it builds the program. It is not for
// talking to a server, which is package serve's page.
//
// # Why
//
// Why is the engine not always inside? The program would have to be built for a browser before it is built, and be two
// megabytes larger for everybody. A program without it says so where it is asked for the page.
//
// Why is it packed by LZMA? Then it is small from every server, whatever that compresses. Browsers can unpack gzip, by which it
// would be a megabyte larger; a hundred lines of JavaScript unpack LZMA within a second.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"bitgpu/gpu"
	"bitgpu/io/atomicfile"
)

//go:embed page
var page embed.FS

//go:embed all:built
var built embed.FS

// ErrNotBuilt is returned by a program that was built without the engine of the page.
var ErrNotBuilt = errors.New("this program was built without the engine for browsers; \"make web\" builds one with it")

// Engine and Loader are the names of the files that "make web" builds.
const (
	Engine = "bitgpu.wasm.lzma"
	Loader = "wasm_exec.js" // Go's, of the version that built the engine
	Driver = "gpu.js"       // of the browser's WebGPU, which the page's policy wants as a file
	Demo   = "demo.bitt.gz"
	worker = "sw.js"
)

// Files are the page's files by their names, with demo, a .bitt file, as the model that it begins with, and the licences of all
// that is in the page, a text packed by gzip. The error is [ErrNotBuilt] in a program without the engine.
func Files(demo, licenses []byte) (map[string][]byte, error) {
	all, err := files(demo, built)
	if err != nil {
		return nil, err
	}
	all["licenses.txt.gz"] = licenses
	return all, nil
}

func files(demo []byte, built fs.FS) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, name := range []string{Engine, Loader} {
		data, err := fs.ReadFile(built, "built/"+name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotBuilt
		}
		if err != nil {
			return nil, err
		}
		all[name] = data
	}
	entries, err := page.ReadDir("page")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if all[e.Name()], err = page.ReadFile("page/" + e.Name()); err != nil {
			return nil, err
		}
	}
	all[Driver] = []byte(gpu.BrowserScript)
	if all[Demo], err = packed(demo); err != nil {
		return nil, err
	}
	return all, addVersion(all)
}

// packed is data as gzip has it.
func packed(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}

// addVersion tells the service worker which files there are, and a name that changes with them.
func addVersion(all map[string][]byte) error {
	h := sha256.New()
	names := []string{"./"}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(h, "%s %d\n", name, len(all[name]))
		h.Write(all[name])
		if name != "index.html" && name != worker && name != "bitgpu.d.ts" {
			names = append(names, name)
		}
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	text := bytes.Replace(all[worker], []byte(`"VERSION"`), fmt.Appendf(nil, `"bitgpu-%x"`, h.Sum(nil)[:8]), 1)
	all[worker] = bytes.Replace(text, []byte("FILES"), list, 1)
	return nil
}

// Write writes the page into a folder, which it makes if needed, and returns how many bytes it has. Other files there stay.
// See [Files], also for the errors.
func Write(dir string, demo, licenses []byte) (size int64, err error) {
	all, err := Files(demo, licenses)
	if err != nil {
		return 0, err
	}
	return writeFiles(dir, all)
}

// entrance is the file that a page of somebody else begins with, as ours does with index.html.
const entrance = "bitgpu.js"

// unfinished stands in the place of the files that readers begin with while others are replaced.
var unfinished = map[string]string{
	"index.html": `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>bitgpu: unfinished</title>
<p>This page is just being replaced. If it stays so, what was writing it has been stopped: the same "bitgpu web -o DIR" again completes it.</p></html>
`,
	entrance: `throw new Error("bitgpu.js is just being replaced; if it stays so, what was writing it has been stopped: the same \"bitgpu web -o DIR\" again completes it");
`,
}

// writeFiles puts files into a folder, all of them or none. A web server does not wait for that, nor does it complete what a kill
// has left: meanwhile the page says that it is unfinished.
func writeFiles(dir string, all map[string][]byte) (size int64, err error) {
	set, err := atomicfile.CreateSet(dir)
	if err != nil {
		return 0, err
	}
	defer set.Discard()
	bytesOf := func(name string) func(io.Writer) error {
		size += int64(len(all[name]))
		return func(w io.Writer) error {
			_, err := w.Write(all[name])
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if name == worker {
			continue
		}
		if err := set.Write(name, bytesOf(name)); err != nil {
			return 0, err
		}
		if text, ok := unfinished[name]; ok {
			set.Guard(name, []byte(text))
		}
	}
	if err := set.Commit(); err != nil {
		return 0, err
	}
	// The worker that names the others comes last: a browser that reads it keeps what it finds then. The old one beside new
	// files is a whole page too.
	err = atomicfile.Write(filepath.Join(dir, worker), bytesOf(worker))
	return size, err
}
