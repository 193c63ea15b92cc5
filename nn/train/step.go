package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
)

// Result is what a step measured before its update.
type Result struct {
	Step     int     // from 0
	Loss     float32 // nats a token, mean over the step's batch
	GradNorm float32 // of the gradient, before clipping
}

// Step takes one step at a learning rate on inputs and, the tokens after them, targets, both
// (Accumulate·B, T). It records and submits, and waits for nothing.
func (l *Learner[T]) Step(rate float64, inputs, targets []uint32) {
	ops, s := l.ops, l.shape
	nn.Check("inputs and targets of a step", []int{len(inputs), len(targets)}, s.TokensPerStep(), s.TokensPerStep())
	// All writes come first: one behind a recorded operation would divide the submit.
	hyper(&l.hostHypers, l.step, rate, s.Decay, s.Clip)
	ops.Write(l.hypers, 0, l.hostHypers[:])
	ops.WriteTokens(l.stepInputs, 0, inputs)
	ops.WriteTokens(l.stepTargets, 0, targets)
	if s.Dropout > 0 {
		l.hostSeed[0] = uint32(s.Seed)*0x9E3779B9 + uint32(l.step)
		ops.WriteTokens(l.seed, 0, l.hostSeed[:])
	}
	l.quantise()
	for i := range l.params {
		ops.Zero(l.params[i].grad)
	}
	ops.Zero(l.loss)
	n := s.Batch * s.Time
	for k := range s.Accumulate {
		if s.Accumulate > 1 {
			ops.Copy(l.inputs, 0, l.stepInputs, k*n, n)
			ops.Copy(l.targets, 0, l.stepTargets, k*n, n)
		}
		l.drop(k)
		l.forward()
		l.backward()
	}
	ops.Zero(l.sumSquares)
	for i := range l.params {
		ops.SumSquares(l.sumSquares, l.params[i].grad)
	}
	l.ring.push(ops, l.step, l.loss, l.sumSquares)
	for i := range l.params {
		x := &l.params[i]
		ops.AdamW(x.master, x.m, x.v, x.grad, l.sumSquares, l.hypers)
	}
	l.step++
	l.quantised = false
	ops.Submit()
}

// drop gives every place where micro-batch k drops activations its site.
func (l *Learner[T]) drop(k int) {
	site := k * (1 + len(l.acts)*nn.DropoutSites)
	l.embedding = nn.Dropout[T]{Seed: l.seed, Site: uint32(site), Rate: float32(l.shape.Dropout)}
	for i := range l.acts {
		l.acts[i].Dropout = nn.Dropout[T]{Seed: l.seed, Site: uint32(site + 1 + i*nn.DropoutSites), Rate: float32(l.shape.Dropout)}
	}
}

// dropEmbedding drops from the looked-up tokens, or from their gradient.
func (l *Learner[T]) dropEmbedding(x T) { l.embedding.Of(l.ops, x, 0) }

// quantise makes the ternary copies of the master weights anew.
func (l *Learner[T]) quantise() {
	if l.quantised {
		return
	}
	for i := range l.params {
		if x := &l.params[i]; x.Kind == nn.Linear {
			l.ops.Quantize(x.use, x.master)
		}
	}
	l.quantised = true
}

func (l *Learner[T]) forward() {
	l.ops.Embed(l.stream[0], l.use.Embed, l.inputs)
	l.dropEmbedding(l.stream[0])
	for i := range l.acts {
		l.block(i)
	}
}

// block runs block i from an empty memory.
func (l *Learner[T]) block(i int) {
	l.state.Zero(l.ops)
	l.use.Layers[i].Forward(l.ops, l.config, &l.state.Layers[0], &l.acts[i], l.stream[i+1], l.scan)
}

// backward adds the micro-batch's loss and gradients. The head's rows go forward and back a chunk
// at a time, so that the logits of all rows never exist together.
func (l *Learner[T]) backward() {
	ops, w, dw := l.ops, l.use, l.grads
	last := l.stream[len(l.acts)]
	scale := 1 / float32(l.shape.TokensPerStep())
	for _, c := range l.chunks {
		ops.NormHead(c.logits, l.normed, last, w.NormF, w.Head, c.from)
		ops.CrossEntropy(l.loss, c.logits, l.targets, c.from, scale)
		ops.HeadBackward(l.dacts.X, dw.Head, c.logits, l.normed, w.Head, c.from)
	}
	ops.Zero(l.dacts.H)
	ops.RMSNormBackward(l.dacts.H, dw.NormF, l.dacts.X, last, w.NormF)
	for i := len(l.acts) - 1; i >= 0; i-- {
		if l.shape.Recompute && i+1 < len(l.acts) { // the last block's activations are still there
			l.block(i)
		}
		w.Layers[i].Backward(ops, l.config, &dw.Layers[i], &l.acts[i], l.dacts, l.scan)
	}
	l.dropEmbedding(l.dacts.H)
	ops.EmbedBackward(dw.Embed, l.dacts.H, l.inputs)
}

// Pending is how many steps have results that nobody read, and full says that the next step needs
// them read.
func (l *Learner[T]) Pending() (steps int, full bool) {
	return l.ring.used, l.ring.used >= l.ring.size
}

// Results waits for the steps taken so far and gives what each measured, in order, since the last
// call; the slice lasts until the next. A loss or a norm that is not finite is an error that names
// the step, behind the results before it.
func (l *Learner[T]) Results() ([]Result, error) {
	results, err := l.ring.read(l.ops)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		what := ""
		if !finite(r.Loss) {
			what = "loss"
		} else if !finite(r.GradNorm) {
			what = "gradient"
		}
		if what != "" {
			return results[:i], notFinite{what, r.Step, advice(l.config)}
		}
	}
	return results, nil
}

// notFinite is the end of a training whose numbers have run away.
type notFinite struct {
	what   string
	step   int // from 0
	advice string
}

func (e notFinite) Error() string {
	return fmt.Sprintf("%s is not finite at step %d; %s", e.what, e.step, e.advice)
}

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// ringSize is how many steps may be recorded before the loss is read.
const ringSize = 8

// ring holds the losses and squared norms of the last steps on the device.
type ring[T any] struct {
	values  T // (size, 2)
	host    []float32
	results []Result
	first   int // step of the first value
	used    int
	size    int
}

func newRing[T any](ops nn.Ops[T], zeros func(...int) T) ring[T] {
	size := ringSize
	if ops.Lookahead() == 1 { // reading costs nothing
		size = 1
	}
	return ring[T]{values: zeros(ringSize, 2), host: make([]float32, 2*ringSize), size: size}
}

func (r *ring[T]) push(ops nn.Ops[T], step int, loss, sumSquares T) {
	if r.used >= ringSize {
		panic("train: a step was taken while the results of the last ones were unread")
	}
	if r.used == 0 {
		r.first = step
	}
	ops.Copy(r.values, 2*r.used, loss, 0, 1)
	ops.Copy(r.values, 2*r.used+1, sumSquares, 0, 1)
	r.used++
}

func (r *ring[T]) read(ops nn.Ops[T]) ([]Result, error) {
	r.results = r.results[:0]
	if r.used == 0 {
		return r.results, nil
	}
	if err := ops.Read(r.values, 0, r.host[:2*r.used]); err != nil {
		return nil, fmt.Errorf("reading the loss: %w", err)
	}
	for i := range r.used {
		norm := float32(math.Sqrt(float64(r.host[2*i+1])))
		r.results = append(r.results, Result{Step: r.first + i, Loss: r.host[2*i], GradNorm: norm})
	}
	r.used = 0
	return r.results, nil
}
