package train

import (
	"fmt"
	"math"

	"bitgpu/io/corpus"
)

// Options are the numbers of a run, as its checkpoints store them.
type Options struct {
	Data         string  `json:"data"` // where the tokens come from, as the user named it
	Batch        int     `json:"batch_size"`
	Time         int     `json:"context_len"`
	Accumulate   int     `json:"accumulate"`
	Steps        int     `json:"steps"`
	LR           float64 `json:"lr"`
	MinLR        float64 `json:"min_lr"`
	Warmup       int     `json:"warmup_steps"`
	DecaySteps   int     `json:"decay_steps,omitempty"` // length of the learning rate's decay, 0 = everything after the warm-up
	WeightDecay  float64 `json:"weight_decay"`
	Clip         float64 `json:"grad_clip"`
	Dropout      float64 `json:"dropout,omitempty"`
	Order        string  `json:"order"`
	Reread       float64 `json:"reread,omitempty"` // share of the rows that corpus.Sampler.Reread composes
	Pack         bool    `json:"pack,omitempty"`   // conversations share rows, see corpus.Rows.Pack
	Seed         uint64  `json:"seed"`
	SaveInterval int     `json:"save_interval"`
	ValEvery     int     `json:"val_every"`
	SampleEvery  int     `json:"sample_every,omitempty"` // steps between texts written by the model, 0 = never
	Patience     int     `json:"patience,omitempty"`     // the run ends after this many validations in a row without a new best, 0 = never
	Recompute    string  `json:"recompute"`              // "auto", "on" or "off"
	Shards       int     `json:"shards,omitempty"`       // see Shape; 0 = a step is computed as a whole, on one rank only
	Gradient     string  `json:"gradient,omitempty"`     // GradientF32 ("" means the same) or GradientBF16
}

// DefaultShards is the number of shards of a step on more than one rank.
const DefaultShards = 8

// mostShards is the largest number of ranks that a training can have.
const mostShards = 1 << 12

// Values of Options.Recompute.
const (
	RecomputeAuto = "auto"
	RecomputeOn   = "on"
	RecomputeOff  = "off"
)

// DefaultOptions are those that our first models were trained with. Gradients are not clipped.
func DefaultOptions() Options {
	return Options{
		Batch: 16, Time: 128, Accumulate: 1, Steps: 1000, LR: 3e-4, MinLR: 1e-5, Warmup: 100, WeightDecay: 0.01,
		Order: corpus.Shuffle.String(), SaveInterval: 500, Recompute: RecomputeAuto,
	}
}

// largest keeps products of a few of the numbers within an int.
const largest = 1 << 20

// Validate returns nil, or an error that says in one sentence what is wrong.
func (o Options) Validate() error {
	for _, n := range []struct {
		name  string
		value int
		least int
	}{
		{"batch-size", o.Batch, 1}, {"context-len", o.Time, 1}, {"accumulate", o.Accumulate, 1},
	} {
		if n.value < n.least || n.value > largest {
			return fmt.Errorf("%s: got %d, want %d to %d", n.name, n.value, n.least, largest)
		}
	}
	for _, n := range []struct {
		name  string
		value int
		least int
	}{
		{"steps", o.Steps, 1}, {"warmup-steps", o.Warmup, 0}, {"decay-steps", o.DecaySteps, 0},
		{"save-interval", o.SaveInterval, 1}, {"val-every", o.ValEvery, 0},
		{"sample-every", o.SampleEvery, 0}, {"patience", o.Patience, 0},
	} {
		if n.value < n.least {
			return fmt.Errorf("%s: got %d, want %d or more", n.name, n.value, n.least)
		}
	}
	for _, x := range []struct {
		name  string
		value float64
	}{{"lr", o.LR}, {"min-lr", o.MinLR}, {"weight-decay", o.WeightDecay}, {"grad-clip", o.Clip}} {
		if !(x.value >= 0) || math.IsInf(x.value, 0) {
			return fmt.Errorf("%s: got %v, want a number that is not negative", x.name, x.value)
		}
	}
	if !(o.Dropout >= 0 && o.Dropout < 1) {
		return fmt.Errorf("dropout: got %v, want a share 0 to below 1", o.Dropout)
	}
	if !(o.Reread >= 0 && o.Reread <= 1) {
		return fmt.Errorf("reread: got %v, want a share of the rows from 0 to 1", o.Reread)
	}
	if o.Reread > 0 && o.Time < corpus.LeastReread {
		return fmt.Errorf("reread: got %d, want a context-len of %d or more", o.Time, corpus.LeastReread)
	}
	if err := checkShards(o.Shards, o.Batch); err != nil {
		return err
	}
	switch o.Gradient {
	case "", GradientF32:
	case GradientBF16:
		if o.Shards == 0 {
			return fmt.Errorf("gradient: got %s without shards, whose sums it is the format of; want shards too", o.Gradient)
		}
	default:
		return fmt.Errorf("gradient: got %q, want %s or %s", o.Gradient, GradientF32, GradientBF16)
	}
	if o.MinLR > o.LR {
		return fmt.Errorf("min-lr: got %v, want at most lr, %v", o.MinLR, o.LR)
	}
	if _, err := corpus.ParseOrder(o.Order); err != nil {
		return fmt.Errorf("order: got %q, want shuffle or sequential", o.Order)
	}
	if o.Recompute != RecomputeAuto && o.Recompute != RecomputeOn && o.Recompute != RecomputeOff {
		return fmt.Errorf("recompute: got %q, want %s, %s or %s", o.Recompute, RecomputeAuto, RecomputeOn, RecomputeOff)
	}
	return nil
}

// checkShards refuses shards into which a batch cannot be divided.
func checkShards(shards, batch int) error {
	if shards < 0 || shards > mostShards || shards&(shards-1) != 0 {
		return fmt.Errorf("shards: got %d, want a power of two up to %d", shards, mostShards)
	}
	if shards > 0 && batch%shards != 0 {
		return fmt.Errorf("shards: got %d, want a divisor of batch-size, %d", shards, batch)
	}
	return nil
}

// Schedule returns that of the learning rate.
func (o Options) Schedule() Schedule {
	return Schedule{Peak: o.LR, Min: o.MinLR, Warmup: o.Warmup, Steps: o.Steps, DecaySteps: o.DecaySteps}
}

// Shape returns what the learner needs to know. Whether to recompute, and the group of ranks, are decided elsewhere.
func (o Options) Shape() Shape {
	return Shape{Batch: o.Batch, Time: o.Time, Accumulate: o.Accumulate, WeightDecay: o.WeightDecay, Clip: o.Clip, Dropout: o.Dropout, Seed: o.Seed,
		Packed: o.Pack, Shards: o.Shards, Gradient: o.Gradient}
}
