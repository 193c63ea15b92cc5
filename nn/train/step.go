package train

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Result is what a step measured before its update.
type Result struct {
	Step     int     // from 0
	Loss     float32 // nats per token, mean over the step's batch
	GradNorm float32 // of the gradient, before clipping
}

// Step takes one step at a learning rate. targets are the tokens after inputs; both are (OwnRows, T). In packed rows, inputs
// that begin a document have the bit op.NewDocument; the first of a row begins one in any case. Step records and submits
// without waiting, except with shards, whose sums pass through the host.
func (l *Learner[T]) Step(rate float64, inputs, targets []uint32) {
	ops, s := l.ops, l.shape
	op.Check("inputs and targets of a step", []int{len(inputs), len(targets)}, s.OwnTokens(), s.OwnTokens())
	if l.sharded != nil {
		l.stepShards(rate, inputs, targets)
		return
	}
	// All writes come first: a write after a recorded operation would split the submit.
	hyper(&l.hostHypers, l.step, rate, s.WeightDecay, s.Clip)
	ops.Write(l.hypers, 0, l.hostHypers[:])
	l.writeRows(inputs, targets)
	if s.Dropout > 0 {
		l.hostSeed[0] = uint32(s.Seed)*0x9E3779B9 + uint32(l.step)
		ops.WriteTokens(l.seed, 0, l.hostSeed[:])
	}
	l.requantise()
	l.gradient.Run()
	l.ring.push(ops, l.step, l.loss, l.sumSquares)
	l.update.Run()
	l.step++
	l.quantised = false
	ops.Submit()
}

// writeRows writes the rows of a step, or of a shard of one.
func (l *Learner[T]) writeRows(inputs, targets []uint32) {
	if l.shape.Packed {
		if l.hostInputs == nil {
			l.hostInputs, l.hostDocuments = make([]uint32, len(inputs)), make([]uint32, 2*len(inputs))
		}
		op.SplitDocuments(l.hostInputs, l.hostDocuments, inputs, l.shape.Time)
		inputs = l.hostInputs
		l.ops.WriteTokens(l.stepDocuments, 0, l.hostDocuments)
	}
	l.ops.WriteTokens(l.stepInputs, 0, inputs)
	l.ops.WriteTokens(l.stepTargets, 0, targets)
}

// requantise updates the ternary copies of the master weights.
func (l *Learner[T]) requantise() {
	if !l.quantised {
		l.quantise.Run()
		l.quantised = true
	}
}

// prepare prepares the three programs of a step: quantise; loss, gradients and their squares; update.
func (l *Learner[T]) prepare() (err error) {
	if l.shape.Shards > 0 {
		return l.prepareShards()
	}
	var gradient, update op.Program[T]
	quantise := slices.Clone(l.inside)
	for i := range l.params {
		x := &l.params[i]
		if x.quantize != nil {
			quantise.Add(x.quantize)
		}
		gradient.Add(&op.Zero[T]{X: x.grad})
		if !x.Fixed {
			update.Add(&op.AdamW[T]{W: x.master, M: x.m, V: x.v, G: x.grad, SumSquares: l.sumSquares, Hyper: l.hypers, Log: x.Log})
		}
	}
	gradient.Add(&op.Zero[T]{X: l.loss})
	for k := range l.shape.Accumulate {
		l.microBatch(&gradient, k, func() {})
	}
	gradient.Add(&op.Zero[T]{X: l.sumSquares})
	for i := range l.params {
		gradient.Add(&op.SumSquares[T]{Sum: l.sumSquares, G: l.params[i].grad})
	}
	if l.quantise, err = l.backend.Prepare(quantise); err != nil {
		return err
	}
	if l.gradient, err = l.backend.Prepare(gradient); err != nil {
		return err
	}
	l.update, err = l.backend.Prepare(update)
	return err
}

// nets returns the layers with their activations, and those with the gradients of both.
func (l *Learner[T]) nets() (net, grad *nn.Net[T]) {
	places := l.places.of(l.ops, l.shape.sequences())
	net = nn.NewNet[T](l.config, l.scan).Bind(nn.Binding[T]{
		Param: inTurn(*l.use),
		Low:   l.low.Low(),
		Rows:  func(at nn.Place, r layer.Rows) T { return l.rows[l.rowsKey(at, r)] },
		State: func(at nn.Place, s layer.State) T { return l.states[stateKey(at, s)] },
		Shared: func(which layer.Shared) T {
			if which == layer.Documents {
				return l.documents
			}
			return places(which)
		},
	})
	grad = nn.NewNet[T](l.config, l.scan).Bind(nn.Binding[T]{
		Param: inTurn(*l.grads),
		Low:   l.dlow.Low(),
		Rows:  func(_ nn.Place, r layer.Rows) T { return l.drows[r.Key()] },
	})
	return net, grad
}

// inTurn returns a function that hands out tensors one after another.
func inTurn[T any](all []T) func(nn.Param) T {
	i := 0
	return func(nn.Param) T {
		i++
		return all[i-1]
	}
}

// microBatch appends the operations that add the loss and the gradients of micro-batch k. The head's rows go forward and back
// a chunk at a time, so that the logits of all rows never exist together. went is called after the backward of each layer.
func (l *Learner[T]) microBatch(p *op.Program[T], k int, went func()) {
	net, grad := l.nets()
	n := l.shape.sequences() * l.shape.Time
	if l.shape.Accumulate > 1 {
		p.Add(&op.Copy[T]{Dst: l.inputs, Src: l.stepInputs, SrcOffset: k * n, N: n},
			&op.Copy[T]{Dst: l.targets, Src: l.stepTargets, SrcOffset: k * n, N: n})
		if l.shape.Packed {
			p.Add(&op.Copy[T]{Dst: l.documents, Src: l.stepDocuments, SrcOffset: 2 * k * n, N: 2 * n})
		}
	}
	// Every place with dropout has its own site: the embedding's, then each layer's.
	sites := 1
	for _, block := range net.Blocks {
		sites += len(block)
	}
	site := func(i int) layer.Dropout[T] {
		return layer.Dropout[T]{Seed: l.seed, Site: uint32(k*sites + i), Rate: float32(l.shape.Dropout)}
	}
	streams := make([][]layer.Stream[T], len(net.Blocks))
	next := 1
	for i, block := range net.Blocks {
		for j := range block {
			out := l.stream[i+1][0]
			if j+1 < len(block) {
				out = l.stream[i][j+1]
			}
			streams[i] = append(streams[i], layer.Stream[T]{In: l.stream[i][j], Out: out, DH: l.dstream, Dropout: site(next)})
			next++
		}
	}
	forward := func(i int) {
		for _, name := range slices.Sorted(maps.Keys(l.states)) {
			p.Add(&op.Zero[T]{X: l.states[name]})
		}
		for j, layer := range net.Blocks[i] {
			layer.Forward(p, streams[i][j])
		}
	}

	first, last := l.stream[0][0], l.stream[len(net.Blocks)][0]
	net.Lookup(p, first, l.inputs)
	site(0).Append(p, first)
	for i := range net.Blocks {
		forward(i)
	}
	for _, c := range headChunks(l.ops, l.logits, l.logRows, n) {
		net.Logits(p, c.logits, l.normed, last, c.from, c.rows)
		p.Add(
			&op.CrossEntropy[T]{Loss: l.loss, Logits: c.logits, Targets: l.targets, From: c.from, Scale: 1 / float32(l.shape.TokensPerStep())},
			&op.HeadBackward[T]{DX: l.dx, DW: grad.Head, DLogits: c.logits, X: l.normed, W: net.Head, From: c.from},
		)
	}
	p.Add(&op.Zero[T]{X: l.dstream})
	net.LogitsBackward(p, grad, l.dstream, l.dx, last)
	went()
	for i := len(net.Blocks) - 1; i >= 0; i-- {
		if l.shape.Recompute && i+1 < len(net.Blocks) { // the last block's activations still exist
			forward(i)
		}
		for j := len(net.Blocks[i]) - 1; j >= 0; j-- {
			net.Blocks[i][j].Backward(p, grad.Blocks[i][j], streams[i][j])
		}
		went()
	}
	site(0).Append(p, l.dstream)
	if a := l.config.Adapter; a == nil || a.HoldsEmbedding() {
		p.Add(&op.EmbedBackward[T]{DTable: grad.Embed, DH: l.dstream, Tokens: l.inputs})
	}
}

// Pending returns how many steps have unread results; full reports that they must be read before the next step.
func (l *Learner[T]) Pending() (steps int, full bool) {
	return l.ring.used, l.ring.used >= l.ring.size || l.sharded != nil // steps with shards wait anyway
}

// Results waits for the steps so far and returns what each has measured since the last call, in order. The slice is valid
// until the next call. A loss or norm that is not finite is an error that names the step; the results before it are returned.
func (l *Learner[T]) Results() ([]Result, error) {
	results, err := l.ring.read(l.ops)
	if failed := l.sharded.failure(); failed != nil {
		err = failed
	}
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

// notFinite is the error that ends a training whose numbers have diverged.
type notFinite struct {
	what   string
	step   int // from 0
	advice string
}

func (e notFinite) Error() string {
	return fmt.Sprintf("%s is not finite at step %d; %s", e.what, e.step, e.advice)
}

// Everywhere reports whether all ranks of the group get the same error, because it concerns sums that all of them have.
func Everywhere(err error) bool {
	var bad notFinite
	return errors.As(err, &bad) && bad.what != validationLoss
}

// validationLoss names a loss that only one rank knows, the one that measures it.
const validationLoss = "validation loss"

func finite(x float32) bool { return !math.IsNaN(float64(x)) && !math.IsInf(float64(x), 0) }

// ringSize is how many steps may be recorded before the loss is read.
const ringSize = 8

// ring holds the losses and squared norms of recent steps on the device.
type ring[T any] struct {
	values  T // (size, 2)
	host    []float32
	results []Result
	first   int // step of the oldest value
	used    int
	size    int
}

func newRing[T any](ops op.Tensors[T], zeros func(...int) T) ring[T] {
	size := ringSize
	if ops.Lookahead() == 1 { // reading is free
		size = 1
	}
	return ring[T]{values: zeros(ringSize, 2), host: make([]float32, 2*ringSize), size: size}
}

func (r *ring[T]) push(ops op.Tensors[T], step int, loss, sumSquares T) {
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

func (r *ring[T]) read(ops op.Tensors[T]) ([]Result, error) {
	r.results = r.results[:0]
	if r.used == 0 {
		return r.results, nil
	}
	if err := ops.Download(r.values, 0, r.host[:2*r.used]); err != nil {
		return nil, fmt.Errorf("reading the loss: %w", err)
	}
	for i := range r.used {
		norm := float32(math.Sqrt(float64(r.host[2*i+1])))
		r.results = append(r.results, Result{Step: r.first + i, Loss: r.host[2*i], GradNorm: norm})
	}
	r.used = 0
	return r.results, nil
}
