package train

import (
	"math"
	"math/bits"

	"bitgpu/nn"
)

// The rules here choose a training for which only the text is given. They depend on the size of the text and not on the
// machine or the clock, so that a seed gives the same model everywhere. docs/training.md has the runs that they are based on.

// rungs are models with the smallest size of text, in bytes, that they are meant for.
var rungs = []struct {
	bytes         int64
	width, layers int
	vocab         int
}{
	{0, 128, 2, 512},
	{200e3, 192, 4, 1024},
	{800e3, 256, 4, 1024}, // the embedded demo's
	{3e6, 320, 4, 2048},
	{20e6, 512, 6, 4096},
	{100e6, 768, 8, 8192},
	{1e9, 1024, 12, 16384},
}

// Rung returns the index of the model for a text of `bytes` bytes; smaller indices are smaller models, down to 0.
func Rung(bytes int64) int {
	i := 0
	for i+1 < len(rungs) && bytes >= rungs[i+1].bytes {
		i++
	}
	return i
}

// ChooseVocab returns the size of the vocabulary for a text of `bytes` bytes.
func ChooseVocab(bytes int64) int { return rungs[Rung(bytes)].vocab }

// ChooseValidation returns the share of a text for validation: about 50 kB, within 1 to 10 %.
func ChooseValidation(bytes int64) float64 {
	share := min(max(50e3/float64(max(bytes, 1)), 0.01), 0.1)
	return math.Round(1000*share) / 1000
}

// ChooseModel sets the fields of a configuration whose flags are not given to the values of a rung.
func ChooseModel(c *nn.Config, rung int, given func(flag string) bool) {
	r := rungs[rung]
	choose(given, "dim", &c.Width, r.width)
	choose(given, "layers", &c.Layers, r.layers)
	choose(given, "mixer", &c.Mixer, nn.MixerDelta)
	if !c.Uses("ttt_dim") {
		return
	}
	choose(given, "ttt-dim", &c.MemoryWidth, c.Width)
	heads := max(1, c.MemoryWidth/128)
	for c.MemoryWidth%heads != 0 {
		heads--
	}
	choose(given, "ttt-heads", &c.Heads, heads)
}

// Choose sets the options whose flags are not given to what suits a model and a text of `tokens` tokens. continued says that
// the weights have already been trained.
func (o Options) Choose(c nn.Config, tokens int64, continued bool, given func(flag string) bool) Options {
	perWeight := float64(max(tokens, 1)) / float64(c.ParamCount())
	// Read the text as often as pays: four times if there is one token per parameter (arXiv 2305.16264), once if there are 16 or
	// more, and at most thirteen times, as for the demo.
	read := float64(tokens) * min(max(4/math.Sqrt(perWeight), 1), 13)
	choose(given, "context-len", &o.Time, min(max(floor2(float64(tokens)/16), 16), 256))
	rows := max(min(max(floor2(read/2000), 512), 32768)/(o.Time*o.Accumulate), 1)
	if o.Shards > 0 { // at least one row for each
		rows = max(rows/o.Shards, 1) * o.Shards
	}
	choose(given, "batch-size", &o.Batch, rows)
	perStep := o.Shape().TokensPerStep()
	choose(given, "steps", &o.Steps, max(int(math.Ceil(read/float64(perStep))), 200))
	dropout, rate, decay := math.Round(100*min(max(0.1*math.Log10(10/perWeight), 0), 0.2))/100, ChooseRate(c.Width, perStep, continued), 0.1
	if c.Decoder != nil { // made from far more text than this; the rate is the usual one for tuning such models
		dropout, rate, decay = 0, 1e-4, 0
	}
	choose(given, "dropout", &o.Dropout, dropout)
	choose(given, "lr", &o.LR, rate)
	choose(given, "min-lr", &o.MinLR, o.LR/20)
	choose(given, "weight-decay", &o.WeightDecay, decay)
	choose(given, "grad-clip", &o.Clip, 1)
	return o.pace(given)
}

// pace sets what depends on the number of steps.
func (o Options) pace(given func(flag string) bool) Options {
	choose(given, "warmup-steps", &o.Warmup, min(50, o.Steps/10))
	choose(given, "decay-steps", &o.DecaySteps, o.Steps/8)
	choose(given, "save-interval", &o.SaveInterval, min(max(o.Steps/20, 20), 500))
	return o
}

// Within reduces the steps to what fits into a time if a step takes `each` seconds.
func (o Options) Within(seconds, each float64, given func(flag string) bool) Options {
	o.Steps = min(o.Steps, max(int(seconds/max(each, 1e-9)), 1))
	return o.pace(given)
}

// ChooseRate returns the learning rate for a model's width and the tokens per step: 4e-3 at a width of 256 and 2,048 tokens.
// It scales with the inverse of smaller widths and the inverse root of larger ones. Smaller steps lower it by the fourth root
// of the tokens; larger ones do not raise it. A training that continues from trained weights gets a quarter.
func ChooseRate(width, tokens int, continued bool) float64 {
	wide := 256 / float64(width)
	rate := 4e-3 * max(wide, math.Sqrt(wide)) * math.Pow(min(float64(tokens)/2048, 1), 0.25)
	if continued {
		rate /= 4
	}
	digits := math.Pow(10, 1-math.Floor(math.Log10(rate)))
	return math.Round(rate*digits) / digits
}

// floor2 is the largest power of two that is at most x.
func floor2(x float64) int { return 1 << max(bits.Len64(uint64(max(x, 1)))-1, 0) }

// choose sets a value unless its flag is given.
func choose[V any](given func(string) bool, flag string, to *V, value V) {
	if !given(flag) {
		*to = value
	}
}
