package op_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bitgpu/nn/op"
	"bitgpu/nn/optest"
)

// Draw takes the token that the definition of Sampling gives, wherever rounding cannot decide.
func TestDrawByDefinition(t *testing.T) {
	settled := 0
	rapid.Check(t, func(t *rapid.T) {
		V := rapid.IntRange(1, 40).Draw(t, "V")
		// Quarters, so that ties are common.
		logits := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float32 {
			return float32(rapid.IntRange(-12, 12).Draw(t, "quarters")) / 4
		}), V, V).Draw(t, "logits")
		optional := func(name string, g *rapid.Generator[float32]) float32 {
			if rapid.Bool().Draw(t, "has "+name) {
				return g.Draw(t, name)
			}
			return 0
		}
		s := op.Sampling{
			Temperature:   optional("temperature", rapid.Float32Range(0.1, 3)),
			TopK:          rapid.IntRange(0, V+1).Draw(t, "top-k"),
			TopP:          optional("top-p", rapid.Float32Range(0, 1)),
			MinP:          optional("min-p", rapid.Float32Range(0, 1)),
			RepeatPenalty: optional("repeat-penalty", rapid.Float32Range(0.5, 2)),
			Seed:          rapid.Uint64().Draw(t, "seed"),
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		recent := make([]uint32, op.RecentSize)
		for range rapid.IntRange(0, 2*op.RecentWindow).Draw(t, "pushed") {
			op.Push(recent, uint32(rapid.IntRange(0, V).Draw(t, "id"))) // V is none of the vocabulary
		}
		n := rapid.Uint32().Draw(t, "sampled")
		recent[op.RecentSampled] = n
		p, filtered := optest.Distribution(s, logits, recent)
		want, drawn := optest.Drawn(p, float64(op.Uniform(s.Seed, n)))
		pushed := recent[op.RecentPushed]
		got := s.Draw(slices.Clone(logits), recent, make([]float32, V))
		if min(filtered, drawn) > 1e-5 || s.Temperature == 0 {
			if settled++; got != want {
				t.Fatalf("got token %d, want %d; distribution %v", got, want, p)
			}
		}
		if recent[op.RecentPushed] != pushed+1 || recent[op.RecentSampled] != n+1 || recent[op.RecentRing+pushed%op.RecentWindow] != got {
			t.Fatalf("the drawn token %d was not remembered: %v", got, recent)
		}
	})
	if settled == 0 {
		t.Error("no draw was compared")
	}
}

// The penalty sees the whole window, each of its tokens once, and nothing older.
func TestPenaltyWindow(t *testing.T) {
	const V = op.RecentWindow + 2
	recent, logits := make([]uint32, op.RecentSize), make([]float32, V)
	for id := range uint32(V) { // the first two fall out
		op.Push(recent, id)
	}
	op.Push(recent, V-1)
	for i := range logits {
		logits[i] = 4
	}
	logits[9] = -4
	op.Sampling{RepeatPenalty: 2}.Draw(logits, recent, nil)
	for i, l := range logits {
		want := float32(2)
		switch {
		case i < 3: // three are older than the window
			want = 4
		case i == 9:
			want = -8
		}
		if l != want {
			t.Errorf("logit of token %d: got %v, want %v", i, l, want)
		}
	}
}

// The numbers of pcg3d, computed by another program.
func TestUniformKnown(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		n    uint32
		want float32
	}{
		{0, 0, 10203095}, {0, 1, 10616518}, {1, 0, 1757970}, {1 << 32, 0, 8347064}, {0xdeadbeefcafebabe, 123456, 6541701},
	} {
		if got := op.Uniform(c.seed, c.n) * (1 << 24); got != c.want {
			t.Errorf("draw %d of seed %x: got %v, want %v/2²⁴", c.n, c.seed, got, c.want)
		}
	}
}

// 20,000 draws fall evenly into 50 equal parts (Pearson's χ², 49 degrees of freedom), and follow
// each other without memory: pairs fall evenly into 10 × 10.
func TestUniformIsUniform(t *testing.T) {
	const draws = 20000
	for _, seed := range []uint64{0, 1, 1 << 32, math.MaxUint64} {
		var parts [50]float64
		var pairs [100]float64
		last := op.Uniform(seed, math.MaxUint32)
		for n := range uint32(draws) {
			u := op.Uniform(seed, n)
			if !(u >= 0 && u < 1) {
				t.Fatalf("draw %d of seed %d: %v", n, seed, u)
			}
			parts[int(u*50)]++
			pairs[int(u*10)*10+int(last*10)]++
			last = u
		}
		if chi := chiSquare(parts[:], draws/50); chi > 85.4 { // exceeded once in a thousand
			t.Errorf("seed %d: χ² of 50 parts is %v", seed, chi)
		}
		if chi := chiSquare(pairs[:], draws/100); chi > 148.2 {
			t.Errorf("seed %d: χ² of 100 pairs is %v", seed, chi)
		}
	}
}

func chiSquare(counts []float64, expected float64) (chi float64) {
	for _, c := range counts {
		chi += (c - expected) * (c - expected) / expected
	}
	return chi
}

// Draws at temperature 1 come as often as softmax says.
func TestDrawFrequencies(t *testing.T) {
	logits := []float32{0, 1, 2, -1, 0.5}
	const draws = 20000
	p, _ := optest.Distribution(op.Sampling{Temperature: 1}, logits, make([]uint32, op.RecentSize))
	counts, recent, scratch := make([]float64, len(logits)), make([]uint32, op.RecentSize), make([]float32, len(logits))
	for range draws {
		counts[op.Sampling{Temperature: 1, Seed: 3}.Draw(slices.Clone(logits), recent, scratch)]++
	}
	chi := 0.0
	for i, c := range counts {
		chi += (c - draws*p[i]) * (c - draws*p[i]) / (draws * p[i])
	}
	if chi > 18.5 { // 4 degrees of freedom, exceeded once in a thousand
		t.Errorf("χ² = %v; counts %v of probabilities %v", chi, counts, p)
	}
}

func TestSamplingRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		s    op.Sampling
		says string
	}{
		{op.Sampling{Temperature: -1}, "temperature"}, {op.Sampling{Temperature: nan}, "temperature"}, {op.Sampling{Temperature: inf}, "temperature"},
		{op.Sampling{TopK: -1}, "top-k"},
		{op.Sampling{TopP: -0.1}, "top-p"}, {op.Sampling{TopP: 1.1}, "top-p"}, {op.Sampling{TopP: nan}, "top-p"},
		{op.Sampling{MinP: -0.1}, "min-p"}, {op.Sampling{MinP: 1.1}, "min-p"}, {op.Sampling{MinP: nan}, "min-p"},
		{op.Sampling{RepeatPenalty: -1}, "repeat-penalty"}, {op.Sampling{RepeatPenalty: inf}, "repeat-penalty"},
	} {
		err := c.s.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.says+": ") {
			t.Errorf("%+v: got %v, want an error about %s", c.s, err, c.says)
		}
	}
	if err := (op.Sampling{Temperature: 0.8, TopK: 40, TopP: 1, MinP: 1, RepeatPenalty: 1.1}).Validate(); err != nil {
		t.Error(err)
	}
}
