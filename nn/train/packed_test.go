package train_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// conversation is a document with its targets.
type conversation struct{ inputs, targets []uint32 }

// conversations are random ones of so many inputs, of whose targets some do not count.
func conversations(vocab int, lengths ...int) (all []conversation) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range lengths {
		var c conversation
		for i := range n {
			c.inputs, c.targets = append(c.inputs, uint32(r.IntN(vocab))), append(c.targets, uint32(r.IntN(vocab)))
			if i+1 < n && r.IntN(3) == 0 {
				c.targets[i] = op.NoTarget
			}
		}
		all = append(all, c)
	}
	return all
}

// packedRow puts documents into a row, which is filled up.
func packedRow(time int, all ...conversation) (row conversation) {
	for _, c := range all {
		at := len(row.inputs)
		row.inputs, row.targets = append(row.inputs, c.inputs...), append(row.targets, c.targets...)
		row.inputs[at] |= op.NewDocument
	}
	for at := len(row.inputs); len(row.inputs) < time; {
		row.inputs, row.targets = append(row.inputs, 0), append(row.targets, op.NoTarget)
		row.inputs[at] |= op.NewDocument
	}
	return row
}

// Len and CopyTo implement train.Tokens.
func (c conversation) Len() int { return len(c.inputs) }

func (c conversation) CopyTo(dst []uint32, from int) (int, error) {
	return copy(dst, c.inputs[from:]), nil
}

// rowsOf are rows of so many tokens.
type rowsOf struct {
	conversation
	time int
}

func (r rowsOf) Rows() int { return len(r.inputs) / r.time }

func (r rowsOf) Row(i int, inputs, targets []uint32) error {
	copy(inputs, r.inputs[i*r.time:])
	copy(targets, r.targets[i*r.time:])
	return nil
}

// summedGradients are the loss of a step and all gradients, both as sums over the tokens. What evaluating gives is the loss, too.
func summedGradients[T any](t *testing.T, b op.Executor[T], c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor], rows conversation) (loss float64, all []float64) {
	t.Helper()
	l, err := train.NewLearner(b, c, s, w)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	l.Step(0, rows.inputs, rows.targets)
	got, err := l.Results()
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	n := float64(s.TokensPerStep())
	e, err := l.Evaluate(rowsOf{rows, s.Time}, nil)
	if loss := float64(got[0].Loss) * n; err != nil || math.Abs(e.Nats-loss) > 1e-3*loss || e.Tokens != int64(train.Counted(rows.targets)) {
		t.Errorf("evaluating %+v gives %v nats of %d tokens (%v), the step %v of %d", s, e.Nats, e.Tokens, err, loss, train.Counted(rows.targets))
	}
	for _, h := range *g {
		for _, x := range h.F32 {
			all = append(all, float64(x)*n)
		}
	}
	return float64(got[0].Loss) * n, all
}

// offBy is ‖a − b‖/‖b‖.
func offBy(a, b []float64) float64 {
	off, size := 0.0, 0.0
	for i, x := range b {
		off, size = off+(a[i]-x)*(a[i]-x), size+x*x
	}
	return math.Sqrt(off / size)
}

// holdPacked holds packed rows to their documents one by one: the loss and the gradients of the rows are those of the documents,
// added up. Read as one document each, the same rows give others.
func holdPacked[T any](t *testing.T, name string, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], tolerance float64) {
	t.Helper()
	const T0 = 48
	documents := conversations(min(c.Vocab, 37), 20, 1, 18, 5, 33, 2, 9)
	rows := []conversation{packedRow(T0, documents[:4]...), packedRow(T0, documents[4:]...)}
	both := conversation{append(rows[0].inputs, rows[1].inputs...), append(rows[0].targets, rows[1].targets...)}
	var loss float64
	var want []float64
	for _, d := range documents {
		l, g := summedGradients(t, b, c, train.Shape{Batch: 1, Time: len(d.inputs), Accumulate: 1}, w, d)
		loss += l
		if want == nil {
			want = make([]float64, len(g))
		}
		for i, x := range g {
			want[i] += x
		}
	}
	for _, s := range []train.Shape{
		{Batch: 2, Time: T0, Accumulate: 1, Packed: true}, {Batch: 1, Time: T0, Accumulate: 2, Packed: true, Recompute: true},
	} {
		l, g := summedGradients(t, b, c, s, w, both)
		if off := offBy(g, want); !(math.Abs(l-loss) < tolerance*loss) || !(off < tolerance) {
			t.Errorf("%s: %+v: got a loss of %v and gradients that are off by %v, want %v and the same", name, s, l, off, loss)
		}
	}
	plain := conversation{targets: both.targets}
	for _, id := range both.inputs {
		plain.inputs = append(plain.inputs, id&^op.NewDocument)
	}
	if l, g := summedGradients(t, b, c, train.Shape{Batch: 2, Time: T0, Accumulate: 1}, w, plain); !(offBy(g, want) > 3*tolerance) || l == loss {
		t.Errorf("%s: rows that are no documents give gradients that are off by %v only, and a loss of %v", name, offBy(g, want), l)
	}
}

// eachToPack visits models of every kind of layer: with an adapter, and our own as a whole.
func eachToPack(visit func(name string, c nn.Config, w *nn.Weights[op.HostTensor], rounded bool)) {
	optest.EachFamily(func(name string, c nn.Config, w *nn.Weights[op.HostTensor]) {
		c.Adapter = train.NewAdapter(c, 3, 6, func(string) bool { return true }, 1)
		for i := range c.Adapter.Weights {
			for j := range c.Adapter.Weights[i].F32 {
				c.Adapter.Weights[i].F32[j] += 0.03 * float32(math.Sin(float64(i+7*j)))
			}
		}
		visit(name, c, w, c.Decoder.Int8 || c.Decoder.HalfCache)
	})
	for _, mixer := range []string{nn.MixerDelta, nn.MixerTied} {
		c := nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.3, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
		visit(mixer, c, train.InitialWeights(c, 3), false)
	}
}

// Nothing leaks between the documents of a packed row, whatever computes.
func TestPackedRowsOnTheReference(t *testing.T) {
	b := cpu.NewScalar[float64]()
	eachToPack(func(name string, c nn.Config, w *nn.Weights[op.HostTensor], _ bool) {
		holdPacked(t, name, b, c, w, 1e-6)
	})
}

func TestPackedRowsOnTheCPU(t *testing.T) {
	b := cpu.New()
	eachToPack(func(name string, c nn.Config, w *nn.Weights[op.HostTensor], rounded bool) {
		holdPacked(t, name, b, c, w, packedTolerance(rounded))
	})
}

func TestPackedRowsOnWebGPU(t *testing.T) {
	b := webgpu.New(gputest.Device(t))
	defer b.Close()
	eachToPack(func(name string, c nn.Config, w *nn.Weights[op.HostTensor], rounded bool) {
		holdPacked(t, name, b, c, w, packedTolerance(rounded))
	})
}

// packedTolerance allows for numbers that are rounded on the way, some of which fall to the other side.
func packedTolerance(rounded bool) float64 {
	if rounded {
		return 5e-2
	}
	return 1e-4
}

// A model that is trained by the minibatch rule is refused.
func TestPackedRowsOfTheMinibatchRule(t *testing.T) {
	c := nn.Config{Vocab: 40, Width: 32, Layers: 1, InnerLR: 0.01, Mixer: nn.MixerTied, Rule: nn.RuleMinibatch}.WithDefaults()
	if _, err := train.NewLearner(cpu.New(), c, train.Shape{Batch: 1, Time: 32, Accumulate: 1, Packed: true}, train.InitialWeights(c, 3)); err == nil {
		t.Error("a model of the minibatch rule took packed rows")
	}
}

// By shards, each of which has rows of its own, a step measures the same.
func TestPackedRowsByShards(t *testing.T) {
	c := nn.Config{Vocab: 40, Width: 32, Layers: 1, Mixer: nn.MixerDelta}.WithDefaults()
	documents := conversations(c.Vocab, 20, 1, 18, 5, 33, 2, 9)
	rows := conversation{}
	for _, row := range []conversation{packedRow(48, documents[:4]...), packedRow(48, documents[4:]...)} {
		rows.inputs, rows.targets = append(rows.inputs, row.inputs...), append(rows.targets, row.targets...)
	}
	var want train.Result
	for _, shards := range []int{0, 1, 2} {
		l, err := train.NewLearner(cpu.New(), c, train.Shape{Batch: 2, Time: 48, Accumulate: 1, Packed: true, Shards: shards}, train.InitialWeights(c, 3))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		for step := range 2 { // the second sees what the first has learned
			l.Step(1e-2, rows.inputs, rows.targets)
			got, err := l.Results()
			if err != nil {
				t.Fatal(err)
			}
			if step == 0 {
				continue
			}
			if shards == 0 {
				want = got[0]
			}
			if off := math.Abs(float64(got[0].Loss-want.Loss)) + math.Abs(float64(got[0].GradNorm-want.GradNorm)); !(off < 1e-3) {
				t.Errorf("with %d shards: got %+v, want %+v", shards, got[0], want)
			}
		}
	}
}
