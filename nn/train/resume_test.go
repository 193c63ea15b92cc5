package train_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// spoiled gives a trainer one of whose parts holds a number, or whose validation gives a loss.
type spoiled struct {
	train.Trainer
	part   train.Part
	number float32
	loss   float64
}

func (s spoiled) Download(part train.Part) (*nn.Weights[op.HostTensor], error) {
	w, err := s.Trainer.Download(part)
	if err == nil && part == s.part {
		w.Embed().F32[3] = s.number
	}
	return w, err
}

func (s spoiled) Evaluate(train.Tokens, func() bool) (train.Evaluation, error) {
	return train.Evaluation{Tokens: 1, Nats: s.loss}, nil
}

// TestUnsoundIsNotSaved: weights that the last update has ruined are no checkpoint, and a
// validation without a finite loss ends the run; what was saved before stays the newest.
func TestUnsoundIsNotSaved(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	cases := map[string]struct {
		engine spoiled
		want   string
	}{
		"weights":      {spoiled{part: train.Masters, number: nan}, "embed.weight: element 3 is NaN, want numbers up to 1e+16; try a smaller learning rate"},
		"huge weights": {spoiled{part: train.Masters, number: 1e30}, "element 3 is 1e+30"},
		"moments":      {spoiled{part: train.FirstMoments, number: nan}, "first moment of embed.weight: element 3 is NaN, want finite numbers"},
		"squares":      {spoiled{part: train.SecondMoments, number: inf}, "second moment of embed.weight: element 3 is +Inf, want finite numbers"},
		"validation":   {spoiled{part: -1, loss: math.NaN()}, "validation loss is not finite at step 2; try a smaller learning rate"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, o := t.TempDir(), tinyOptions()
			o.Steps = 2
			first, report := newRun(t, dir, o)
			do(t, first, report, 0)
			o.Steps, o.SaveInterval, o.ValEvery = 5, 1, 1
			r, _ := newRun(t, dir, o)
			c.engine.Trainer = r.Trainer
			r.Trainer = c.engine
			if name == "validation" {
				r.Val = tokenFile(t, 50, 16)
			}
			_, err := r.Do(context.Background())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			ck, err := train.Newest(dir, func(err error) { t.Error(err) })
			if err != nil || ck.State.Step != 2 {
				t.Errorf("got %+v and %v, want the checkpoint of step 2", ck, err)
			}
			if all := metrics(t, dir); len(all) != 3 {
				t.Errorf("got %d, want the lines of 3 steps", len(all))
			}
		})
	}
}

// TestUnusableIsPassedOver: a checkpoint whose files are whole, but hold what no training can go on
// from, does not stand in the way of the one before.
func TestUnusableIsPassedOver(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps, o.SaveInterval = 4, 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	newest := filepath.Join(dir, "checkpoints", "step-00000004")
	rewrite(t, newest, "moment2.safetensors", func(data []byte) []byte {
		return append(data[:len(data)-4], 0, 0, 0xc0, 0x7f) // NaN
	})
	var warned []string
	ck, err := train.Newest(dir, func(err error) { warned = append(warned, err.Error()) })
	if err != nil || ck.State.Step != 2 || len(warned) != 1 || !strings.Contains(warned[0], newest+" cannot be used: second moment of ") {
		t.Errorf("got %+v, %q and %v, want step 2 and a warning", ck, warned, err)
	}
}

// rewrite changes a checkpoint's file, and its checksum with it.
func rewrite(t *testing.T, checkpoint, name string, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(checkpoint, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := crc(data)
	data = change(data)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(checkpoint, "state.json")
	text, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(before)) {
		t.Fatalf("%s has no checksum %s", state, before)
	}
	text = bytes.Replace(text, []byte(before), []byte(crc(data)), 1)
	text = text[:bytes.LastIndex(text, []byte(",\n"))]
	text = fmt.Appendf(text, ",\n  \"state_crc32c\": \"%s\"\n}\n", crc(text))
	if err := os.WriteFile(state, text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func crc(data []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}

// TestRuinedWeights: numbers that are not finite in the first step behind a checkpoint are its own,
// and no learning rate helps.
func TestRuinedWeights(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps = 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	o.Steps = 5
	r, _ = newRun(t, dir, o)
	ruined := slices.Repeat([]float32{1e15}, op.Count([]int{16, 16}))
	w, err := r.Trainer.Download(train.Masters)
	if err != nil {
		t.Fatal(err)
	}
	copy(w.Head(tiny).F32, ruined)
	copy(w.Embed().F32, ruined)
	for i := range (*w)[len(*w)-2].F32 {
		(*w)[len(*w)-2].F32[i] = 1e30
	}
	if err := r.Trainer.Restore(train.Masters, w); err != nil {
		t.Fatal(err)
	}
	want := "is not finite at step 2; the weights of " + r.Resumed.Path + " give it"
	if _, err := r.Do(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestOtherTokens: a training goes on with the tokens that it has read, wherever they lie, and with
// no others. A checkpoint that does not say which those are is believed.
func TestOtherTokens(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps = 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	o.Steps = 4
	for _, n := range []int{299, 301} {
		r, _ = newRun(t, dir, o)
		r.Train = tokenFile(t, n, 16)
		want := fmt.Sprintf("got %d tokens", n)
		if _, err := r.Do(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	r, report = newRun(t, dir, o)
	r.Resumed.State.Data = corpus.Fingerprint{}
	r.Train = tokenFile(t, 299, 16)
	do(t, r, report, 0)
}

// TestTokenCount: tokens are counted, not computed from the step, so another batch does not change
// what lies behind it.
func TestTokenCount(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps = 2
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	o.Steps, o.Batch = 4, 3
	r, report = newRun(t, dir, o)
	do(t, r, report, 0)
	o.Steps, o.Batch = 5, 1
	r, report = newRun(t, dir, o)
	r.Resumed.State.Tokens, r.Resumed.State.Options.Batch = 0, 2 // as older checkpoints have it
	do(t, r, report, 0)
	var got []int64
	for _, m := range metrics(t, dir) {
		got = append(got, m.Tokens)
	}
	if want := []int64{16, 32, 56, 80, 4*16 + 8}; !slices.Equal(got, want) {
		t.Errorf("got %v tokens, want %v", got, want)
	}
}

// TestBrokenMetrics: lines that a crash has spoiled do not block a training whose checkpoint is
// whole; the others stay.
func TestBrokenMetrics(t *testing.T) {
	dir, o := t.TempDir(), tinyOptions()
	o.Steps = 3
	r, report := newRun(t, dir, o)
	do(t, r, report, 0)
	path := filepath.Join(dir, train.MetricsName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(data), "\n")
	lines[1] = lines[1][:9] + "\n"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")+"\x00\x00\x00\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := train.ReadMetrics(path); err == nil || !strings.Contains(err.Error(), path+": line 2: not a step's metrics") {
		t.Errorf("got %v, want an error that names line 2", err)
	}
	o.Steps = 4
	r, report = newRun(t, dir, o)
	do(t, r, report, 0)
	if len(report.warned) != 2 || !strings.Contains(report.warned[0], "line 2") || !strings.Contains(report.warned[1], "line 4") {
		t.Errorf("got %q, want warnings of lines 2 and 4", report.warned)
	}
	var got []int
	for _, m := range metrics(t, dir) {
		got = append(got, m.Step)
	}
	if !slices.Equal(got, []int{0, 2, 3}) {
		t.Errorf("got %v, want the lines of steps 0, 2 and 3", got)
	}
}
