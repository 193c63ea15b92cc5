package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/atomicfile"
	"bitgpu/nn/storage/public/publictest"
)

// path stands for the place that a command is to write to.
const path = "PATH"

// TestFailedWrites: whichever change of the file system fails, alone or with all after it, a command that writes says so and names
// the path, leaves no unfinished file, and what stands there is what stood there, or what was to stand there, as a whole.
func TestFailedWrites(t *testing.T) {
	own, qwen, hybrid, text := model("d32-delta"), publictest.File(t, "qwen3"), publictest.File(t, "qwen35"), proverbs(t)
	tokenizer := filepath.Join(t.TempDir(), "tokenizer.json")
	succeed(t, "", "vocab", "--input", text, "--vocab-size", "300", "-o", tokenizer)
	run, other := t.TempDir(), t.TempDir()
	for _, dir := range []string{run, other} {
		writeText(t, filepath.Join(dir, "metrics.jsonl"), "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n")
	}
	report := "../../bench/results/2026-11-28-epyc-avx2-2-threads-33796f8-quick.json"
	learn := []string{"learn", "-m", own, "--text", text, "--backend", "cpu", "--context", "16", "--rank", "2", "--steps"}
	for name, lines := range map[string][2][]string{ // the old content, the new one
		"model.bitt":         {{"export", "-m", own, "-o", path}, {"export", "-m", own, "--pack", "-o", path}},
		"public.bitt":        {{"export", "-m", own, "-o", path}, {"export", "-m", qwen, "-o", path}},
		"model.gguf":         {{"export", "-m", qwen, "-o", path}, {"export", "-m", qwen, "--type", "q2_0", "-o", path}},
		"model/":             {{"export", "-m", own, "-o", path}, {"export", "-m", own, "--pack", "-o", path}},
		"public/":            {{"export", "-m", hybrid, "-o", path}, {"export", "-m", qwen, "-o", path}},
		"tokenizer.json":     {{"vocab", "--input", text, "--vocab-size", "300", "-o", path}, {"vocab", "--input", text, "--vocab-size", "310", "-o", path}},
		"tokens/":            {{"data", "--input", text, "--tokenizer", tokenizer, "--output-dir", path}, {"data", "--input", text, "--tokenizer", tokenizer, "--val-ratio", "0.5", "--output-dir", path}},
		"a.memory":           {{"run", "-m", own, "-p", "one", "-n", "0", "--memory", path}, {"run", "-m", own, "-p", "two", "-n", "0", "--memory", path}},
		"logits.safetensors": {{"logits", "-m", own, "-p", "one", "-o", path}, {"logits", "-m", own, "-p", "two", "-o", path}},
		"loss.png":           {{"plot", "-o", path, run}, {"plot", "-o", path, run, other}},
		"loss.svg":           {{"plot", "-o", path, run}, {"plot", "-o", path, run, other}},
		"report.html":        {{"bench", "--from", report, "--html", path}, {"bench", "--html", path, "--compare", report, report}},
		"x.lora.safetensors": {append(learn[:len(learn):len(learn)], "1", "-o", path), append(learn[:len(learn):len(learn)], "2", "-o", path)},
		"adapter/":           {append(learn[:len(learn):len(learn)], "1", "-o", path), append(learn[:len(learn):len(learn)], "2", "-o", path)},
	} {
		t.Run(name, func(t *testing.T) { failEachChange(t, name, lines[0], lines[1]) })
	}
}

func failEachChange(t *testing.T, name string, old, line []string) {
	with := func(line []string, place string) []string {
		line = slices.Clone(line)
		line[slices.Index(line, path)] = place
		return line
	}
	before := t.TempDir() + "/" + name // the end of a directory's name says what it is
	succeed(t, "", with(old, before)...)
	for _, fresh := range []bool{false, true} {
		copied := func() (place string) {
			dir := t.TempDir()
			if !fresh {
				if err := os.CopyFS(dir, os.DirFS(filepath.Dir(filepath.Clean(before)))); err != nil {
					t.Fatal(err)
				}
			}
			return dir + "/" + name
		}
		place := copied()
		was := content(t, place)
		changes := 0
		atomicfile.Fault = func(string) error { changes++; return nil }
		succeed(t, "", with(line, place)...)
		atomicfile.Fault = nil
		will := content(t, place)
		for _, forever := range []bool{false, true} {
			for n := range changes {
				if n > 6 && n < changes-20 && n%(1+changes/30) > 0 { // the writes of one large file
					continue
				}
				place := copied()
				failed, at := "nothing", 0
				atomicfile.Fault = func(change string) error {
					if at++; at == n+1 || forever && at > n {
						failed = change
						return errors.New("no space left on device")
					}
					return nil
				}
				r := bitgpuRun("", with(line, place)...)
				atomicfile.Fault = nil
				about := func(what string, a ...any) {
					t.Helper()
					t.Errorf("fresh %v, forever %v, change %d, %s: got %d, %q: "+what, append([]any{fresh, forever, n, failed, r.code, r.err}, a...)...)
				}
				if r.code != exitError || !strings.Contains(r.err, filepath.Clean(place)) || !strings.Contains(r.err, "no space left on device") {
					about("want an error with the path")
				}
				if err := atomicfile.Recover(place); err != nil {
					t.Fatal(err)
				}
				got := content(t, place)
				if !maps.Equal(got, was) && !maps.Equal(got, will) {
					about("want the old content or the new one, got %d files", len(got))
				}
				for left := range content(t, filepath.Dir(filepath.Clean(place))) {
					if strings.Contains(left, ".bitgpu-") {
						about("left %s", left)
					}
				}
			}
		}
	}
}

// content are the files at path or below it, by their names.
func content(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(at)
		all[strings.TrimPrefix(at, path)] = string(data)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}
