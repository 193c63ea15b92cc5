package train_test

import (
	"math"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/public/publictest"
	"bitgpu/nn/train"
)

var _ train.Rows = (*corpus.Rows)(nil)

type memory []uint32

func (s memory) Len() int { return len(s) }

func (s memory) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, s[from:]), nil }

func TestNoTargetIsOneThing(t *testing.T) {
	if corpus.NoTarget != op.NoTarget || corpus.NewDocument != op.NewDocument {
		t.Errorf("got %d and %d, %d and %d", corpus.NoTarget, op.NoTarget, corpus.NewDocument, op.NewDocument)
	}
}

// Nothing leaks from one document into another: two together give the loss and the gradients of each by itself, added up,
// of memories, convolutions and attention alike, and what stands in questions has no part in the loss.
func TestDocumentsDoNotLeak(t *testing.T) {
	const b, c = corpus.Begins, corpus.Counts
	documents := [][2][]uint32{{{3, 1, 4, 1, 5, 9}, {uint32(b), 0, uint32(c), uint32(c), 0, uint32(c)}}, {{2, 7, 1, 8}, {uint32(b), uint32(c), 0, uint32(c)}}}
	of := func(which ...int) (ids memory, marks []byte) {
		for _, i := range which {
			ids = append(ids, documents[i][0]...)
			for _, m := range documents[i][1] {
				marks = append(marks, byte(m))
			}
		}
		return ids, marks
	}
	models := map[string]func() (nn.Config, *nn.Weights[op.HostTensor]){
		"delta": func() (nn.Config, *nn.Weights[op.HostTensor]) { return tiny, train.InitialWeights(tiny, 3) },
	}
	for _, family := range []string{"qwen3", "qwen35"} {
		models[family] = func() (nn.Config, *nn.Weights[op.HostTensor]) {
			model, err := storage.Load(publictest.File(t, family), storage.Options{Context: 16})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { model.Close() })
			return model.Config, model.Weights
		}
	}
	const T = 6
	for name, model := range models {
		config, weights := model()
		if config.Decoder != nil {
			config.Adapter = train.NewAdapter(config, 2, 4, func(string) bool { return true }, 1)
			for i := range config.Adapter.Weights { // B is not zero, or A would have no gradient
				for j := range config.Adapter.Weights[i].F32 {
					config.Adapter.Weights[i].F32[j] += 0.01
				}
			}
		}
		gradients := func(batch int, which ...int) (loss float64, counted int, all []float32) {
			ids, marks := of(which...)
			rows, err := corpus.NewRows(ids, marks, T)
			if err != nil || rows.Rows() != batch {
				t.Fatal(err)
			}
			l, err := train.NewLearner(cpu.NewScalar[float64](), config, train.Shape{Batch: batch, Time: T, Accumulate: 1}, weights)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Release()
			inputs, targets := make([]uint32, batch*T), make([]uint32, batch*T)
			for i := range batch {
				if err := rows.Row(i, inputs[i*T:(i+1)*T], targets[i*T:(i+1)*T]); err != nil {
					t.Fatal(err)
				}
			}
			e, err := l.Evaluate(rows, nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Step(0, inputs, targets)
			got, err := l.Results()
			if err != nil {
				t.Fatal(err)
			}
			counted = train.Counted(targets)
			loss = float64(got[0].Loss) * float64(batch*T)
			if math.Abs(e.Nats-loss) > 1e-4*loss || e.Tokens != int64(counted) {
				t.Errorf("%s: evaluating gives %v nats of %d tokens, the step %v of %d", name, e.Nats, e.Tokens, loss, counted)
			}
			g, err := l.Gradients()
			if err != nil {
				t.Fatal(err)
			}
			for _, h := range *g {
				for _, x := range h.F32 {
					all = append(all, x*float32(batch*T))
				}
			}
			return loss, counted, all
		}
		both, counted, together := gradients(2, 0, 1)
		first, n, one := gradients(1, 0)
		second, m, two := gradients(1, 1)
		if counted != n+m || math.Abs(both-first-second) > 1e-5 {
			t.Errorf("%s: got %v nats of %d tokens together, want %v of %d", name, both, counted, first+second, n+m)
		}
		off, size := 0.0, 0.0
		for i, x := range together {
			off += math.Pow(float64(x-one[i]-two[i]), 2)
			size += math.Pow(float64(x), 2)
		}
		if !(math.Sqrt(off/size) < 1e-5) || size == 0 {
			t.Errorf("%s: the gradients are off by %v", name, math.Sqrt(off/size))
		}
	}
}
