package train_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

// adaptation makes a training of an adapter on 150 tokens, with or without a state to go on from.
func adaptation(t *testing.T, state string) (*train.Adaptation, *nn.Weights[op.HostTensor]) {
	t.Helper()
	c := nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.5}.WithDefaults()
	w := optest.RandomWeights(c, 3)
	a := &train.Adaptation{Options: train.AdaptOptions{Batch: 3, Time: 16, Steps: 9, LR: 5e-3, Seed: 4}, Progress: func(int, int, float64, time.Duration) {}}
	for i := range uint32(150) {
		a.Tokens = append(a.Tokens, i*i%37)
	}
	c.Adapter = train.NewAdapter(c, 2, 4, func(string) bool { return true }, 1)
	train.AddWhole(c.Adapter, c, w, func(string) bool { return true })
	var resume func(train.AdapterTrainer) error
	if state != "" {
		var err error
		if c.Adapter, a.Options, resume, err = train.OpenAdaptation(state, c, a.Tokens, nil); err != nil {
			t.Fatal(err)
		}
	}
	l, err := train.NewLearner(cpu.New(), c, a.Options.Shape(), w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Release)
	if a.Trainer = l; resume != nil {
		if err := resume(l); err != nil {
			t.Fatal(err)
		}
	}
	return a, w
}

// A training that was stopped and goes on from its file ends as one that was not, to the bit.
func TestAdaptationResumes(t *testing.T) {
	whole, _ := adaptation(t, "")
	var losses []float64
	whole.Progress = func(_, _ int, loss float64, _ time.Duration) { losses = append(losses, loss) }
	if err := whole.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(losses) != 9 || !(losses[8] < losses[0]) {
		t.Errorf("got the losses %v, want nine that fall", losses)
	}
	want, err := whole.Trainer.Adapter()
	if err != nil {
		t.Fatal(err)
	}
	first, _ := adaptation(t, "")
	ctx, stop := context.WithCancel(t.Context())
	first.Progress = func(done, _ int, _ float64, _ time.Duration) {
		if done == 4 {
			stop()
		}
	}
	if err := first.Do(ctx); err != nil || first.Trainer.Updates() != 4 {
		t.Fatalf("stopped after %d steps (%v), want 4", first.Trainer.Updates(), err)
	}
	path := filepath.Join(t.TempDir(), "x.training")
	if err := first.SaveAdaptation(path); err != nil {
		t.Fatal(err)
	}
	second, _ := adaptation(t, path)
	if err := second.Do(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := second.Trainer.Adapter()
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range want.Weights {
		if !slices.Equal(got.Weights[i].F32, h.F32) {
			t.Errorf("tensor %d is another than without the stop", i)
		}
	}
	c := nn.Config{Vocab: 40, Width: 36, Layers: 2, InnerLR: 0.5}.WithDefaults()
	if _, _, _, err := train.OpenAdaptation(path, c, first.Tokens, nil); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: got %v, want a refusal", err)
	}
	if _, _, _, err := train.OpenAdaptation(path, whole.Trainer.Config(), first.Tokens[1:], nil); err == nil || !strings.Contains(err.Error(), "another text") {
		t.Errorf("another text: got %v, want a refusal", err)
	}
}

// A state with one other bit, wherever it lies, is refused: it would train something else.
func TestDamagedAdaptationIsRefused(t *testing.T) {
	a, _ := adaptation(t, "")
	path := filepath.Join(t.TempDir(), "x.training")
	if err := a.SaveAdaptation(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := []int{len(data) - 1, len(data) - 2, len(data) / 2, bytes.Index(data, []byte("updates")) + len(`updates\":`), bytes.Index(data, []byte("0.005"))}
	for _, i := range at {
		damaged := bytes.Clone(data)
		damaged[i] ^= 1
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := train.OpenAdaptation(path, a.Trainer.Config(), a.Tokens, nil); err == nil || !strings.HasPrefix(err.Error(), path+": ") && !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d: got %v, want a refusal", i, err)
		}
	}
}

// Rows fit the text, whatever its length.
func TestAdaptOptionsFit(t *testing.T) {
	o := train.AdaptOptions{Batch: 8, Time: 64, Steps: 1}
	for tokens, want := range map[int][2]int{2: {1, 1}, 50: {1, 49}, 65: {1, 64}, 200: {3, 64}, 10000: {8, 64}} {
		if got := o.Fit(tokens); got.Batch != want[0] || got.Time != want[1] {
			t.Errorf("%d tokens: got %d rows of %d, want %d of %d", tokens, got.Batch, got.Time, want[0], want[1])
		}
	}
	if got := o.Fit(10000).StepsOf(10000, 2); got != 40 {
		t.Errorf("got %d steps, want 40", got)
	}
	for _, bad := range []train.AdaptOptions{{Batch: 0, Time: 1, Steps: 1}, {Batch: 1, Time: 0, Steps: 1}, {Batch: 1, Time: 1}, {Batch: 1, Time: 1, Steps: 1, LR: -1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v: want an error", bad)
		}
	}
}
