package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn/storage/public/publictest"
)

// A training that begins with the ternary weights of a public model goes on from a checkpoint to the bit, and what it leaves gives
// the same logits in every form: masters, .bitt, GGUF and packed for Hugging Face.
func TestTrainPublicModel(t *testing.T) {
	for _, family := range []string{"qwen3", "qwen35"} {
		t.Run(family, func(t *testing.T) { trainPublicModel(t, publictest.File(t, family)) })
	}
}

func trainPublicModel(t *testing.T, m string) {
	text, dir := proverbs(t), t.TempDir()
	whole, stopped := filepath.Join(dir, "whole"), filepath.Join(dir, "stopped")
	line := []string{"train", "--load", m, "--data", text, "--steps", "4", "--save-interval", "2", "--context-len", "16", "--batch-size", "2",
		"--lr", "1e-3", "--sample-every", "0", "--backend", "cpu", "--output-dir"}
	succeed(t, "", append(line, whole)...)
	succeed(t, "", append(line, stopped)...)
	if err := os.RemoveAll(filepath.Join(stopped, "checkpoints", "step-00000004")); err != nil {
		t.Fatal(err)
	}
	succeed(t, "", "train", "--resume", "--output-dir", stopped, "--backend", "cpu")
	for _, name := range []string{"model.safetensors", "model.bitt"} {
		a, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(filepath.Join(stopped, name)); string(a) != string(b) {
			t.Errorf("%s of a training that went on is another", name)
		}
	}
	logits := func(model string) []float32 {
		file := filepath.Join(dir, "logits.safetensors")
		succeed(t, "", "logits", "-m", model, "--tokens", "1,2,3,4", "-o", file, "--backend", "cpu")
		f, err := safetensors.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return floats(t, f, "logits")
	}
	want := logits(whole)
	if off := distance(want, logits(m)); !(off > 1e-4) {
		t.Errorf("the training moved the logits by %v, want more", off)
	}
	bitt := filepath.Join(whole, "model.bitt")
	for _, form := range []string{"", "m.gguf", "hf/"} {
		path := bitt
		if form != "" {
			path = filepath.Join(dir, form)
			if strings.HasSuffix(form, "/") {
				path += "/"
			}
			succeed(t, "", "export", "-m", bitt, "-o", path)
		}
		if off := distance(logits(path), want); !(off < 1e-6) {
			t.Errorf("%s: the logits are off by %v", path, off)
		}
	}
	for args, says := range map[string]string{
		"--dim 64":       "--dim has nothing to act on",
		"--masters even": `--masters: got "even"`,
	} {
		refuse(t, exitUsage, bitgpuRun("", append(append(line, filepath.Join(dir, "no")), strings.Fields(args)...)...), says)
	}
	refuse(t, exitError, bitgpuRun("", append(append(line, filepath.Join(dir, "no")), "--masters", "half-up")...), "its matrices are ternary as they are")
}
