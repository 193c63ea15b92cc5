package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn/storage"
)

// TestSaidAtOnce: what cannot go well is said before data are prepared, and nothing is left of it.
func TestSaidAtOnce(t *testing.T) {
	text, root := rhyme(t), t.TempDir()
	out := filepath.Join(root, "run")
	texts := filepath.Dir(text)
	for want, args := range map[string][]string{
		"train: --lr: got 0, want a number above 0":                          {"--data", text, "--lr", "0"},
		"train: --decay-steps: got 9, want at most --steps, 8":               {"--data", text, "--steps", "8", "--decay-steps", "9"},
		"train: --inner-lr: got 2.5, want a rate above 0 and below 2":        {"--data", text, "--inner-lr", "2.5"},
		"train: --inner-lr: got 2, want":                                     {"--data", text, "--inner-lr", "2"},
		"train: --inner-lr: got 0, want":                                     {"--data", text, "--inner-lr", "0"},
		out + ": got no checkpoint to go on from; --output-dir names":        {"--resume"},
		"train: --patience waits for validations, and --val-every 0 makes":   {"--data", text, "--patience", "2", "--val-every", "0"},
		"train: --patience waits for validations, and --val-ratio 0 leaves":  {"--data", text, "--patience", "2", "--val-ratio", "0"},
		"for the text in it: --data '" + filepath.Join(texts, "*.txt") + "'": {"--data", texts},
	} {
		r := bitgpuRun("", small(append(args, "--output-dir", out)...)...)
		lines := strings.Split(strings.TrimSpace(r.err), "\n")
		if r.code == 0 || !strings.Contains(lines[len(lines)-1], want) || strings.Contains(r.err, "vocabulary:") {
			t.Errorf("%q: got exit code %d and %q, want %q", args, r.code, r.err, want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%q has left its directory", args)
		}
	}
}

// TestSaidWhenChosen: flags beside which the rate or the steps are chosen by the text are held against what is chosen, not
// against the defaults of --preset seed, 0.0003 and 1000.
func TestSaidWhenChosen(t *testing.T) {
	line := func(more ...string) []string {
		return append([]string{"train", "--data", rhyme(t), "--vocab-size", "300", "--dim", "16", "--layers", "1", "--batch-size", "2", "--context-len", "8",
			"--backend", "cpu", "--output-dir", filepath.Join(t.TempDir(), "run")}, more...)
	}
	mustRun(t, line("--steps", "2", "--min-lr", "0.001")...)
	_, stderr := mustRun(t, line("--steps", "2", "--warmup-steps", "5")...)
	if strings.Contains(stderr, "in the last") || !strings.Contains(stderr, "in 5 steps; weight decay") {
		t.Errorf("got a fall of no steps: %s", stderr)
	}
	fails(t, exitUsage, "train: --min-lr: got 1, want at most lr, ", line("--steps", "2", "--min-lr", "1")...)
	fails(t, exitUsage, "train: --decay-steps: got 1500000, want at most --steps, ", line("--decay-steps", "1500000")...)
	r := bitgpuRun("", line("--decay-steps", "1500000")...)
	if strings.Contains(r.err, "--steps, 1000\n") {
		t.Errorf("it was held against the default: %s", r.err)
	}
}

// TestBestModel: what a training with validation leaves is its best model, and it says which that is.
func TestBestModel(t *testing.T) {
	text, dir := rhyme(t), filepath.Join(t.TempDir(), "run")
	// A rate that ruins in the end what the first steps have learned.
	stdout, _ := mustRun(t, small("--data", text, "--vocab-size", "300", "--val-ratio", "0.3", "--steps", "30", "--save-interval", "5",
		"--warmup-steps", "29", "--lr", "3", "--output-dir", dir)...)
	_, path, found := strings.Cut(stdout, " nats a token, ")
	path, step, also := strings.Cut(path, "; the model is that of step ")
	if !found || !also || strings.TrimSpace(step) == "30" {
		t.Fatalf("got %q, want a best step before the last", stdout)
	}
	if !bytes.Equal(read(t, path, "model.safetensors"), read(t, dir, "model.safetensors")) {
		t.Error("model.safetensors is not that of the best checkpoint")
	}
	again := filepath.Join(t.TempDir(), "again.bitt")
	l, err := storage.Load(path, storage.Options{Masters: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Export(again, storage.Layout{Pack: true}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, again), read(t, dir, "model.bitt")) {
		t.Error("model.bitt is not that of the best checkpoint")
	}
}

// TestDocumentIsOneThing: the documents of a text are the same for every command that reads text.
func TestDocumentIsOneThing(t *testing.T) {
	for _, command := range commands() {
		for _, f := range command.Flags {
			if f.Names()[0] == "document" && !strings.Contains(f.String(), `default: "block"`) {
				t.Errorf("%s: got %s", command.Name, f)
			}
		}
	}
}

// TestTail: where a share gives no document of one file, its end is the validation, nothing is lost and nothing in both;
// of several files that is said before any work.
func TestTail(t *testing.T) {
	dir := t.TempDir()
	vocab := filepath.Join(dir, "tokenizer.json")
	mustRun(t, "vocab", "--input", rhyme(t), "-o", vocab, "--vocab-size", "290")
	for name, c := range map[string]struct{ text, val string }{
		"lines":    {strings.Repeat("a line of it\n", 100), strings.Repeat("a line of it\n", 9)},
		"one line": {strings.Repeat("é", 1000), strings.Repeat("é", 100)},
		"tiny":     {"ab", "b"},
	} {
		text, out := writeText(t, filepath.Join(dir, name+".txt"), c.text), filepath.Join(dir, name)
		if corpus.InValidation(c.text, 0.1) {
			t.Fatalf("%s: the document's hash is in the share, want another text", name)
		}
		mustRun(t, "data", "--input", text, "--document", "file", "--tokenizer", vocab, "--output-dir", out, "--val-ratio", "0.1")
		train, _ := textOf(t, out, corpus.TrainName)
		val, _ := textOf(t, out, corpus.ValName)
		if train+val != c.text || val != c.val {
			t.Errorf("%s: got %q for validation, want %q", name, val, c.val)
		}
	}
	// Documents that all fall into the share are none for training: likewise.
	all := "words of one document"
	for !corpus.InValidation(all, 0.5) || !corpus.InValidation(all+"!", 0.5) {
		all += " and more"
	}
	text, out := writeText(t, filepath.Join(dir, "all.txt"), all), filepath.Join(dir, "all")
	args := []string{"data", "--input", text, "--document", "file", "--tokenizer", vocab, "--output-dir", out, "--val-ratio", "0.5"}
	mustRun(t, args...)
	if train, _ := textOf(t, out, corpus.TrainName); train == "" || train == all {
		t.Errorf("got %q of %q for training, want a half", train, all)
	}
	args = append(args, "--input", writeText(t, filepath.Join(dir, "also.txt"), all+"!"))
	fails(t, exitUsage, "data: --val-ratio: a share of 0.5 takes all of 2 documents, so none is left for training", args...)

	one, two := writeText(t, filepath.Join(dir, "1.txt"), "some text"), writeText(t, filepath.Join(dir, "2.txt"), "more text")
	args = []string{"data", "--input", one, "--input", two, "--tokenizer", vocab, "--output-dir", filepath.Join(dir, "two")}
	fails(t, exitUsage, "data: --val-ratio: a share of 0.001 gives none of 2 documents for validation", append(args, "--val-ratio", "0.001")...)
	if _, stderr := mustRun(t, args...); !strings.Contains(stderr, "gives none of 2 documents for validation: there will be no validation") {
		t.Error(stderr)
	}
}
