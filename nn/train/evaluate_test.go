package train_test

import (
	"math"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

type slice []uint32

func (s slice) Len() int                                   { return len(s) }
func (s slice) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, s[from:]), nil }

// TestEvaluationMemory: what eval refuses by is what is really taken.
// A loss that e cannot be raised to has a perplexity that JSON can write.
func TestEvaluationPerplexity(t *testing.T) {
	for _, c := range []struct{ nats, want float64 }{{math.Log(5), 5}, {709, math.Exp(709)}, {26368.7, math.MaxFloat64}} {
		if got := (train.Evaluation{Tokens: 1, Nats: c.nats}).Perplexity(); !(math.Abs(got-c.want) <= 1e-12*c.want) {
			t.Errorf("%v nats: got %v, want %v", c.nats, got, c.want)
		}
	}
}

func TestEvaluationBytes(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		for _, shape := range [][2]int{{1, 1}, {3, 40}, {2, 5000}} {
			ops := cpu.New()
			m, err := nn.NewModel(ops, r.Config, r.Weights)
			if err != nil {
				t.Fatal(err)
			}
			before := ops.BytesInUse()
			e, err := train.NewEvaluator(m, shape[0], shape[1])
			if err != nil {
				t.Fatal(err)
			}
			if got, want := int64(ops.BytesInUse()-before), train.EvaluationBytes(r.Config, shape[0], shape[1]); got != want {
				t.Errorf("%s, %v: got %d bytes in use, want %d", name, shape, got, want)
			}
			e.Release()
			m.Release()
		}
	}
	if got := train.EvaluationBytes(nn.Config{Vocab: 1 << 24, Width: 1 << 17, Layers: 1}.WithDefaults(), 1<<40, 1<<40); got != math.MaxInt64 {
		t.Errorf("got %d bytes, want the most there are", got)
	}
}

// evaluateAs measures a reference model with rows of a length on the CPU engine.
func evaluateAs(t *testing.T, r *optest.Reference, batch, time int, tokens slice) train.Evaluation {
	t.Helper()
	m, err := nn.NewModel(cpu.New(), r.Config, r.Weights)
	if err != nil {
		t.Fatal(err)
	}
	e, err := train.NewEvaluator(m, batch, time)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Release()
	v, err := e.Evaluate(tokens, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEvaluate holds loss and accuracy against the reference's loss and logits.
func TestEvaluate(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		logits, V := r.Expect(t, "logits.sequential"), r.Config.Vocab
		time := len(r.Tokens[0]) - 1
		var nats float64
		for i, row := range r.Tokens {
			v := evaluateAs(t, r, 3, time, row)
			nats += v.Nats
			var correct int64
			for at, target := range row[1:] {
				rows := logits[(i*time+at)*V:][:V]
				best := 0
				for id, l := range rows {
					if l > rows[best] {
						best = id
					}
				}
				if uint32(best) == target {
					correct++
				}
			}
			if v.Correct != correct || v.Tokens != int64(time) {
				t.Errorf("%s: got %d of %d, want %d of %d correct", name, v.Correct, v.Tokens, correct, time)
			}
		}
		want := float64(r.Expect(t, "loss")[0])
		if got := nats / float64(2*time); math.Abs(got-want) > 1e-4*want {
			t.Errorf("%s: got loss %v, want %v", name, got, want)
		}
	}
}

// TestEvaluateSplits: the batch changes nothing, whatever is left over at the end; and a learner
// says the same of its weights as an evaluator.
func TestEvaluateSplits(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		tokens := slice(randomBatch(5*7+3, r.Config.Vocab).inputs)
		want := evaluateAs(t, r, 1, 7, tokens)
		if want.Tokens != int64(len(tokens)-1) {
			t.Fatalf("predicted %d tokens, want every one but the first, %d", want.Tokens, len(tokens)-1)
		}
		same := func(what string, got train.Evaluation) {
			if got.Tokens != want.Tokens || got.Correct != want.Correct || math.Abs(got.Nats-want.Nats) > 1e-4*want.Nats {
				t.Errorf("%s, %s: got %+v, want %+v", name, what, got, want)
			}
		}
		for _, batch := range []int{2, 3, 16} {
			same("batch", evaluateAs(t, r, batch, 7, tokens))
		}
		for _, b := range backends {
			s := train.Shape{Batch: 2, Time: 7, Accumulate: 1, Recompute: true}
			v, err := b.learner(t, r.Config, s, r.Weights).Evaluate(tokens, nil)
			if err != nil {
				t.Fatal(err)
			}
			same(b.name, v)
		}
	}
	if _, err := newLearner(t).Evaluate(slice{1}, nil); err == nil {
		t.Error("one token predicts nothing: want an error")
	}
}

func newLearner(t *testing.T) learner {
	return backends[0].learner(t, tiny, tinyOptions().Shape(), train.InitialWeights(tiny, 1))
}
