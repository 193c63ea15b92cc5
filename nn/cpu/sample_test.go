package cpu_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
)

// drawer draws a token with the engine.
type drawer struct {
	ops                       *cpu.Ops
	next, out, recent, logits *cpu.Tensor[float32]
	rules                     *cpu.Tensor[float32]
	program                   op.Prepared
}

func newDrawer(V int) *drawer {
	ops := cpu.New()
	d := &drawer{
		ops: ops, next: ops.New(op.U32, 1), out: ops.New(op.U32, 1, 1), recent: ops.New(op.U32, 1, op.RecentSize), logits: ops.New(op.F32, 1, V),
		rules: ops.New(op.U32, 1, op.RulesSize),
	}
	program, err := ops.Prepare(op.Program[*cpu.Tensor[float32]]{
		&op.Sample[*cpu.Tensor[float32]]{Next: d.next, Out: d.out, Recent: d.recent, Rules: d.rules, Logits: d.logits},
	})
	if err != nil {
		panic(err)
	}
	d.program = program
	return d
}

func (d *drawer) draw(s op.Sampling, logits []float32, recent []uint32) uint32 {
	copy(d.logits.Data, logits)
	copy(d.recent.Tokens, recent)
	s.Encode(d.rules.Tokens)
	d.program.Run()
	return d.next.Tokens[0]
}

// The engine draws the token of op.Sampling.Draw wherever rounding cannot decide.
func TestSampleIsDraw(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		settled, draws := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			V := rapid.IntRange(1, 2000).Draw(t, "V")
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "numbers"), 0))
			spread := rapid.SampledFrom([]float64{0, 0.1, 1, 4, 30}).Draw(t, "spread")
			logits := make([]float32, V)
			for i := range logits {
				logits[i] = float32(spread * r.NormFloat64())
				if spread == 4 {
					logits[i] = float32(int(logits[i])) // ties
				}
			}
			s := op.Sampling{
				Temperature:   rapid.SampledFrom([]float32{0, 0.3, 0.8, 1, 2}).Draw(t, "temperature"),
				TopK:          rapid.SampledFrom([]int{0, 0, 1, 2, 40, 300, V - 1, V}).Draw(t, "top-k"),
				TopP:          rapid.SampledFrom([]float32{0, 0, 0.01, 0.5, 0.95, 0.9999}).Draw(t, "top-p"),
				MinP:          rapid.SampledFrom([]float32{0, 0, 0.05, 1}).Draw(t, "min-p"),
				RepeatPenalty: rapid.SampledFrom([]float32{0, 1, 1.3, 0.7}).Draw(t, "repeat-penalty"),
				Seed:          rapid.Uint64().Draw(t, "seed"),
			}
			recent := make([]uint32, op.RecentSize)
			for range rapid.IntRange(0, 2*op.RecentWindow).Draw(t, "pushed") {
				op.Push(recent, uint32(r.IntN(V+1))) // V is none of the vocabulary
			}
			d := newDrawer(V)
			got := d.draw(s, logits, recent)
			if !slices.Equal(d.logits.Data, logits) {
				t.Fatal("the logits have changed")
			}
			p, filtered := optest.Distribution(s, logits, recent)
			_, drawn := optest.Drawn(p, float64(op.Uniform(s.Seed, recent[op.RecentSampled])))
			want := s.Draw(slices.Clone(logits), recent, make([]float32, V))
			draws++
			if s.Temperature > 0 && min(filtered, drawn) < 1e-5 {
				return
			}
			settled++
			if got != want || !slices.Equal(d.recent.Tokens, recent) {
				t.Fatalf("got token %d, want %d", got, want)
			}
		})
		if settled < draws/2 {
			t.Errorf("%d of %d draws were compared", settled, draws)
		}
	})
}

// Many draws from a vocabulary of the usual size: they differ only at boundaries.
func TestSampleOfManyIsDraw(t *testing.T) {
	const V, draws = 16384, 100
	r := rand.New(rand.NewPCG(5, 6))
	logits, scratch := make([]float32, V), make([]float32, V)
	eachLevel(t, func(t *testing.T) {
		for _, s := range []op.Sampling{
			{Temperature: 0.8}, {Temperature: 1, TopP: 0.95}, {Temperature: 0.8, TopK: 40, TopP: 0.95},
			{Temperature: 1.5, TopK: 3000, MinP: 0.01}, {RepeatPenalty: 1.1},
		} {
			d, recent, other := newDrawer(V), make([]uint32, op.RecentSize), 0
			for range draws {
				for i := range logits {
					logits[i] = float32(2 * r.NormFloat64())
				}
				before := slices.Clone(recent)
				got := d.draw(s, logits, recent)
				if want := s.Draw(slices.Clone(logits), recent, scratch); got == want {
					continue
				}
				other++
				p, filtered := optest.Distribution(s, logits, before)
				_, drawn := optest.Drawn(p, float64(op.Uniform(s.Seed, before[op.RecentSampled])))
				if min(filtered, drawn) > 1e-6 {
					t.Errorf("%+v: another token, %g from the next boundary", s, min(filtered, drawn))
				}
			}
			if other > draws/50 {
				t.Errorf("%+v: %d of %d draws differ", s, other, draws)
			}
		}
	})
}

var special = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32}

// Logits that are not finite give no token, and no logits give one outside of the vocabulary.
func TestSampleOfNaN(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		const V = 300
		for _, at := range []int{-1, 0, 7, 299} {
			for i, value := range special {
				logits := make([]float32, V)
				for i := range logits {
					if at < 0 || i == at {
						logits[i] = value
					}
				}
				for _, s := range []op.Sampling{{}, {Temperature: 1}, {Temperature: 1, TopK: 5}, {Temperature: 1, TopP: 0.5}, {Temperature: 1, MinP: 0.1}} {
					d := newDrawer(V)
					id, finite := d.draw(s, logits, make([]uint32, op.RecentSize)), i > 2
					if out := d.out.Tokens[0]; id >= V || finite != (out != op.NotFinite) || finite && out != id {
						t.Errorf("special number %d at %d: tokens %d and %d drawn", i, at, id, out)
					}
					if out := s.Draw(slices.Clone(logits), make([]uint32, op.RecentSize), make([]float32, V)); finite != (out != op.NotFinite) {
						t.Errorf("special number %d at %d: Draw gives %d", i, at, out)
					}
				}
			}
		}
	})
}
