package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/internal/units"
	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"

	"github.com/gofrs/flock"
)

// mustRun fails the test when the program fails.
func mustRun(t testing.TB, args ...string) (stdout, stderr string) {
	t.Helper()
	r := bitgpuRun("", args...)
	if r.code != 0 {
		t.Fatalf("bitgpu %q: exit code %d: %s", args, r.code, r.err)
	}
	return r.out, r.err
}

// rhyme is text that a small model learns at once.
func rhyme(t testing.TB) string {
	t.Helper()
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "One for the master, two for the dame,\nand %d for the little boy down the lane.\n\n", i%7)
	}
	path := filepath.Join(t.TempDir(), "rhyme.txt")
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// tokenFile writes bare tokens of a vocabulary of 16.
func tokenFile(t testing.TB, name string, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := corpus.CreateTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(n) {
		if err := w.Append(i * i * 7 % 16); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return path
}

// small are flags of a training that takes moments.
func small(more ...string) []string {
	return append([]string{"train", "--preset", "seed", "--backend", "cpu", "--dim", "16", "--layers", "1", "--batch-size", "2",
		"--context-len", "8", "--lr", "0.01", "--warmup-steps", "10"}, more...)
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// steps reads a run's metrics, without the times.
func steps(t testing.TB, dir string) string {
	t.Helper()
	all, err := train.ReadMetrics(filepath.Join(dir, train.MetricsName))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Step != i {
			t.Fatalf("line %d of %s is of step %d", i, dir, all[i].Step)
		}
		all[i].TokensPerSecond = 0
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFromTextToModel goes the whole way, with both mixers: text, model, measurement, picture.
func TestFromTextToModel(t *testing.T) {
	text := rhyme(t)
	for _, mixer := range []string{"tied", "delta"} {
		dir := filepath.Join(t.TempDir(), mixer)
		args := small("--data", text, "--output-dir", dir, "--vocab-size", "300", "--steps", "40", "--val-every", "20",
			"--val-ratio", "0.3", "--mixer", mixer, "--save-interval", "20", "--accumulate", "2")
		if mixer == "delta" {
			args = append(args, "--ttt-dim", "8", "--ttt-heads", "2", "--tie-word-embeddings")
		}
		stdout, stderr := mustRun(t, args...)
		if !strings.Contains(stdout, "best validation loss") || !strings.Contains(stderr, "step 40/40") {
			t.Errorf("%s%s", stdout, stderr)
		}
		for _, name := range []string{"model.safetensors", "config.json", "tokenizer.json", "model.bitt", "loss.png", "metrics.jsonl"} {
			if len(read(t, dir, name)) == 0 {
				t.Errorf("%s is empty", name)
			}
		}
		for _, key := range []string{`"weight_scale":"absmean"`, `"ttt_rule":"sequential"`} {
			if !bytes.Contains(bytes.ReplaceAll(read(t, dir, "config.json"), []byte(" "), nil), []byte(key)) {
				t.Errorf("config.json does not say %s", key)
			}
		}
		var reports []evalReport
		for _, model := range []string{"", "model.bitt", "checkpoints/step-00000040"} {
			out, _ := mustRun(t, "eval", "-m", filepath.Join(dir, model), "--data", filepath.Join(dir, "data"), "--json", "--backend", "cpu",
				"--context-len", "8", "--batch-size", "2")
			var r evalReport
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatal(err)
			}
			if want := r.Loss / math.Ln2 * float64(r.Tokens) / float64(r.Bytes); math.Abs(*r.BitsPerByte-want) > 1e-9 || r.Accuracy <= 0 {
				t.Errorf("want %v bits per byte: %s", want, out)
			}
			r.TokensPerSecond = 0
			reports = append(reports, r)
		}
		if fmt.Sprint(reports[0].Loss, reports[0].Accuracy) != fmt.Sprint(reports[1].Loss, reports[1].Accuracy) || reports[0].Loss != reports[2].Loss {
			t.Errorf("the model, packed, and its last checkpoint measure differently: %+v", reports)
		}
		all, err := train.ReadMetrics(filepath.Join(dir, train.MetricsName))
		if err != nil {
			t.Fatal(err)
		}
		if last := all[len(all)-1]; len(all) != 40 || last.Loss > all[0].Loss-1 || math.Abs(*last.ValLoss-reports[0].Loss) > 1e-6 {
			t.Errorf("want 40 steps that learn, and end at a validation loss of %v: %+v … %+v", reports[0].Loss, all[0], last)
		}
		picture := filepath.Join(t.TempDir(), "two.png")
		mustRun(t, "plot", "-o", picture, dir, filepath.Join(dir, "metrics.jsonl"))
		if !bytes.HasPrefix(read(t, picture), []byte("\x89PNG")) {
			t.Error("no PNG")
		}
		further := filepath.Join(dir, "further")
		mustRun(t, small("--load", filepath.Join(dir, "model.bitt"), "--data", text, "--steps", "1", "--output-dir", further)...)
		if next, err := train.ReadMetrics(filepath.Join(further, train.MetricsName)); err != nil || next[0].Loss > all[0].Loss-1 {
			t.Errorf("got %+v, want a training that begins with the weights of another (%v)", next, err)
		}
	}
}

// TestTwoAndThree: two steps and three more, from the command line, are five. The first two are what
// a killed run leaves, because the learning rate after the warm-up depends on the number of all steps.
func TestTwoAndThree(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	for _, order := range []string{"shuffle", "sequential"} {
		whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
		mustRun(t, small("--data", data, "--order", order, "--steps", "5", "--warmup-steps", "3", "--save-interval", "2", "--output-dir", whole)...)
		const second = "checkpoints/step-00000002"
		if err := os.CopyFS(filepath.Join(parts, second), os.DirFS(filepath.Join(whole, second))); err != nil {
			t.Fatal(err)
		}
		writeText(t, filepath.Join(parts, train.MetricsName), string(read(t, whole, train.MetricsName)))
		_, stderr := mustRun(t, "train", "--backend", "cpu", "--resume", "--output-dir", parts)
		if !strings.Contains(stderr, "resumed from step 2\n") {
			t.Errorf("%s", stderr)
		}
		if !bytes.Equal(read(t, whole, "model.safetensors"), read(t, parts, "model.safetensors")) {
			t.Errorf("%s: two and three steps are not five", order)
		}
		if steps(t, whole) != steps(t, parts) {
			t.Errorf("%s: metrics differ", order)
		}
	}
}

func TestTrainRefusals(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	text := rhyme(t)
	done := filepath.Join(t.TempDir(), "done")
	mustRun(t, small("--data", data, "--steps", "1", "--output-dir", done)...)
	vocab := filepath.Join(t.TempDir(), "tokenizer.json")
	mustRun(t, "vocab", "--input", text, "-o", vocab, "--vocab-size", "300")
	empty := filepath.Join(t.TempDir(), "empty.txt")
	if err := os.WriteFile(empty, []byte(" \n"), 0o644); err != nil {
		t.Fatal(err)
	}
	locked := t.TempDir()
	lock := flock.New(filepath.Join(locked, ".lock"))
	if ok, err := lock.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	defer lock.Unlock()
	cases := []struct {
		name, want string
		args       []string
	}{
		{"no data", "--data is missing", small()},
		{"no file", "no such file", small("--data", "nowhere.txt")},
		{"empty text", "--data: " + empty + ": there is no text in it", small("--data", empty)},
		{"empty tokens", "an empty file, want at least one token", small("--data", tokenFile(t, "none.u32", 0))},
		{"few tokens", "got 5 tokens, want at least 9 for a context of 8; give more text, or --context-len 4", small("--data", tokenFile(t, "few.u32", 5))},
		{"no data directory", "has no meta.json", small("--data", t.TempDir())},
		{"no data directory with a flag for text", "has no meta.json", small("--data", t.TempDir(), "--vocab-size", "300")},
		{"foreign tokens", "token 0 is 65535, the vocabulary ends at 299", small("--data", foreignTokens(t), "--tokenizer", vocab)},
		{"old run", "holds checkpoints of an earlier training; --resume goes on with it", small("--data", data, "--output-dir", done)},
		{"other shape", "--dim: got 32, want 16, with which " + filepath.Join(done, "checkpoints", "step-00000001") + " was made",
			[]string{"train", "--backend", "cpu", "--resume", "--output-dir", done, "--dim", "32"}},
		{"other vocabulary", "got vocab_size 16, the data have 300",
			[]string{"train", "--backend", "cpu", "--resume", "--output-dir", done, "--data", data, "--tokenizer", vocab}},
		{"resume and load", "one of the two", small("--data", data, "--resume", "--load", done)},
		{"another training", locked + ": another training is writing to this directory", small("--data", data, "--output-dir", locked)},
		{"no validation", "--val-every: " + data + " has no validation tokens", small("--data", data, "--val-every", "5")},
		{"batch", "--batch-size: got 0, want 1 to 1048576", small("--data", data, "--batch-size", "0")},
		{"rate", "--lr: got NaN, want a number that is not negative", small("--data", data, "--lr", "NaN")},
		{"width", "train: --dim: got 18, want a multiple of 4", small("--data", data, "--dim", "18")},
		{"mixer", `--mixer: got "conv", want "tied" or "delta"`, small("--data", data, "--mixer", "conv")},
		{"heads", "--ttt-heads: got 3, want a divisor of --ttt-dim 8", small("--data", data, "--mixer", "delta", "--ttt-dim", "8", "--ttt-heads", "3")},
		{"one table", "--tie-word-embeddings: got true, want false, with which " + filepath.Join(done, "checkpoints", "step-00000001") + " was made",
			[]string{"train", "--backend", "cpu", "--resume", "--output-dir", done, "--tie-word-embeddings"}},
		{"dim of tied", "add --mixer delta", small("--data", data, "--ttt-dim", "8")},
		{"memory", "of memory", small("--data", data, "--dim", "65536", "--layers", "64")},
		{"order", `order: got "random", want shuffle or sequential`, small("--data", data, "--order", "random")},
		{"share", "--reread: got 1.5, want a share of the rows from 0 to 1", small("--data", data, "--reread", "1.5")},
		{"short for rereading", "--reread: got 8, want a context-len of 32 or more", small("--data", data, "--reread", "0.5")},
		{"not finite", "is not finite at step", small("--data", data, "--lr", "1e30", "--warmup-steps", "0")},
		{"minibatch", "try --ttt-rule sequential", small("--data", tokenFile(t, "long.u32", 5000), "--inner-lr", "1",
			"--ttt-rule", "minibatch", "--context-len", "2048", "--batch-size", "1", "--order", "sequential")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			args := c.args
			if !strings.Contains(strings.Join(args, " "), "--output-dir") {
				args = append(args, "--output-dir", t.TempDir())
			}
			r := bitgpuRun("", args...)
			lines := strings.Split(strings.TrimSpace(r.err), "\n")
			if last := lines[len(lines)-1]; r.code == 0 || !strings.HasPrefix(last, "bitgpu: ") || !strings.Contains(last, c.want) {
				t.Errorf("got exit code %d and %q, want %q", r.code, last, c.want)
			}
		})
	}
}

// foreignTokens has an id that no small vocabulary has.
func foreignTokens(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "foreign.u16")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xff}, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBenchmark leaves nothing behind.
func TestBenchmark(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	out, _ := mustRun(t, small("--benchmark", "--vocab-size", "64", "--recompute", "on", "--steps", "2")...)
	for _, want := range []string{"tokens/s", "LinearBackward", "GFLOP/s", "memory"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in %s", want, out)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("files left: %v %v", entries, err)
	}
}

// A training that would fit if blocks were computed again is told so, or computes them again by itself.
func TestPlanOfLittleMemory(t *testing.T) {
	c := nn.Config{Vocab: 8000, Width: 256, Layers: 8, InnerLR: 0.1}.WithDefaults()
	o := train.DefaultOptions()
	kept := o.Shape()
	again := kept
	again.Recompute = true
	b := device.CPU()
	defer b.Close()
	plan := func() (train.Shape, error) {
		s, err := b.Plan(c, o)
		return s, withAdvice(err, trainingFlags)
	}
	b.Room = (b.Bytes(c, kept) + b.Bytes(c, again)) / 2
	if s, err := plan(); err != nil || !s.Recompute {
		t.Errorf("auto: got %+v, %v, want blocks computed again", s, err)
	}
	o.Recompute = train.RecomputeOff
	if _, err := plan(); err == nil || !strings.Contains(err.Error(), "; --recompute on takes "+units.Bytes(b.Bytes(c, again))) {
		t.Errorf("off: got %v, want the advice to compute blocks again", err)
	}
	b.Room = b.Bytes(c, again) - 1
	if _, err := plan(); err == nil || !strings.Contains(err.Error(), "; a smaller --batch-size") {
		t.Errorf("too little for both: got %v", err)
	}
}
