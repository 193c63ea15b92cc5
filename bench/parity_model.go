package bench

import (
	"fmt"
	"math"
	"math/rand/v2"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// klBound is the bound of one distribution, in nats.
const klBound = 1e-7

// logitBound returns the bound of a whole model, as a share of the logit or of the root mean square of the model's logits.
// Everything is float32, so a logit may be off by the rounding of a few layers; a larger error is a mistake.
func logitBound(c nn.Config) float64 {
	if how, _ := c.Learning(); how.Normalised {
		return 1e-3
	}
	return 1e-4
}

// input is one way of making a model's tokens or weights hard.
type input struct {
	name    string
	tokens  func(r *rand.Rand, vocab, n int) []uint32
	weights func(r *rand.Rand, w *nn.Weights[op.HostTensor])
}

// inputs returns the inputs that models are tried on.
func inputs() []input {
	scaled := func(by float32) func(*rand.Rand, *nn.Weights[op.HostTensor]) {
		return func(_ *rand.Rand, w *nn.Weights[op.HostTensor]) {
			for i := range w.Embed().F32 {
				w.Embed().F32[i] *= by
			}
		}
	}
	same := func(*rand.Rand, *nn.Weights[op.HostTensor]) {}
	return []input{
		{"random", randomTokens, same},
		{"repeated", func(r *rand.Rand, vocab, n int) []uint32 {
			ids, id := make([]uint32, n), uint32(r.IntN(vocab))
			for i := range ids {
				ids[i] = id
			}
			return ids
		}, same},
		{"alternating", func(r *rand.Rand, vocab, n int) []uint32 {
			pair := randomTokens(r, vocab, 2)
			ids := make([]uint32, n)
			for i := range ids {
				ids[i] = pair[i%2]
			}
			return ids
		}, same},
		{"large", randomTokens, scaled(1e4)},
		{"small", randomTokens, scaled(1e-6)},
		{"zeros", randomTokens, func(r *rand.Rand, w *nn.Weights[op.HostTensor]) {
			rows, cols := w.Embed().Shape[0], w.Embed().Shape[1]
			for row := range rows {
				if r.IntN(2) == 0 {
					clear(w.Embed().F32[row*cols : (row+1)*cols])
				}
			}
		}},
	}
}

// randomConfig draws the shape of a small model, mostly with odd sizes.
func randomConfig(r *rand.Rand, mixer string) nn.Config {
	pick := func(choices ...int) int { return choices[r.IntN(len(choices))] }
	c := nn.Config{
		Width: pick(4, 8, 12, 20, 36, 64, 100, 132), Layers: 1 + r.IntN(3), Vocab: pick(1, 2, 7, 33, 257, 1000),
		InnerLR: []float64{0.05, 0.1, 0.5, 1}[r.IntN(4)], Mixer: mixer,
		WeightScale: []string{nn.ScaleNone, nn.ScaleAbsmean}[r.IntN(2)],
	}
	if c.Uses("ttt_heads") {
		c.Heads = pick(1, 2, 3)
		c.MemoryWidth = c.Heads * pick(1, 5, 8, 16, 33)
	}
	return c.WithDefaults()
}

// wideModel is the name of the row for wideConfig.
const wideModel = "wide"

// wideConfig is as wide as models that are used, unlike the random ones: kernels handle wide rows in other ways.
func wideConfig(_ *rand.Rand, mixer string) nn.Config {
	return Size{Width: 256, Layers: 2, Vocab: 1031}.config(mixer)
}

// modelParity reads many random models, and a wide one, on the engine and on the reference in float64.
func (e *Engine[T]) modelParity(s *suite, add func(Parity)) {
	for _, mixer := range s.mixers() {
		for i, in := range inputs() {
			e.modelRow(s, add, in.name, mixer, uint64(i), max(s.preset.models/len(inputs()), 1), randomConfig, in)
		}
		e.modelRow(s, add, wideModel, mixer, 0, 1, wideConfig, inputs()[0])
	}
}

// modelRow reads a number of models of one kind.
func (e *Engine[T]) modelRow(s *suite, add func(Parity), name, mixer string, seed uint64, models int,
	config func(r *rand.Rand, mixer string) nn.Config, in input,
) {
	row := Parity{
		Key:   modelParityPath(mixer, name),
		Bound: fmt.Sprintf("logits and memory within %.0e of their size, KL below %.0e, equal top tokens but for ties within the error", logitBound(nn.Config{Mixer: mixer}.WithDefaults()), klBound),
	}
	if !s.wants(row.Key) {
		return
	}
	// The same models for every engine and variant.
	r := rand.New(rand.NewPCG(seed, uint64(len(mixer))))
	for i := range models {
		c := config(r, mixer)
		if i == 0 {
			c.Vocab = max(c.Vocab, 33) // with one token there is nothing to compare
		}
		if err := e.compareModel(&row, r, c, in); err != nil {
			row.fail("%v", err)
		}
	}
	row.MeanKL /= float64(max(row.TopTokens, 1))
	add(row)
}

// compareModel reads one model's tokens on both.
func (e *Engine[T]) compareModel(row *Parity, r *rand.Rand, c nn.Config, in input) error {
	row.Cases++
	weights := train.InitialWeights(c, r.Uint64())
	in.weights(r, weights)
	*weights.Head(c) = convertTable(*weights.Head(c), []op.Format{op.F32, op.F32, op.F16, op.I8}[r.IntN(4)])
	scan := c.DefaultScan()
	scan.Chunk = []int{1, 5, 16, 64}[r.IntN(4)]
	const batch = 3
	length := 4 + r.IntN(80)
	if c.Width >= 256 {
		length = 12 // a software adapter is slow
	}
	tokens := in.tokens(r, c.Vocab, batch*length)
	what := fmt.Sprintf("width %d, %d layers, vocabulary %d, memory %d in %d heads, %s, head %v, chunk %d, %d tokens",
		c.Width, c.Layers, c.Vocab, c.MemoryWidth, c.Heads, c.WeightScale, weights.Head(c).Format, scan.Chunk, length)

	got, err := readModel(e.Ops, c, weights, scan, batch, tokens)
	if err != nil {
		return err
	}
	want, err := readModel(cpu.NewScalar[float64](), c, weights, scan, batch, tokens)
	if err != nil {
		return fmt.Errorf("the reference: %w", err)
	}
	bound := logitBound(c)
	row.distributions(what+": logits", got.logits, want.logits, c.Vocab, bound)
	row.distributions(what+": logits of a batch", got.last, want.last, c.Vocab, bound)
	for i := range want.memory {
		row.compare(fmt.Sprintf("%s: memory of layer %d", what, i), got.memory[i].W, want.memory[i].W, nearRMS(bound))
		row.compare(fmt.Sprintf("%s: convolution of layer %d", what, i), got.memory[i].Tail, want.memory[i].Tail, nearRMS(bound))
	}
	return nil
}

// nearRMS allows an error that is a share of the number or of its tensor's root mean square; next to nothing if both are 0.
func nearRMS(share float64) func(want, rms float64) float64 {
	return func(want, rms float64) float64 { return share*max(math.Abs(want), rms) + 1e-9 }
}

// modelReading holds the results of a model for some tokens.
type modelReading struct {
	logits []float32 // (T, V) after each token of the first sequence
	memory []nn.LayerMemory
	last   []float32 // (B, V) after the last token of every sequence
}

func readModel[T any](ops op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], scan op.Scan, batch int, tokens []uint32) (modelReading, error) {
	var got modelReading
	m, err := nn.NewModel(ops, c, w)
	if err != nil {
		return got, err
	}
	defer m.Release()
	one, err := m.NewSession(1, scan)
	if err != nil {
		return got, err
	}
	defer one.Close()
	// Read in pieces, one of them a single token, so that a memory is continued.
	first := tokens[:len(tokens)/batch]
	third := len(first) / 3
	for _, part := range [][]uint32{first[:third], first[third : third+1], first[third+1:]} {
		err := one.ForwardAll(part, func(_ int, logits []float32) error {
			got.logits = append(got.logits, logits...)
			return nil
		})
		if err != nil {
			return got, err
		}
	}
	if got.memory, err = one.Memory(); err != nil {
		return got, err
	}
	all, err := m.NewSession(batch, scan)
	if err != nil {
		return got, err
	}
	defer all.Close()
	if err := all.Forward(tokens); err != nil {
		return got, err
	}
	got.last = make([]float32, batch*c.Vocab)
	return got, all.Logits(got.last)
}

// distributions compares next-token distributions, given as logits (m, V).
func (p *Parity) distributions(what string, got, want []float32, vocab int, bound float64) {
	p.compare(what, got, want, nearRMS(bound))
	if len(got) != len(want) {
		return
	}
	for from := 0; from < len(want); from += vocab {
		g, w := got[from:from+vocab], want[from:from+vocab]
		kl := klDivergence(w, g)
		p.TopTokens++
		p.MeanKL += kl // a sum until the row is complete
		p.MaxKL = max(p.MaxKL, kl)
		if kl > klBound {
			p.fail("%s: row %d: KL divergence %.2g", what, from/vocab, kl)
		}
		a, b := argmax(g), argmax(w)
		if a == b {
			p.TopEqual++
		} else if gap := float64(w[b] - w[a]); gap > 2*bound*max(math.Abs(float64(w[b])), 1e-6) {
			p.fail("%s: row %d: token %d is most probable, not %d, whose logit is %.2g larger", what, from/vocab, b, a, gap)
		}
	}
}

func argmax(v []float32) int {
	best := 0
	for i, x := range v {
		if x > v[best] {
			best = i
		}
	}
	return best
}

// klDivergence is Σ p·log(p/q) of the softmaxes of two rows of logits, in float64.
func klDivergence(p, q []float32) float64 {
	logP, logQ := logSumExp(p), logSumExp(q)
	sum := 0.0
	for i := range p {
		lp, lq := float64(p[i])-logP, float64(q[i])-logQ
		sum += math.Exp(lp) * (lp - lq)
	}
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return notFiniteError
	}
	return max(sum, 0) // rounding may leave −1e-17
}

func logSumExp(v []float32) float64 {
	largest := float64(v[argmax(v)])
	sum := 0.0
	for _, x := range v {
		sum += math.Exp(float64(x) - largest)
	}
	return largest + math.Log(sum)
}
