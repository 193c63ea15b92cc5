package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bitgpu/io/atomicfile"
	"bitgpu/io/safetensors"
	"bitgpu/nn/storage/public/publictest"
)

// proverbs are a text that is worth learning.
func proverbs(t *testing.T) string {
	t.Helper()
	return writeText(t, filepath.Join(t.TempDir(), "proverbs.txt"), strings.Repeat("A rolling stone gathers no moss. Least said, soonest mended.\n", 30))
}

// What learn writes makes the text cheaper for eval, run and logits, by a weight and several times, and the same line writes
// the same file.
func TestLearn(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		text, dir, m := proverbs(t), t.TempDir(), model(name)
		out := filepath.Join(dir, "x.lora.safetensors")
		line := []string{"learn", "-m", m, "--text", text, "-o", out, "--steps", "20", "--context", "32", "--lr", "1e-2", "--rank", "4", "--backend", "cpu"}
		succeed(t, "", line...)
		first, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		succeed(t, "", line...)
		if again, _ := os.ReadFile(out); string(again) != string(first) {
			t.Errorf("%s: the same line wrote another adapter", name)
		}
		if _, err := os.Stat(out + stateSuffix); !os.IsNotExist(err) {
			t.Errorf("%s: the state of a training that ended is still there", name)
		}
		plain := evaluated(t, m, "--data", text)
		learned := evaluated(t, m, "--data", text, "--lora", out)
		none := evaluated(t, m, "--data", text, "--lora", out+"=0")
		if !(learned.Loss < plain.Loss-0.2) {
			t.Errorf("%s: the loss went from %v to %v, want less", name, plain.Loss, learned.Loss)
		}
		if math.Abs(none.Loss-plain.Loss) > 1e-9 {
			t.Errorf("%s: with the weight 0 got the loss %v, want %v", name, none.Loss, plain.Loss)
		}
		halves := evaluated(t, m, "--data", text, "--lora", out+"=0.5", "--lora", out+"=0.5")
		if math.Abs(halves.Loss-learned.Loss) > 1e-5 {
			t.Errorf("%s: two halves give the loss %v, want %v", name, halves.Loss, learned.Loss)
		}
		logits := func(more ...string) []float32 {
			file := filepath.Join(dir, "logits.safetensors")
			succeed(t, "", append([]string{"logits", "-m", m, "--tokens", "1,2,3", "-o", file, "--backend", "cpu"}, more...)...)
			f, err := safetensors.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			return floats(t, f, "logits")
		}
		if off := distance(logits("--lora", out), logits()); !(off > 0.01) {
			t.Errorf("%s: the logits moved by %v, want more", name, off)
		}
		// It goes on from an adapter, into a directory that run takes.
		next := filepath.Join(dir, "next")
		succeed(t, "", "learn", "-m", m, "--text", text, "-o", next, "--lora", out, "--steps", "3", "--context", "32", "--backend", "cpu")
		succeed(t, "", "run", "-m", m, "-p", "A", "-n", "3", "--lora", next, "--backend", "cpu")
		if on := evaluated(t, m, "--data", text, "--lora", next); !(on.Loss < plain.Loss-0.2) {
			t.Errorf("%s: what went on has the loss %v, want less than %v", name, on.Loss, plain.Loss)
		}
	}
}

// An adapter of another model, one without a configuration and none at all are refused in a sentence.
func TestLearnRefusals(t *testing.T) {
	text, dir := proverbs(t), t.TempDir()
	out := filepath.Join(dir, "x.safetensors")
	succeed(t, "", "learn", "-m", model("d32-delta"), "--text", text, "-o", out, "--steps", "1", "--layers", "query", "--backend", "cpu")
	refuse(t, exitError, bitgpuRun("", "eval", "-m", model("d32-none"), "--data", text, "--lora", out, "--backend", "cpu"), "ttt.query", "want one for the matrices of this model")
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d36-absmean"), "-p", "A", "--lora", out, "--backend", "cpu"), "ttt.query")
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d32-none"), "-p", "A", "--lora", filepath.Join(dir, "none"), "--backend", "cpu"), "none")
	refuse(t, exitError, bitgpuRun("", "learn", "-m", model("d32-none"), "--text", text, "-o", out, "--layers", "q_proj", "--backend", "cpu"), `--layers: got "q_proj"`, "ttt.down")
	refuse(t, exitError, bitgpuRun("", "learn", "-m", model("d32-none"), "--text", text, "-o", out, "--resume", "--backend", "cpu"), "--resume")
	refuse(t, exitError, bitgpuRun("", "learn", "-m", model("d32-none"), "--text", text, "-o", filepath.Join(dir, "no", "x.safetensors")), "there is no directory")
	for _, weight := range []string{"NaN", "-Inf", "1e39"} {
		refuse(t, exitUsage, bitgpuRun("", "run", "-m", model("d32-delta"), "-p", "A", "--lora", out+"="+weight), out+": got the weight ")
		refuse(t, exitUsage, bitgpuRun("", "eval", "-m", model("d32-delta"), "--data", text, "--lora", out+"="+weight), "eval: --lora: "+out+": got the weight ")
	}
	bare := filepath.Join(dir, "bare.safetensors")
	if err := safetensors.WriteFile(bare, nil, nil); err != nil {
		t.Fatal(err)
	}
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d32-none"), "-p", "A", "--lora", bare), "got no adapter_config.json")
	for args, want := range map[string]string{
		"--rank 0":                   "--rank: got 0, want 1 to 1024",
		"--steps 0":                  "--steps: got 0, want 1 or more",
		"--steps 1 --minutes 1":      "got both --steps and --minutes",
		"--alpha -1":                 "--alpha: got -1",
		"--alpha 1e-300":             "--alpha: got 1e-300, want a number from",
		"--lr 0":                     "--lr: got 0, want a number above 0: with 0 nothing is learned",
		"--lr 1e3":                   "--lr: got 1000, want a number from 0 to below 1000",
		"--minutes Inf":              "--minutes: got +Inf, want a time above 0",
		"--lora x --rank 2":          "--rank has nothing to act on",
		"--resume --lr 1":            "--lr has nothing to act on",
		"--context 0":                "context: got 0 tokens",
		"--shards 3":                 "--shards: got 3, want a power of two up to 4096",
		"--shards 8 --batch-size 12": "--shards: got 8, want a divisor of batch-size, 12",
		"--recompute maybe":          `--recompute: got "maybe", want auto, on or off`,
	} {
		refuse(t, exitUsage, bitgpuRun("", append([]string{"learn", "--text", text, "-o", out}, strings.Fields(args)...)...), want)
	}
}

// What is learned inside the rounding is a model, that measures less on the text and is ternary.
func TestLearnMerged(t *testing.T) {
	text, m, out := proverbs(t), publictest.File(t, "qwen3"), filepath.Join(t.TempDir(), "merged")
	succeed(t, "", "learn", "-m", m, "--text", text, "-o", out, "--merge", "--steps", "12", "--context", "32", "--lr", "1e-2", "--rank", "4", "--backend", "cpu")
	plain, learned := evaluated(t, m, "--data", text, "--batch-size", "1"), evaluated(t, out, "--data", text, "--batch-size", "1")
	if !(learned.Loss < plain.Loss-0.1) {
		t.Errorf("the loss went from %v to %v, want less", plain.Loss, learned.Loss)
	}
	succeed(t, "", "export", "-m", out, "-o", filepath.Join(t.TempDir(), "m.gguf"))
	refuse(t, exitUsage, bitgpuRun("", "learn", "-m", m, "--text", text, "-o", "x.safetensors", "--merge"), "want a directory")
}

// A training inside the rounding goes on from its own masters alone: others may round to the same ternary weights.
func TestLearnMergedResumes(t *testing.T) {
	text, m, dir := proverbs(t), publictest.File(t, "qwen3"), t.TempDir()
	line := func(m, out string, more ...string) []string {
		return append([]string{"learn", "-m", m, "--text", text, "-o", out, "--merge", "--backend", "cpu"}, more...)
	}
	choices := []string{"--steps", "2", "--context", "16", "--rank", "2", "--lr", "1e-4"}
	whole, out := filepath.Join(dir, "whole"), filepath.Join(dir, "stopped")
	succeed(t, "", line(m, whole, choices...)...)
	atomicfile.Fault = func(change string) error {
		if change == "commit" { // of the directory, when all has been learned
			return syscall.ENOSPC
		}
		return nil
	}
	defer func() { atomicfile.Fault = nil }()
	if r := bitgpuRun("", line(m, out, choices...)...); r.code != exitError || !strings.Contains(r.err, "what was learned is in "+out+stateSuffix) {
		t.Fatalf("got exit code %d and %s", r.code, r.err)
	}
	atomicfile.Fault = nil
	refuse(t, exitError, bitgpuRun("", line(whole, out, "--resume")...), "got the training beside the weights ")
	succeed(t, "", line(m, out, "--resume")...)
	if config := read(t, whole, "config.json"); !bytes.Contains(config, []byte(`"max_position_embeddings": 64`)) {
		t.Errorf("the model lost the context that it had, 64: %s", config)
	}
	for _, name := range []string{"model.safetensors", "config.json"} {
		if !bytes.Equal(read(t, whole, name), read(t, out, name)) {
			t.Errorf("%s is another one after --resume", name)
		}
	}
}

// Where what was learned cannot be written, as on a full disk, it is kept with the training, and --resume writes it.
func TestLearnOnAFullDisk(t *testing.T) {
	text, dir, m := proverbs(t), t.TempDir(), model("d32-delta")
	want, out := filepath.Join(dir, "whole.safetensors"), filepath.Join(dir, "x.safetensors")
	line := func(out string, more ...string) []string {
		return append([]string{"learn", "-m", m, "--text", text, "-o", out, "--backend", "cpu"}, more...)
	}
	choices := []string{"--steps", "3", "--context", "16", "--rank", "2"}
	succeed(t, "", line(want, choices...)...)
	creations := 0
	atomicfile.Fault = func(change string) error {
		if change == "create" {
			creations++
		}
		if change == "create" && creations == 3 { // behind the two that find out at the beginning whether files can be written
			return syscall.ENOSPC
		}
		return nil
	}
	defer func() { atomicfile.Fault = nil }()
	if r := bitgpuRun("", line(out, choices...)...); r.code != exitError || !strings.Contains(r.err, "what was learned is in "+out+stateSuffix) {
		t.Errorf("got exit code %d and %s", r.code, r.err)
	}
	atomicfile.Fault = nil
	refuse(t, exitError, bitgpuRun("", line(out, choices...)...), "--output: "+out+stateSuffix+" holds a training that was stopped")
	other := filepath.Join(dir, "other")
	writeText(t, filepath.Join(dir, "other.txt"), strings.Repeat("over the hills and far away, ", 40))
	mustRun(t, "train", "--load", m, "--data", filepath.Join(dir, "other.txt"), "--preset", "seed", "--steps", "5", "--lr", "1e-2", "--warmup-steps", "0", "--batch-size", "2",
		"--context-len", "16", "--val-ratio", "0", "--backend", "cpu", "--output-dir", other)
	refuse(t, exitError, bitgpuRun("", "learn", "-m", other, "--text", text, "-o", out, "--backend", "cpu", "--resume"), "got the training beside the weights ")
	succeed(t, "", line(out, "--resume")...)
	if !bytes.Equal(read(t, out), read(t, want)) {
		t.Error("another adapter was written")
	}
}

// What --resume lacks, and an adapter that is not there, is said in words for a user, and a refused line leaves no directory behind.
func TestLearnSaysWhatIsMissing(t *testing.T) {
	text, dir, m := proverbs(t), t.TempDir(), model("d32-delta")
	out := filepath.Join(dir, "new")
	refuse(t, exitError, bitgpuRun("", "learn", "-m", m, "--text", text, "-o", out, "--resume"), "--resume: there is no "+out+stateSuffix+", the training that was stopped")
	refuse(t, exitError, bitgpuRun("", "learn", "-m", m, "--text", filepath.Join(dir, "none.txt"), "-o", out), "none.txt: no such file or directory")
	if exists(out) {
		t.Error("a refused line has left its directory")
	}
	none := filepath.Join(dir, "none.safetensors")
	refuse(t, exitError, bitgpuRun("", "run", "-m", m, "-p", "x", "--lora", none), "bitgpu: --lora: "+none+": no such file or directory")
	lone := filepath.Join(dir, "lone.safetensors")
	if err := safetensors.WriteFile(lone, nil, nil); err != nil {
		t.Fatal(err)
	}
	refuse(t, exitError, bitgpuRun("", "run", "-m", m, "-p", "x", "--lora", lone), "bitgpu: --lora: "+lone+": got no adapter_config.json in it or beside it")
}
