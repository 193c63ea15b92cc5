package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
)

// logitsRoom is how many bytes of logits the head computes at once: enough to fill a device, below
// the smallest storage binding (128 MiB) of WebGPU.
const logitsRoom = 64 << 20

// Shape is what decides the memory and the arithmetic of a step, apart from the model.
type Shape struct {
	Batch      int     // B, sequences of a micro-batch
	Time       int     // T, tokens of a sequence
	Accumulate int     // micro-batches of a step
	Chunk      int     // tokens the exact scan takes together, 0 = nn.DefaultChunk
	Recompute  bool    // keep only each block's input, and compute the block again in backward
	Decay      float64 // decoupled weight decay
	Clip       float64 // largest norm of the gradient, 0 = any
	Dropout    float64 // share of activations dropped, below 1
	Seed       uint64  // of what is dropped
}

// TokensPerStep is how many tokens one step predicts.
func (s Shape) TokensPerStep() int { return s.Batch * s.Time * s.Accumulate }

// scan is the rule of the training forward pass.
func (s Shape) scan(c nn.Config) nn.Scan {
	scan := c.TrainingScan()
	if s.Chunk > 0 && !scan.Minibatch {
		scan.Chunk = s.Chunk
	}
	return scan
}

// param is one parameter with all that training keeps of it. use is what forward reads: the
// quantised copy of a BitLinear's master, else the master itself.
type param[T any] struct {
	nn.Param
	master, use, grad, m, v T
}

// headChunk is a view of the logits' buffer for rows from… of the head.
type headChunk[T any] struct {
	from, rows int
	logits     T // (rows, V)
}

// Learner holds a model in training on a backend: master weights, their quantised copies,
// gradients, moments, and every block's activations. It is for one goroutine.
type Learner[T any] struct {
	ops    nn.Ops[T]
	config nn.Config
	shape  Shape
	scan   nn.Scan
	params []param[T]
	use    *nn.Weights[T]
	grads  *nn.Weights[T]

	acts   []nn.Activations[T] // a block each; with Recompute they share all but In
	stream []T                 // (n, D) before each block, and after the last
	state  *nn.State[T]        // of one layer: every block starts from zeros
	dacts  *nn.Gradients[T]
	normed T // (n, D)
	chunks []headChunk[T]
	logits T // (m, V)

	inputs, targets          T // (n) of a micro-batch
	stepInputs, stepTargets  T // (Accumulate·n) of a step; the same two where that is one micro-batch
	seed                     T // (1) of this step's dropout
	hostSeed                 [1]uint32
	embedding                nn.Dropout[T]
	loss, sumSquares, hypers T
	hostHypers               [nn.HyperCount]float32
	ring                     ring[T]
	greedy                   greedy[T]

	step      int  // updates done
	quantised bool // use is what the masters say
	owned     []T  // every tensor that Release gives back
	host      *nn.Weights[nn.HostTensor]
}

// NewLearner loads float32 master weights onto a backend. An error means that the device has not
// enough memory, and leaves nothing there.
func NewLearner[T any](ops nn.Ops[T], c nn.Config, s Shape, weights *nn.Weights[nn.HostTensor]) (*Learner[T], error) {
	l := &Learner[T]{ops: ops, config: c, shape: s, scan: s.scan(c)}
	l.makeParams(weights)
	l.seed = l.own(ops.New(nn.U32, 1))
	l.makeActivations()
	l.loss, l.sumSquares = l.zeros(1), l.zeros(1)
	l.hypers = l.zeros(nn.HyperCount)
	l.ring = newRing(ops, l.zeros)
	if err := ops.Flush(); err != nil {
		l.Release()
		return nil, fmt.Errorf("making room for the training: %w", err)
	}
	return l, nil
}

func (l *Learner[T]) own(t T) T {
	l.owned = append(l.owned, t)
	return t
}

// zeros makes a float tensor that the learner owns.
func (l *Learner[T]) zeros(shape ...int) T { return l.own(l.ops.New(nn.F32, shape...)) }

func (l *Learner[T]) makeParams(weights *nn.Weights[nn.HostTensor]) {
	c, ops := l.config, l.ops
	nn.Walk(c, weights, func(p nn.Param, h *nn.HostTensor) {
		nn.Check(p.Names[0], h.Shape, p.Shape...)
		x := param[T]{Param: p, master: l.own(ops.Load(*h))}
		x.use = x.master
		if p.Kind == nn.Linear {
			x.use = l.own(ops.NewTernary(p.Shape[0], p.Shape[1], len(p.Names), c.WeightScale == nn.ScaleAbsmean))
		}
		x.grad, x.m, x.v = l.zeros(p.Shape...), l.zeros(p.Shape...), l.zeros(p.Shape...)
		l.params = append(l.params, x)
	})
	l.use = l.collect(func(x *param[T]) T { return x.use })
	l.grads = l.collect(func(x *param[T]) T { return x.grad })
}

// collect makes Weights of one tensor of every parameter.
func (l *Learner[T]) collect(pick func(*param[T]) T) *nn.Weights[T] {
	w := new(nn.Weights[T])
	i := 0
	nn.Walk(l.config, w, func(_ nn.Param, t *T) {
		*t = pick(&l.params[i])
		i++
	})
	return w
}

func (l *Learner[T]) makeActivations() {
	c, ops, s := l.config, l.ops, l.shape
	n := s.Batch * s.Time
	var shared nn.Activations[T]
	for i := range c.Layers {
		l.stream = append(l.stream, l.zeros(n, c.Width))
		if i == 0 || !s.Recompute {
			shared = *nn.NewActivations(ops, c, n)
			l.owned = append(l.owned, blockTensors(c, &shared)...)
			shared.Mid = l.zeros(n, c.Width)
			shared.Starts = l.own(nn.NewStarts(ops, c, s.Batch, s.Time, l.scan.Chunk))
		}
		shared.In = l.stream[i]
		l.acts = append(l.acts, shared)
	}
	l.stream = append(l.stream, l.zeros(n, c.Width))

	l.state = oneLayer(ops, c, s.Batch, l.own)
	d := nn.NewGradients(ops, c, n)
	l.dacts = d
	l.owned = append(l.owned, d.H, d.X, d.Mix, d.Out, d.GateUp, d.Act)
	if c.Delta() {
		l.own(d.Step)
	}

	l.normed = l.zeros(n, c.Width)
	m := headRows(c, n)
	l.logits = l.zeros(m, c.Vocab)
	l.chunks = headChunks(ops, l.logits, m, n)
	l.inputs, l.targets = l.own(ops.New(nn.U32, n)), l.own(ops.New(nn.U32, n))
	l.stepInputs, l.stepTargets = l.inputs, l.targets
	if s.Accumulate > 1 {
		l.stepInputs, l.stepTargets = l.own(ops.New(nn.U32, s.Accumulate*n)), l.own(ops.New(nn.U32, s.Accumulate*n))
	}
	l.greedy = newGreedy(ops, m, l.own)
}

// headRows is how many of n rows the head computes at once.
func headRows(c nn.Config, n int) int { return min(max(logitsRoom/(4*c.Vocab), 1), n) }

// headChunks cuts n rows into views of logits (m, V).
func headChunks[T any](ops nn.Ops[T], logits T, m, n int) (chunks []headChunk[T]) {
	for from := 0; from < n; from += m {
		rows := min(m, n-from)
		chunks = append(chunks, headChunk[T]{from, rows, ops.Rows(logits, rows)})
	}
	return chunks
}

// Release gives the device's memory back.
func (l *Learner[T]) Release() { l.ops.Release(l.owned...) }

// Config is the model's configuration.
func (l *Learner[T]) Config() nn.Config { return l.config }

// Shape is what the learner was made for.
func (l *Learner[T]) Shape() Shape { return l.shape }

// Updates is how many steps the weights have behind them.
func (l *Learner[T]) Updates() int { return l.step }

// Memory is how many bytes of device memory a Learner takes.
func Memory(c nn.Config, s Shape) int64 {
	params, ternary := 0.0, 0.0
	nn.Walk(c, new(nn.Weights[struct{}]), func(p nn.Param, _ *struct{}) {
		count := 1.0
		for _, n := range p.Shape {
			count *= float64(n)
		}
		params += count
		if p.Kind == nn.Linear {
			ternary += float64(p.Shape[0]) * float64((p.Shape[1]+3)/4)
			ternary += 4 * float64(len(p.Names))
		}
	})
	n := float64(s.Batch) * float64(s.Time)
	D, d, H := float64(c.Width), float64(c.MemoryWidth), float64(c.MLPWidth())
	mix := float64(c.MixWidth())
	block := n * (2*D + mix + d + 2*H + H)
	grads := n * (2*D + mix + d + 2*H + H)
	state := float64(s.Batch) * d * float64(c.HeadWidth())
	if c.Delta() {
		block += n * (float64(c.Heads) + mix + d)
		grads += n * float64(c.Heads)
		state += float64(s.Batch) * nn.ConvTail * 3 * d
	}
	chunk := s.scan(c).Chunk
	block += n*D + float64(s.Batch)*math.Ceil(float64(s.Time)/float64(chunk))*d*float64(c.HeadWidth())
	blocks := float64(c.Layers)
	if s.Recompute {
		blocks = 1
	}
	tokens := 2 * n
	if s.Accumulate > 1 {
		tokens += 2 * n * float64(s.Accumulate)
	}
	rows := float64(headRows(c, s.Batch*s.Time))
	floats := 4*params + blocks*block + float64(c.Layers+1)*n*D + grads + state + n*D + rows*float64(c.Vocab) + tokens +
		3 + nn.HyperCount + 2*ringSize + rows*(2+nn.RecentSize)
	return bytesOf(4*floats + ternary)
}
