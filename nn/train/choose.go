package train

import (
	"math"
	"math/bits"

	"bitgpu/nn"
)

// A training of which only the text is known is chosen here, by the text's size alone: not by the machine or the clock, so
// that a seed gives the same model everywhere. docs/training.md has the runs that these rules come from.

// rungs are models by the least bytes of text that they are for.
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

// Rung is the number of the model for so many bytes of text; smaller numbers are smaller models, down to 0.
func Rung(bytes int64) int {
	i := 0
	for i+1 < len(rungs) && bytes >= rungs[i+1].bytes {
		i++
	}
	return i
}

// ChooseVocab is the size of a vocabulary for so many bytes of text.
func ChooseVocab(bytes int64) int { return rungs[Rung(bytes)].vocab }

// ChooseValidation is the share of so many bytes that measures: about 50 kB, 1 to 10 %.
func ChooseValidation(bytes int64) float64 {
	share := min(max(50e3/float64(max(bytes, 1)), 0.01), 0.1)
	return math.Round(1000*share) / 1000
}

// ChooseModel sets those numbers of a configuration whose flags are not given to those of a rung.
func ChooseModel(c *nn.Config, rung int, given func(flag string) bool) {
	r := rungs[rung]
	choose(given, "dim", &c.Width, r.width)
	choose(given, "layers", &c.Layers, r.layers)
	choose(given, "mixer", &c.Mixer, nn.MixerDelta)
	if c.Mixer != nn.MixerDelta {
		return
	}
	choose(given, "ttt-dim", &c.MemoryWidth, c.Width)
	heads := max(1, c.MemoryWidth/128)
	for c.MemoryWidth%heads != 0 {
		heads--
	}
	choose(given, "ttt-heads", &c.Heads, heads)
}

// Choose sets those of the options whose flags are not given to what suits a model and a text of so many tokens. continued
// says that the weights have been trained already.
func (o Options) Choose(c nn.Config, tokens int64, continued bool, given func(flag string) bool) Options {
	perWeight := float64(max(tokens, 1)) / float64(c.ParamCount())
	// As much as is worth reading again: four times where there is a token for each parameter (arXiv 2305.16264), once where
	// there are 16 and more, and thirteen times at most, as the demo.
	read := float64(tokens) * min(max(4/math.Sqrt(perWeight), 1), 13)
	choose(given, "context-len", &o.Time, min(max(floor2(float64(tokens)/16), 16), 256))
	rows := max(min(max(floor2(read/2000), 512), 32768)/(o.Time*o.Accumulate), 1)
	if o.Shards > 0 { // a row and more for each
		rows = max(rows/o.Shards, 1) * o.Shards
	}
	choose(given, "batch-size", &o.Batch, rows)
	perStep := o.Shape().TokensPerStep()
	choose(given, "steps", &o.Steps, max(int(math.Ceil(read/float64(perStep))), 200))
	dropout, rate, decay := math.Round(100*min(max(0.1*math.Log10(10/perWeight), 0), 0.2))/100, ChooseRate(c.Width, perStep, continued), 0.1
	if c.Decoder != nil { // made with much more text than this one is; the rate is what such are tuned with
		dropout, rate, decay = 0, 1e-4, 0
	}
	choose(given, "dropout", &o.Dropout, dropout)
	choose(given, "lr", &o.LR, rate)
	choose(given, "min-lr", &o.MinLR, o.LR/20)
	choose(given, "weight-decay", &o.WeightDecay, decay)
	choose(given, "grad-clip", &o.Clip, 1)
	return o.pace(given)
}

// pace sets what follows from the number of steps.
func (o Options) pace(given func(flag string) bool) Options {
	choose(given, "warmup-steps", &o.Warmup, min(50, o.Steps/10))
	choose(given, "decay-steps", &o.DecaySteps, o.Steps/8)
	choose(given, "save-interval", &o.SaveInterval, min(max(o.Steps/20, 20), 500))
	return o
}

// Within reduces the steps to as many as fit into a time, at each seconds a step.
func (o Options) Within(seconds, each float64, given func(flag string) bool) Options {
	o.Steps = min(o.Steps, max(int(seconds/max(each, 1e-9)), 1))
	return o.pace(given)
}

// ChooseRate is the learning rate of a model of some width in steps of so many tokens: 4e-3 at a width of 256 and 2,048 tokens,
// by the inverse of smaller widths and the inverse root of larger ones, and lower by the fourth root of the tokens in smaller
// steps, in larger ones not higher. A training that goes on with trained weights has a quarter.
func ChooseRate(width, tokens int, continued bool) float64 {
	wide := 256 / float64(width)
	rate := 4e-3 * max(wide, math.Sqrt(wide)) * math.Pow(min(float64(tokens)/2048, 1), 0.25)
	if continued {
		rate /= 4
	}
	digits := math.Pow(10, 1-math.Floor(math.Log10(rate)))
	return math.Round(rate*digits) / digits
}

// floor2 is the largest power of two up to x.
func floor2(x float64) int { return 1 << max(bits.Len64(uint64(max(x, 1)))-1, 0) }

// choose sets what no flag has set.
func choose[V any](given func(string) bool, flag string, to *V, value V) {
	if !given(flag) {
		*to = value
	}
}
