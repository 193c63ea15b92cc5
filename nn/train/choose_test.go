package train_test

import (
	"math"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/train"
)

func none(string) bool { return false }

// chosen is a training of so many bytes of text, at three bytes a token.
func chosen(bytes int64, given func(string) bool) (nn.Config, train.Options) {
	return chosenBy(train.DefaultOptions(), bytes, given)
}

// chosenBy begins with some options.
func chosenBy(o train.Options, bytes int64, given func(string) bool) (nn.Config, train.Options) {
	c := nn.Config{Vocab: train.ChooseVocab(bytes)}
	train.ChooseModel(&c, train.Rung(bytes), given)
	c = c.WithDefaults()
	return c, o.Choose(c, bytes/3, false, given)
}

// Whatever the size of a text, what is chosen for it is valid, and a larger text never has a smaller model or more dropout.
func TestChooseIsValid(t *testing.T) {
	var before nn.Config
	dropout := 1.0
	for _, bytes := range []int64{1, 100, 3e3, 3e4, 199e3, 3e5, 1.06e6, 5e6, 3e7, 2e8, 5e9} {
		c, o := chosen(bytes, none)
		if err := c.Validate(); err != nil {
			t.Errorf("%d bytes: %v", bytes, err)
		}
		if err := o.Validate(); err != nil || o.DecaySteps > o.Steps || o.Warmup >= o.Steps {
			t.Errorf("%d bytes: %v in %+v", bytes, err, o)
		}
		if c.ParamCount() < before.ParamCount() || c.Vocab < before.Vocab || o.Dropout > dropout {
			t.Errorf("%d bytes: got %+v with dropout %v after %+v with %v", bytes, c, o.Dropout, before, dropout)
		}
		if share := train.ChooseValidation(bytes); !(share >= 0.01 && share <= 0.1) {
			t.Errorf("%d bytes: got a share of %v for validation", bytes, share)
		}
		before, dropout = c, o.Dropout
	}
}

// With shards each of them has as many rows as each other, and at least one, however short the text and however long a row is.
func TestChooseForShards(t *testing.T) {
	for _, bytes := range []int64{1, 3e3, 3e4, 1.06e6, 2e8} {
		for _, shards := range []int{1, 4, 8, 64} {
			for _, time := range []int{0, 100, 2000} {
				o := train.DefaultOptions()
				o.Shards, o.Time = shards, time
				_, o = chosenBy(o, bytes, func(flag string) bool { return flag == "context-len" && time > 0 })
				if err := o.Validate(); err != nil || o.Batch%shards != 0 {
					t.Errorf("%d bytes in %d shards: %v in %+v", bytes, shards, err, o)
				}
			}
		}
	}
}

// A megabyte gives what the embedded demo was found to want.
func TestChooseTheDemo(t *testing.T) {
	c, o := chosen(1_059_624, none)
	if c.Width != 256 || c.Layers != 4 || c.Mixer != nn.MixerDelta || c.MemoryWidth != 256 || c.Heads != 2 || c.Vocab != 1024 {
		t.Errorf("got %+v", c)
	}
	if o.Time != 256 || o.Batch != 8 || o.LR != 4e-3 || o.Dropout != 0.2 || o.WeightDecay != 0.1 || o.Clip != 1 || o.Steps < 1500 || o.Steps > 3000 {
		t.Errorf("got %+v", o)
	}
}

// What is given stays, and what follows from it follows.
func TestChooseAroundWhatIsGiven(t *testing.T) {
	c := nn.Config{Vocab: 1024, Width: 64, Layers: 1}
	given := func(flag string) bool {
		return flag == "dim" || flag == "layers" || flag == "steps" || flag == "context-len"
	}
	train.ChooseModel(&c, train.Rung(1e6), given)
	o := train.DefaultOptions()
	o.Steps, o.Time = 80, 128
	o = o.Choose(c.WithDefaults(), 330_000, false, given)
	if c.Width != 64 || c.Layers != 1 || c.MemoryWidth != 64 || c.Heads != 1 || o.Steps != 80 || o.DecaySteps != 10 || o.Warmup != 8 || o.Time != 128 || o.LR <= 4e-3 {
		t.Errorf("got %+v and %+v", c, o)
	}
	if o := o.Within(20, 0.5, none); o.Steps != 40 || o.DecaySteps != 5 {
		t.Errorf("got %d steps and %d of the fall in 20 seconds, want 40 and 5", o.Steps, o.DecaySteps)
	}
}

// falling is a trainer whose validations are given.
type falling struct {
	train.Trainer
	losses []float64
}

func (f *falling) Evaluate(train.Tokens, func() bool) (train.Evaluation, error) {
	loss := f.losses[0]
	f.losses = f.losses[1:]
	return train.Evaluation{Tokens: 1, Nats: loss}, nil
}

// Patience ends a run after so many validations without a better one, also if it was stopped anywhere before, and leaves the
// best. Once it has ended, it goes on only with more patience.
func TestPatience(t *testing.T) {
	o := tinyOptions()
	o.Steps, o.ValEvery, o.SaveInterval, o.Patience, o.SampleEvery = 40, 2, 4, 3, 2
	losses := []float64{3, 2, 2.5, 2, 1.9, 2.2, 2.1, 1.9, 9, 9}
	const end = 16
	for stop := range end + 1 {
		dir := t.TempDir()
		run := func(stopAfter int) (train.Outcome, []int) {
			r, report := newRun(t, dir, o)
			defer r.Trainer.Release()
			from := 0
			if r.Resumed != nil {
				from = r.Resumed.State.Step / 2
				if r.Resumed.State.ValidationDue {
					from--
				}
			}
			r.Val = r.Train
			r.Trainer = &falling{r.Trainer, losses[from:]}
			var sampled []int
			r.Sample = func(done int) { sampled = append(sampled, done) }
			return do(t, r, report, stopAfter), sampled
		}
		out, sampled := run(stop)
		if stop > 0 {
			if out.Settled || out.Steps != stop {
				t.Fatalf("stopped at %d: got %+v", stop, out)
			}
			out, sampled = run(0)
		}
		if !out.Settled || out.Steps != end || out.Best == nil || math.Abs(out.Best.State.Loss-1.9) > 1e-9 && out.Best.State.Loss != 2 {
			t.Errorf("stopped at %d: got %+v, want the end after %d steps", stop, out, end)
		}
		if n := len(sampled); stop < end && (n == 0 || sampled[n-1] != end || sampled[0]%2 != 0) {
			t.Errorf("stopped at %d: got texts at %v, want every 2 steps to %d", stop, sampled, end)
		}
		if again, _ := run(0); !again.Settled || again.Steps != end || again.Best.State.Step != out.Best.State.Step {
			t.Errorf("stopped at %d: got %+v when it had ended, want the same", stop, again)
		}
		if stop == end {
			o.Patience++
			if more, _ := run(0); more.Steps != end+2 {
				t.Errorf("got %+v with more patience, want the end at the next validation", more)
			}
		}
	}
}
