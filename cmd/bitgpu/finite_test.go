package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
)

// runaway is a model whose memory leaves float32 behind after a few tokens.
func runaway(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join(reference, "d32-none")
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "config.json" {
			changed := bytes.Replace(data, []byte(`"inner_lr": 0.1`), []byte(`"inner_lr": 1e30`), 1)
			if bytes.Equal(changed, data) {
				t.Fatalf("no inner_lr to change in %s", data)
			}
			data = changed
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Numbers that are not finite are an error that names the token, in every command that predicts, and write nothing.
func TestNotFiniteIsAnError(t *testing.T) {
	m, dir := runaway(t), t.TempDir()
	memory, out := filepath.Join(dir, "m.memory"), filepath.Join(dir, "out.safetensors")
	const text = "all the world is a stage, all the men and women"
	const says = "the model's numbers are not finite after "
	data := writeText(t, filepath.Join(dir, "text.txt"), text)
	succeed(t, "", "run", "-m", m, "-p", "a", "-n", "0", "--memory", memory)
	good, err := os.ReadFile(memory)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"run", "-m", m, "-p", text, "-n", "5"},
		{"run", "-m", m, "-p", text, "-n", "0"},
		{"run", "-m", m, "-p", text, "-n", "0", "--memory", memory},
		{"logits", "-m", m, "-p", text, "-o", out},
		{"eval", "-m", m, "--data", data},
		{"eval", "-m", m, "--data", data, "--json"},
		{"eval", "-m", m, "--data", data, "--dynamic"},
		{"eval", "-m", m, "--data", data, "--reread", "--lengths", "4", "--passages", "2"},
		{"chat", "-m", m, "--template", writeText(t, filepath.Join(dir, "turns.jinja"), turns), "-p", text},
	} {
		refuse(t, exitError, bitgpuRun("", append(args, "--backend", "cpu")...), says)
	}
	if r := bitgpuRun("", "run", "-m", m, "-p", "a", "--temp", "0", "-n", "200", "--backend", "cpu"); r.code != exitError || !strings.Contains(r.err, says) {
		t.Errorf("while writing: exit code %d, %s", r.code, r.err)
	}
	if now, err := os.ReadFile(memory); err != nil || !bytes.Equal(now, good) {
		t.Errorf("the memory was written over (%v)", err)
	}
	if r := bitgpuRun("", "learn", "-m", m, "--text", data, "-o", out, "--steps", "2"); r.code != exitError || !strings.Contains(r.err, "the model's own memory runs away with inner_lr 1e+30") {
		t.Errorf("learn: exit code %d, %s", r.code, r.err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("numbers that are not finite were written")
	}
}

// An empty prompt goes on from a memory.
func TestEmptyPromptAfterMemory(t *testing.T) {
	dir := t.TempDir()
	memory, whole := filepath.Join(dir, "m.memory"), filepath.Join(dir, "whole.memory")
	write := func(stdin string, args ...string) string {
		t.Helper()
		return succeed(t, stdin, append([]string{"run", "-m", model("d32-delta"), "--temp", "0", "--backend", "cpu"}, args...)...)
	}
	write("", "-p", "one", "-n", "9", "--memory", whole)
	write("", "-p", "one", "-n", "3", "--memory", memory)
	write("", "-p", "", "-n", "3", "--memory", memory)
	write("\n", "-n", "3", "--memory", memory)
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(memory); err != nil || !bytes.Equal(got, want) {
		t.Errorf("three times 3 tokens are not 9 (%v)", err)
	}
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d32-delta"), "-p", "", "--memory", memory+"2"), "the prompt is empty")
}

// A memory that would run away is refused before the training.
func TestUnstableMemoryIsRefused(t *testing.T) {
	for rate, refused := range map[string]bool{"2": true, "1.99": false} {
		r := bitgpuRun("", small("--data", tokenFile(t, "some.u32", 100), "--inner-lr", rate, "--steps", "1", "--output-dir", t.TempDir())...)
		if strings.Contains(r.err, "--inner-lr: got "+rate+",") != refused {
			t.Errorf("rate %s: %s", rate, r.err)
		}
	}
}

// A model that gives no numbers before anything was learned is not a matter of the learning rate: the weight is named.
func TestWeightsThatGiveNoNumbers(t *testing.T) {
	from, dir := filepath.Join(reference, "d32-none"), t.TempDir()
	data := writeText(t, filepath.Join(t.TempDir(), "text.txt"), strings.Repeat("all the world is a stage ", 20))
	for _, name := range []string{"config.json", "tokenizer.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), read(t, from, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := safetensors.Open(filepath.Join(from, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []safetensors.Tensor
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		v, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		if name == "norm_f.weight" {
			v[3] = 3e38
		}
		tensors = append(tensors, safetensors.FromFloat32s(name, tensor.Shape, v))
	}
	if err := safetensors.WriteFile(filepath.Join(dir, "model.safetensors"), tensors, nil); err != nil {
		t.Fatal(err)
	}
	const says = "norm_f.weight: element 3 is 3e+38, want numbers up to 1e+16"
	out := filepath.Join(t.TempDir(), "out")
	for _, args := range [][]string{
		{"learn", "-m", dir, "--text", data, "-o", out + ".safetensors", "--steps", "2"},
		{"train", "--load", dir, "--data", data, "--output-dir", out, "--steps", "2", "--context-len", "8"},
	} {
		r := bitgpuRun("", append(args, "--backend", "cpu")...)
		if r.code != exitError || !strings.Contains(r.err, dir+": "+says) || strings.Contains(r.err, "learning rate") {
			t.Errorf("%s: got %d, %s", args[0], r.code, r.err)
		}
	}
}
