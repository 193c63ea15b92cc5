package bench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// The bounds of training, as shares of norms.
const (
	lossBound   = 1e-4 // of a loss
	weightBound = 1e-2 // of a parameter after the last step
)

// The bounds of a parameter's gradient after the first step, and of the norm of all gradients after
// each step. The delta mixer normalises the answers of a memory that has read next to nothing, and the
// first key of a sequence, which belongs to no token. Both divide by numbers near zero, which magnifies
// rounding.
const (
	tiedGradientBound  = 1e-4
	deltaGradientBound = 1e-2
)

// Some gradients are nearly zero because large terms cancel: that of keys with one number each, which
// become 1 or −1 when normalised, or that of the delta mixer's step after a single token. What is left
// is the rounding of the terms, and AdamW, which divides a gradient by its own size, turns it into
// whole steps.
const (
	cancelled = 1e-6 // of the norm of all gradients: what rounding may leave of any
	signal    = 1e-3 // of it: below, the weights are not compared
)

// trainingSteps is how many steps are compared.
const trainingSteps = 3

var trainingKinds = []struct {
	name, mixer, rule string
	bound             float64
}{
	{"tied", nn.MixerTied, nn.RuleSequential, tiedGradientBound},
	{"delta", nn.MixerDelta, nn.RuleSequential, deltaGradientBound},
	{"minibatch", nn.MixerTied, nn.RuleMinibatch, tiedGradientBound},
}

// trainingParity takes a few steps on the engine and on the reference.
func (e *Engine[T]) trainingParity(s *suite, add func(Parity)) {
	for i, kind := range trainingKinds {
		row := Parity{
			Key: trainingParityPath(kind.name),
			Bound: fmt.Sprintf("losses within %.0e, gradients and their norms within %.0e or %.0e of all, weights after %d steps within %.0e",
				lossBound, kind.bound, cancelled, trainingSteps, weightBound),
		}
		if !s.wants(row.Key) {
			continue
		}
		r := rand.New(rand.NewPCG(uint64(i), 10))
		for range max(s.preset.models/6, 2) { // of one, all gradients may be too small to be clipped
			c := randomConfig(r, kind.mixer)
			c.Rule, c.InnerLR, c.Chunk = kind.rule, 0.05, 8
			if err := e.compareTraining(&row, r, c, kind.bound); err != nil {
				row.fail("%v", err)
			}
		}
		add(row)
	}
}

func (e *Engine[T]) compareTraining(row *Parity, r *rand.Rand, c nn.Config, gradientBound float64) error {
	row.Cases++
	shape := train.Shape{
		Batch: 1 + r.IntN(3), Time: 1 + r.IntN(24), Accumulate: 1 + r.IntN(2), Recompute: r.IntN(2) == 0, WeightDecay: 0.01, Clip: 1,
	}
	weights := train.InitialWeights(c, r.Uint64())
	inputs, targets := randomTokens(r, c.Vocab, shape.TokensPerStep()), randomTokens(r, c.Vocab, shape.TokensPerStep())
	what := fmt.Sprintf("width %d, %d layers, vocabulary %d, %d×%d sequences of %d", c.Width, c.Layers, c.Vocab, shape.Accumulate, shape.Batch, shape.Time)
	got, err := trainModel(e.Ops, c, shape, weights, inputs, targets)
	if err != nil {
		return err
	}
	want, err := trainModel(cpu.NewScalar[float64](), c, shape, weights, inputs, targets)
	if err != nil {
		return fmt.Errorf("the reference: %w", err)
	}
	row.compare(what+": losses", got.losses, want.losses, nearRMS(lossBound))
	row.compare(what+": norms of gradients", got.norms, want.norms, nearRMS(gradientBound))
	all := norm(slices.Concat(want.moments...))
	i := 0
	nn.Walk(c, new(nn.Weights[struct{}]), func(p nn.Param, _ *struct{}) {
		gradient := norm(want.moments[i])
		row.compareNorm(what+": gradient of "+p.Names[0], got.moments[i], want.moments[i], gradientBound*gradient+cancelled*all)
		if gradient >= signal*all {
			row.count(got.moments[i], want.moments[i])
			row.count(got.masters[i], want.masters[i])
			row.compareNorm(what+": "+p.Names[0], got.masters[i], want.masters[i], weightBound*norm(want.masters[i]))
		}
		i++
	})
	return nil
}

// compareNorm compares two vectors by the norm of their difference.
func (p *Parity) compareNorm(what string, got, want []float32, allowed float64) {
	difference := make([]float32, len(want))
	for i := range want {
		difference[i] = got[i] - want[i]
	}
	share := min(norm(difference)/max(allowed, math.SmallestNonzeroFloat64), notFiniteError)
	if math.IsNaN(share) {
		share = notFiniteError
	}
	p.OfBound = max(p.OfBound, share)
	if share > 1 {
		p.fail("%s: differs by %.2g times what the bound allows", what, share)
	}
}

// norm returns ‖v‖.
func norm(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

// trained holds the results of some steps of training, a slice for each parameter.
type trained struct {
	losses  []float32
	norms   []float32   // of the gradient
	moments [][]float32 // Adam's m after the first step: the gradient but for a factor
	masters [][]float32 // after the last step
}

func trainModel[T any](ops op.Executor[T], c nn.Config, shape train.Shape, w *nn.Weights[op.HostTensor], inputs, targets []uint32) (trained, error) {
	var got trained
	l, err := train.NewLearner(ops, c, shape, w)
	if err != nil {
		return got, err
	}
	defer l.Release()
	for step := range trainingSteps {
		l.Step(1e-3, inputs, targets)
		results, err := l.Results()
		if err != nil {
			return got, err
		}
		for _, result := range results {
			got.losses = append(got.losses, result.Loss)
			got.norms = append(got.norms, result.GradNorm)
		}
		if step == 0 {
			if got.moments, err = readPart(l, train.FirstMoments); err != nil {
				return got, err
			}
		}
	}
	got.masters, err = readPart(l, train.Masters)
	return got, err
}

// readPart copies one part of a learner, which the next read overwrites.
func readPart[T any](l *train.Learner[T], part train.Part) ([][]float32, error) {
	weights, err := l.Download(part)
	if err != nil {
		return nil, err
	}
	var all [][]float32
	nn.Walk(l.Config(), weights, func(_ nn.Param, t *op.HostTensor) { all = append(all, slices.Clone(t.F32)) })
	return all, nil
}
