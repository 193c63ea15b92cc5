package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/tensorboard"
	"bitgpu/nn/train"
)

// TestTextAlone: a text and nothing else gives a model, its vocabulary and tokens, and says what was chosen, how good it
// is, what to try and how to run it; the same seed gives the same model.
func TestTextAlone(t *testing.T) {
	text := rhyme(t)
	var first []byte
	for range 2 {
		dir, board := filepath.Join(t.TempDir(), "run"), t.TempDir()
		// Smaller than the text asks for, so that the test is short.
		stdout, stderr := mustRun(t, "train", "--data", text, "--output-dir", dir, "--tensorboard", board, "--dim", "16", "--layers", "1", "--steps", "40", "--backend", "cpu")
		for _, want := range []string{"\ntext     ", "\nmodel    1 layers of 16, delta mixer, memory 16 wide", "\nreading  40 steps of ", "; dropout 0.1", "\nrate     up to ", "\ntime     about ",
			"step 20 writes: ", "step 40 writes: ", "the best so far"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("want %q in\n%s", want, stderr)
			}
		}
		for _, want := range []string{"how good: ", " bits a byte on ", "try next: ", "run it:   bitgpu run -m " + filepath.Join(dir, "model.bitt")} {
			if !strings.Contains(stdout, want) {
				t.Errorf("want %q in\n%s", want, stdout)
			}
		}
		meta, err := corpus.ReadMeta(filepath.Join(dir, "data", corpus.MetaName))
		if err != nil || meta.ValRatio != 0.1 || meta.VocabSize > 512 {
			t.Errorf("got %+v (%v)", meta, err)
		}
		if info, err := os.Stat(filepath.Join(board, tensorboard.FileName)); err != nil || info.Size() < 40*100 {
			t.Errorf("TensorBoard's file: %v %v", info, err)
		}
		model := read(t, dir, "model.safetensors")
		if first == nil {
			first = model
		} else if !bytes.Equal(first, model) {
			t.Error("the same seed gave two models")
		}
	}
}

// TestSeedPreset: --preset seed is the first engine's table exactly, and --mixer tied alone means it.
func TestSeedPreset(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	want := train.DefaultOptions()
	want.Data, want.Steps = data, 1
	for _, choice := range [][]string{{"--preset", "seed"}, {"--mixer", "tied"}} {
		dir := filepath.Join(t.TempDir(), "run")
		mustRun(t, append([]string{"train", "--data", data, "--backend", "cpu", "--steps", "1", "--output-dir", dir}, choice...)...)
		if got := newest(t, dir).Options; got != want {
			t.Errorf("%v: got %+v, want %+v", choice, got, want)
		}
		config := string(read(t, dir, "config.json"))
		for _, part := range []string{`"hidden_dim": 256`, `"num_layers": 8`, `"inner_lr": 0.1`, `"weight_scale": "absmean"`, `"ttt_rule": "sequential"`} {
			if !strings.Contains(config, part) {
				t.Errorf("%v: want %s in %s", choice, part, config)
			}
		}
		if strings.Contains(config, "ttt_mixer") {
			t.Errorf("%v: another mixer than tied: %s", choice, config)
		}
	}
}

// TestAdvice: what to try next follows from how the losses went.
func TestAdvice(t *testing.T) {
	line := func(step int, loss, val float64) train.Metric {
		return train.Metric{Step: step, Loss: float32(loss), ValLoss: &val}
	}
	o := train.DefaultOptions()
	for want, lines := range map[string][]train.Metric{
		"more text, or --dropout 0.2": {line(1, 3, 3), line(2, 1, 3.5)},
		"more steps: bitgpu train --resume --output-dir out --steps 1500 --decay-steps 125, or a larger --dim": {line(1, 3, 3), line(2, 2.5, 2.6)},
		"a lower --lr": {line(1, 3, 3), line(2, 3, 3.2)},
	} {
		if got := advise(o, o.Steps, lines, false, true, "out"); !strings.HasPrefix(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestMinutes: a time bounds the steps; with a number of steps it is refused.
func TestMinutes(t *testing.T) {
	text := rhyme(t)
	dir := filepath.Join(t.TempDir(), "run")
	mustRun(t, "train", "--data", text, "--output-dir", dir, "--minutes", "1e-9", "--dim", "16", "--layers", "1", "--backend", "cpu")
	if s := newest(t, dir); s.Step != 1 {
		t.Errorf("got %d steps in no time, want 1", s.Step)
	}
	fails(t, exitUsage, "got both --steps and --minutes, want one", "train", "--data", text, "--minutes", "1", "--steps", "3")
	fails(t, exitUsage, "--minutes: got -1, want a time above 0", "train", "--data", text, "--minutes", "-1")
	fails(t, exitUsage, `--preset: got "best", want auto or seed`, "train", "--data", text, "--preset", "best")
	fails(t, exitUsage, "--patience waits for validations, and there are none", "train", "--data", tokenFile(t, "some.u32", 400), "--patience", "2", "--output-dir", dir+"2")
}
