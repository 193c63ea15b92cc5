// Package tuned opens the operations of package webgpu with the kernel variants that were fastest on the device, and
// remembers them between programs: in bitgpu/tuning.json in the user's cache directory.
//
// Measuring is the business of package webgpu. Nothing is promised here: if the file cannot be read, understood or written,
// variants are measured again without a message.
//
// # Why
//
// Why is nothing measured on a software adapter? The defaults are made for it, a measurement takes longer than most work that
// is done there, and other programs on the same cores would decide the result.
//
// Why does an updated driver invalidate all measurements? Its compiler makes other code from the same shaders. Keeping a
// single entry per adapter also keeps the file small.
package tuned

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"bitgpu/gpu"
	"bitgpu/io/atomicfile"
	"bitgpu/nn/webgpu"
	"bitgpu/wgsl"
)

// Open makes the operations of a device. done saves the measurements and releases the operations, but not the device.
func Open(dev *gpu.Device) (ops *webgpu.Ops, done func()) {
	ops = webgpu.New(dev)
	folder, err := os.UserCacheDir()
	if !dev.Info().Hardware() || err != nil {
		return ops, ops.Close
	}
	return ops, open(ops, filepath.Join(folder, "bitgpu", "tuning.json"))
}

// open tunes ops with the file at path, and returns what ends both.
func open(ops *webgpu.Ops, path string) (done func()) {
	e := entryOf(ops.Device().Info())
	e.Variants = &webgpu.Tuning{}
	for _, known := range load(path) {
		if known.identity == e.identity && known.Variants != nil {
			e.Variants = known.Variants
		}
	}
	ops.Tune(e.Variants)
	return func() {
		if e.Variants.Changed() {
			_ = save(path, e) // failing only costs time at the next start
		}
		ops.Close()
	}
}

// identity says what a measurement is valid for.
type identity struct {
	Adapter string `json:"adapter"`
	Driver  string `json:"driver"`
	Shaders string `json:"shaders"` // hash of the shaders' text
}

// entry is the file's content for one adapter.
type entry struct {
	identity
	Variants *webgpu.Tuning `json:"variants"`
}

func entryOf(a gpu.AdapterInfo) entry {
	hash := sha256.New()
	for _, k := range wgsl.All() {
		text, err := k.Source(nil)
		fmt.Fprintln(hash, k.Name, len(text), text, err)
	}
	return entry{identity: identity{
		Adapter: fmt.Sprintf("%s (%s)", a.Name, a.Backend), Driver: a.Driver, Shaders: hex.EncodeToString(hash.Sum(nil)[:8]),
	}}
}

// maxFile bounds what is read. A file for a hundred models has a tenth of this size.
const maxFile = 1 << 20

// load reads the entries of the file at path; none if it cannot be read.
func load(path string) []entry {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil {
		return nil
	}
	var entries []entry
	if json.Unmarshal(data, &entries) != nil {
		return nil
	}
	return entries
}

// save replaces the file's entry for the same adapter.
func save(path string, e entry) error {
	entries := slices.DeleteFunc(load(path), func(known entry) bool { return known.Adapter == e.Adapter })
	data, err := json.MarshalIndent(append(entries, e), "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}
