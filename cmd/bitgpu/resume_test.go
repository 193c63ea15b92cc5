package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn/train"
)

// newest reads the state of a run's newest checkpoint.
func newest(t testing.TB, dir string) train.State {
	t.Helper()
	ck, err := train.Newest(dir, func(err error) { t.Error(err) })
	if err != nil || ck == nil {
		t.Fatal(ck, err)
	}
	return ck.State
}

// fails demands an exit code and a last line with all of want.
func fails(t testing.TB, code int, want string, args ...string) {
	t.Helper()
	r := bitgpuRun("", args...)
	lines := strings.Split(strings.TrimSpace(r.err), "\n")
	if last := lines[len(lines)-1]; r.code != code || !strings.Contains(last, want) {
		t.Errorf("bitgpu %q: got exit code %d and %q, want %d and %q", args, r.code, last, code, want)
	}
}

// TestResumeOtherText: a training that went on with other text would mix two, and one that ignored
// the flags would say that it had used them.
func TestResumeOtherText(t *testing.T) {
	text, dir := rhyme(t), filepath.Join(t.TempDir(), "run")
	other := writeText(t, filepath.Join(t.TempDir(), "other.txt"), "Mary had a little lamb.\n")
	mustRun(t, small("--data", text, "--vocab-size", "300", "--val-ratio", "0.3", "--steps", "2", "--output-dir", dir)...)
	resume := func(more ...string) []string {
		return append([]string{"train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "3"}, more...)
	}
	made := filepath.Join(dir, "data")
	fails(t, exitError, "for the tokens in it: --data "+made, small("--data", dir, "--output-dir", t.TempDir())...)
	for flag, value := range map[string]string{"--vocab-size": "300", "--min-frequency": "2", "--val-ratio": "0.3", "--document": "block", "--field": "text"} {
		fails(t, exitUsage, flag+" has nothing to act on: the training goes on with the tokens in "+made, resume(flag, value)...)
	}
	for _, name := range []string{other, "nofile.txt"} {
		fails(t, exitUsage, "--data: got "+name+", want "+text+", which ", resume("--data", name)...)
	}
	fails(t, exitUsage, "--context-len: got 16, want 8, with which "+filepath.Join(dir, "checkpoints", "step-00000002")+" has read its data", resume("--context-len", "16")...)
	fails(t, exitUsage, "--order: ", resume("--order", "sequential")...)
	fails(t, exitUsage, "--seed: ", resume("--seed", "9")...)
	fails(t, exitUsage, "--dim: ", resume("--dim", "32")...)
	fails(t, exitUsage, "--val-every: --val-ratio 0 leaves no validation tokens",
		small("--data", text, "--val-ratio", "0", "--val-every", "1", "--output-dir", t.TempDir())...)
	if s := newest(t, dir); s.Step != 2 || s.Options.Data != text {
		t.Errorf("got %+v, want the checkpoint of step 2 untouched", s)
	}

	// What may be repeated is no contradiction, and another batch only takes more of the same.
	mustRun(t, resume("--data", text, "--context-len", "8", "--dim", "16", "--ttt-chunk", "7", "--batch-size", "3")...)
	// Lost tokens are made again, by the same flags the same.
	if err := os.RemoveAll(made); err != nil {
		t.Fatal(err)
	}
	fails(t, exitError, "a training goes on with the same tokens only", resume("--steps", "4")...)
	mustRun(t, resume("--steps", "4", "--val-ratio", "0.3")...)
	if s := newest(t, dir); s.Step != 4 || s.Tokens != 2*16+2*24 {
		t.Errorf("got %+v, want step 4 and 80 tokens", s)
	}
}

// TestResumeOtherTokens: what counts is the tokens, not where they lie.
func TestResumeOtherTokens(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	mustRun(t, small("--data", data, "--steps", "2", "--output-dir", dir)...)
	resume := []string{"train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "3"}
	fails(t, exitError, "300 tokens", append(resume, "--data", tokenFile(t, "other.u32", 300))...)
	fails(t, exitUsage, "--document has nothing to act on", append(resume, "--document", "line")...)
	moved := filepath.Join(t.TempDir(), "moved.u32")
	if err := os.Rename(data, moved); err != nil {
		t.Fatal(err)
	}
	fails(t, exitError, "--data: "+data+": no such file", resume...)
	mustRun(t, append(resume, "--data", moved)...)
	changed := read(t, moved)
	changed[0]++
	writeText(t, moved, string(changed))
	fails(t, exitError, "a training goes on with the same tokens only", append(resume, "--steps", "4")...)
	if s := newest(t, dir); s.Step != 3 || s.Options.Data != moved {
		t.Errorf("got %+v, want step 3 with %s", s, moved)
	}
}

// TestRunAway: a step that ruins the weights is not saved, so a smaller learning rate goes on.
func TestRunAway(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	mustRun(t, small("--data", data, "--steps", "2", "--save-interval", "1", "--output-dir", dir)...)
	resume := []string{"train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "4"}
	fails(t, exitError, "step-00000003: not written, the training has failed: ", append(resume, "--lr", "3e38", "--warmup-steps", "0")...)
	if _, stderr := mustRun(t, append(resume, "--lr", "1e-3")...); !strings.Contains(stderr, "resumed from step 2\n") {
		t.Error(stderr)
	}
}

// TestSaid: what a user would wonder about is said.
func TestSaid(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	_, stderr := mustRun(t, small("--data", data, "--steps", "4", "--output-dir", dir)...)
	if want := "warning: --warmup-steps 10 is not below --steps 4: "; !strings.Contains(stderr, want) {
		t.Errorf("want %q: %s", want, stderr)
	}
	_, stderr = mustRun(t, "train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "3", "--warmup-steps", "1")
	if want := "nothing left to do: 4 steps are done, --steps is 3; a larger --steps goes on\n"; !strings.Contains(stderr, want) || strings.Contains(stderr, "warning") {
		t.Errorf("want %q and no warning: %s", want, stderr)
	}
	fails(t, exitUsage, "train: --lr: got 0, want a number above 0", "train", "--resume", "--output-dir", dir, "--lr", "0")
	state := filepath.Join(dir, "checkpoints", "step-00000004", "state.json")
	if err := os.Truncate(state, 9); err != nil {
		t.Fatal(err)
	}
	fails(t, exitError, "none of 1 checkpoints can be used; another directory, or this one without them, begins anew",
		"train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "9")
}

// TestValidatesBySaving: where there is validation data, the best checkpoint is the best on it,
// unless a flag says otherwise.
func TestValidatesBySaving(t *testing.T) {
	text := rhyme(t)
	for want, more := range map[int][]string{2: nil, 0: {"--val-every", "0"}, 3: {"--val-every", "3"}} {
		dir := filepath.Join(t.TempDir(), "run")
		stdout, _ := mustRun(t, small(append([]string{"--data", text, "--vocab-size", "300", "--val-ratio", "0.3", "--steps", "4",
			"--save-interval", "2", "--output-dir", dir}, more...)...)...)
		if s := newest(t, dir); s.Options.ValEvery != want || s.Validated != (want > 0) || strings.Contains(stdout, "best validation loss") != (want > 0) {
			t.Errorf("%v: got %+v and %s, want validation every %d steps", more, s, stdout, want)
		}
	}
}

// TestRefusedLeavesNothing: neither directories nor locks stay of a run that wrote nothing; what was
// there stays.
func TestRefusedLeavesNothing(t *testing.T) {
	text, data, root := rhyme(t), tokenFile(t, "some.u32", 400), t.TempDir()
	for _, args := range [][]string{
		small("--data", "nowhere.txt"), small("--data", data, "--val-every", "2"), small("--data", text, "--val-ratio", "2"),
		small("--data", text, "--vocab-size", "100"), small("--data", text, "--tokenizer", "none.json"), small("--data", text, "--dim", "18"),
		{"train", "--resume"}, small("--data", data, "--ttt-chunk", "0"),
	} {
		r := bitgpuRun("", append(args, "--output-dir", filepath.Join(root, "a", "b"))...)
		if entries, err := os.ReadDir(root); r.code == 0 || err != nil || len(entries) > 0 {
			t.Errorf("%v: exit code %d, %v %v", args, r.code, entries, err)
		}
	}
	there := filepath.Join(root, "there")
	if err := os.Mkdir(there, 0o755); err != nil {
		t.Fatal(err)
	}
	fails(t, exitError, "no such file", small("--data", "nowhere.txt", "--output-dir", there)...)
	if entries, err := os.ReadDir(there); err != nil || len(entries) > 0 {
		t.Errorf("want an empty directory: %v %v", entries, err)
	}
}

// TestLoadFlags: what the weights decide is refused by the name of the flag, before any work.
func TestLoadFlags(t *testing.T) {
	text, dir := rhyme(t), t.TempDir()
	first, other := filepath.Join(dir, "first"), filepath.Join(dir, "other.json")
	mustRun(t, small("--data", text, "--vocab-size", "300", "--steps", "1", "--output-dir", first)...)
	mustRun(t, "vocab", "--input", writeText(t, filepath.Join(dir, "abc.txt"), strings.Repeat("abcabdabe ", 50)), "-o", other, "--vocab-size", "262")
	load := func(more ...string) []string {
		return small(append([]string{"--load", first, "--steps", "1", "--output-dir", filepath.Join(dir, "second")}, more...)...)
	}
	fails(t, exitError, "--tokenizer: "+other+" is not the tokenizer of "+first, load("--data", text, "--tokenizer", other)...)
	fails(t, exitUsage, "--vocab-size has nothing to act on: "+filepath.Join(first, "tokenizer.json")+" is the vocabulary", load("--data", text, "--vocab-size", "300")...)
	fails(t, exitUsage, "--min-frequency has nothing to act on: "+other, small("--data", text, "--tokenizer", other, "--min-frequency", "3", "--output-dir", dir)...)
	tokens := filepath.Join(first, "data")
	for flag, value := range map[string]string{"--val-ratio": "0.1", "--document": "line", "--field": "x", "--vocab-size": "300", "--min-frequency": "3"} {
		fails(t, exitUsage, "train: "+flag+" has nothing to act on: "+tokens+" holds tokens", load("--data", tokens, flag, value)...)
	}
	// A tokenizer of the same size, and one beside a bare token file, are others all the same.
	same := strings.NewReplacer(`"Ġlittle"`, `"Ġlatter"`).Replace(string(read(t, tokens, "tokenizer.json")))
	foreign := filepath.Join(dir, "foreign")
	if err := os.CopyFS(foreign, os.DirFS(tokens)); err != nil {
		t.Fatal(err)
	}
	meta, err := corpus.ReadMeta(filepath.Join(foreign, corpus.MetaName))
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(foreign, "tokenizer.json"), same)
	meta.Tokenizer = corpus.TokenizerHash([]byte(same))
	if err := corpus.WriteMeta(filepath.Join(foreign, corpus.MetaName), meta); err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{foreign, filepath.Join(foreign, corpus.TrainName)} {
		want := filepath.Join(foreign, "tokenizer.json") + ": not the tokenizer of " + first
		fails(t, exitError, want, load("--data", data)...)
		fails(t, exitError, want, "eval", "-m", first, "--data", data)
	}
	if _, err := os.Stat(filepath.Join(dir, "second")); err == nil {
		t.Error("a refused run has left its directory")
	}
	// The same tokenizer, written otherwise, is no other.
	var compact any
	if err := json.Unmarshal(read(t, tokens, "tokenizer.json"), &compact); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(compact)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, load("--data", text, "--tokenizer", writeText(t, filepath.Join(dir, "again.json"), string(again)))...)
}

// TestDecaySteps: the learning rate stays, falls at the end, and a resumed run with more steps has its fall at its own end.
func TestDecaySteps(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	mustRun(t, small("--data", data, "--warmup-steps", "2", "--steps", "14", "--decay-steps", "4", "--output-dir", dir)...)
	mustRun(t, "train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", "20")
	lines, err := train.ReadMetrics(filepath.Join(dir, train.MetricsName))
	if err != nil || len(lines) != 20 {
		t.Fatalf("got %d and %v, want 20 lines", len(lines), err)
	}
	for _, l := range lines[2:] {
		falling := l.Step > 10 && l.Step < 14 || l.Step > 16
		if (l.LR < 0.01) != falling {
			t.Errorf("step %d: got a learning rate of %v, want falling %v", l.Step, l.LR, falling)
		}
	}
}
