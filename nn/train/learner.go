package train

import (
	"errors"
	"fmt"

	"bitgpu/nn"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// logitsRoom is how many bytes of logits the head computes at once: enough to keep a device busy, but below WebGPU's smallest
// storage binding (128 MiB).
const logitsRoom = 64 << 20

// Shape is what determines the memory and the arithmetic of a step, apart from the model.
type Shape struct {
	Batch       int     // sequences per micro-batch, over all shards
	Time        int     // T, tokens per sequence
	Accumulate  int     // micro-batches per step
	Chunk       int     // tokens that the exact scan takes at once, 0 = nn.DefaultChunk
	Recompute   bool    // keep only each block's input, and recompute the block in backward
	WeightDecay float64 // decoupled weight decay
	Clip        float64 // largest norm of the gradient, 0 = no limit
	Dropout     float64 // share of activations that are dropped, below 1
	Seed        uint64  // for dropout
	Packed      bool    // rows may hold several documents that do not affect each other, see Learner.Step

	Shards         int    // parts of a step whose gradients are computed one by one and added by a tree, 0 = undivided
	Group          Group  // divides the shards among its ranks, nil = Alone
	Gradient       string // format in which sums are formed and sent: GradientF32 (or "") or GradientBF16
	ShardOptimizer bool   // each rank keeps only the moments of its own leaves
}

// TokensPerStep returns how many tokens a step predicts.
func (s Shape) TokensPerStep() int { return s.Batch * s.Time * s.Accumulate }

// OwnRows returns how many sequences of a step this rank reads: those of its shards, in order.
func (s Shape) OwnRows() int { return s.Batch * s.Accumulate / s.group().Size() }

// OwnTokens returns how many tokens of a step this rank reads.
func (s Shape) OwnTokens() int { return s.OwnRows() * s.Time }

// sequences returns B, how many sequences are computed at once.
func (s Shape) sequences() int { return s.Batch / max(s.Shards, 1) }

func (s Shape) group() Group {
	if s.Group == nil {
		return Alone{}
	}
	return s.Group
}

// scan returns the rule of the forward pass in training.
func (s Shape) scan(c nn.Config) op.Scan {
	scan := c.TrainingScan()
	if s.Chunk > 0 && !scan.Minibatch {
		scan.Chunk = s.Chunk
	}
	return scan
}

// param is a parameter with everything that training keeps for it. use is what forward reads: the quantised copy of a
// BitLinear's master, or else the master itself.
type param[T any] struct {
	nn.Param
	master, use, grad, m, v T
	quantize                *op.Quantize[T] // computes use from the masters; nil if use is the master itself
}

// headChunk is a view of the logits' buffer for rows of the head.
type headChunk[T any] struct {
	from, rows int
	logits     T // (rows, V)
}

// Learner holds a model in training on a backend: master weights, their quantised copies, gradients, moments, and every
// layer's activations. It is for one goroutine.
type Learner[T any] struct {
	ops    op.Tensors[T]
	config nn.Config
	shape  Shape
	scan   op.Scan
	params []param[T]
	use    *nn.Weights[T]
	grads  *nn.Weights[T] // nil if an adapter is trained
	low    nn.Weights[T]  // the adapter
	dlow   nn.Weights[T]
	inside op.Program[T] // quantises masters that have an adapter inside
	places places[T]

	rows    map[string]T // activations, by layer or, with Recompute, by layer of a block
	states  map[string]T // of one block: every block starts from zeros
	stream  [][]T        // (n, D) before each layer of each block, and after the last
	dstream T            // (n, D) its gradient, carried from layer to layer
	dx      T            // (n, D) gradient of the normalised stream
	normed  T            // (n, D)
	drows   map[string]T // gradients of activations, shared by all layers
	logits  T            // (m, V)
	logRows int          // m

	inputs, targets          T // (n) of a micro-batch
	stepInputs, stepTargets  T // (Accumulate·n) of a step; those above where a step is one micro-batch
	documents, stepDocuments T // (n, 2), (Accumulate·n, 2) of packed rows, likewise; otherwise none
	hostInputs               []uint32
	hostDocuments            []uint32
	seed                     T // (1) for this step's dropout
	hostSeed                 [1]uint32
	loss, sumSquares, hypers T
	hostHypers               [op.HyperCount]float32
	ring                     ring[T]
	greedy                   greedy[T]

	quantise, gradient, update op.Prepared
	sharded                    *sharded[T]   // replaces gradient and update; nil without shards
	evaluator                  *Evaluator[T] // nil until first used
	backend                    op.Executor[T]

	step      int  // updates done
	quantised bool // use is up to date with the masters
	owned     []T  // tensors for Release to free
	host      *nn.Weights[op.HostTensor]
}

// NewLearner loads float32 master weights onto a backend. If the configuration has an adapter, only the adapter learns, and
// weights are those that inference uses, which do not change. An error means that the device lacks memory or an operation;
// nothing then stays allocated.
func NewLearner[T any](b op.Executor[T], c nn.Config, s Shape, weights *nn.Weights[op.HostTensor]) (*Learner[T], error) {
	if err := checkLearner(b, c, s); err != nil {
		return nil, err
	}
	l := newLearner(op.Tensors[T](b), c, s, weights)
	l.backend = b
	l.places.fill(b, c, s.Time)
	err := b.Flush()
	if err == nil {
		err = l.prepare()
	}
	if err != nil {
		l.Release()
		return nil, fmt.Errorf("making room for the training: %w", err)
	}
	return l, nil
}

// checkLearner refuses what cannot be trained.
func checkLearner[T any](b op.Executor[T], c nn.Config, s Shape) error {
	if s.Packed && s.scan(c).Minibatch {
		return errors.New("training: got packed rows for a model of the minibatch rule, whose chunks several documents would share, want the sequential rule")
	}
	if err := CheckGroup(s.group().Size(), s.Shards); err != nil {
		return fmt.Errorf("training: %w", err)
	}
	switch {
	case s.Shards == 0 && s.ShardOptimizer:
		return errors.New("training: got a sharded optimizer without shards, want shards")
	case c.Decoder != nil && (c.Adapter == nil || c.Adapter.Inside):
		if err := checkMasters(c.Decoder); err != nil {
			return fmt.Errorf("training: %w", err)
		}
	case c.Adapter != nil && !b.Has(&op.LowRankBackward[T]{}):
		return fmt.Errorf("training: %s cannot train adapters", b.Name())
	case c.Capacity() > 0 && s.Time > c.Capacity():
		return fmt.Errorf("training: got rows of %d tokens, want at most the %d that the model has room for", s.Time, c.Capacity())
	}
	return nil
}

// checkMasters refuses a public model that has no masters, or that does not support training as a whole.
func checkMasters(d *arch.Decoder) error {
	switch {
	case d.Masters == nil:
		return fmt.Errorf("got the packed weights of a %s model, want its float masters, or an adapter to train beside them", d.Family)
	case d.Rotation > 0:
		return fmt.Errorf("got a model whose matrices are stored for inputs that a Hadamard transform turns, want an adapter to train beside them")
	case d.Gated && d.Masters.Group == 0:
		return fmt.Errorf("got masters with gates in the matrix of the queries and one γ a matrix, want scales of groups")
	}
	return nil
}

// newLearner makes all tensors of a training. Without weights, masters are zeros.
func newLearner[T any](m op.Tensors[T], c nn.Config, s Shape, weights *nn.Weights[op.HostTensor]) *Learner[T] {
	l := &Learner[T]{ops: m, config: c, shape: s, scan: s.scan(c)}
	l.makeParams(weights)
	l.seed = l.own(m.New(op.U32, 1))
	l.places = newPlaces(m, c, s.sequences(), s.Time, l.own)
	l.makeActivations()
	l.loss, l.sumSquares = l.zeros(1), l.zeros(1)
	l.hypers = l.zeros(op.HyperCount)
	l.ring = newRing(m, l.zeros)
	return l
}

func (l *Learner[T]) own(t T) T {
	l.owned = append(l.owned, t)
	return t
}

// zeros makes a float tensor that belongs to the learner.
func (l *Learner[T]) zeros(shape ...int) T { return l.own(l.ops.New(op.F32, shape...)) }

func (l *Learner[T]) makeParams(weights *nn.Weights[op.HostTensor]) {
	c, m := l.config, l.ops
	l.use, l.grads = new(nn.Weights[T]), new(nn.Weights[T])
	if c.Adapter != nil {
		l.makeAdapter(weights)
		return
	}
	quantizers := c.Quantizers()
	for i, p := range nn.Params(c) {
		x := param[T]{Param: p}
		if weights != nil {
			op.Check(p.Names[0], (*weights)[i].Shape, p.Shape...)
			x.master = l.own(m.Load((*weights)[i]))
		} else {
			x.master = l.zeros(p.Shape...)
		}
		x.use = x.master
		if q, ok := quantizers[p.Names[0]]; ok {
			x.use, x.quantize = nn.NewTernary(m, q, p, x.master)
			l.own(x.use)
		}
		l.makeMoments(&x)
		l.params = append(l.params, x)
		*l.use, *l.grads = append(*l.use, x.use), append(*l.grads, x.grad)
	}
}

// makeMoments makes what training keeps for a master.
func (l *Learner[T]) makeMoments(x *param[T]) {
	x.grad = l.zeros(x.Shape...)
	if !l.shape.ShardOptimizer {
		x.m, x.v = l.zeros(x.Shape...), l.zeros(x.Shape...)
	}
}

// rowsKey returns the key of a layer's activations, which with Recompute is the same in all blocks.
func (l *Learner[T]) rowsKey(at nn.Place, r layer.Rows) string {
	block := at.Block
	if l.shape.Recompute {
		block = 0
	}
	return fmt.Sprint(block, " ", at.Layer, " ", r.Key())
}

func (l *Learner[T]) makeActivations() {
	c, m, s := l.config, l.ops, l.shape
	n := s.sequences() * s.Time
	l.rows, l.drows, l.states = map[string]T{}, map[string]T{}, map[string]T{}
	make := func(all map[string]T, key string, shape ...int) {
		if _, ok := all[key]; !ok {
			all[key] = l.zeros(shape...)
		}
	}
	net := nn.NewNet[struct{}](c, l.scan).Bind(nn.Binding[struct{}]{
		Rows: func(at nn.Place, r layer.Rows) (none struct{}) {
			if r.Chunks {
				make(l.rows, l.rowsKey(at, r), append([]int{s.sequences(), op.Chunks(n, s.sequences(), l.scan.Chunk)}, r.Shape...)...)
				return
			}
			make(l.rows, l.rowsKey(at, r), append([]int{n}, r.Shape...)...)
			if r.Gradient {
				make(l.drows, r.Key(), append([]int{n}, r.Shape...)...)
			}
			return
		},
		State: func(at nn.Place, d layer.State) (none struct{}) {
			make(l.states, stateKey(at, d), stateShape(d, s.sequences(), s.Time)...)
			return
		},
	})
	// With Recompute, blocks share the stream between their layers; the stream before each block is kept.
	var inside []T
	for i, block := range net.Blocks {
		of := []T{l.zeros(n, c.Width)}
		if i == 0 || !s.Recompute {
			inside = nil
			for range len(block) - 1 {
				inside = append(inside, l.zeros(n, c.Width))
			}
		}
		l.stream = append(l.stream, append(of, inside...))
	}
	l.stream = append(l.stream, []T{l.zeros(n, c.Width)})
	l.dstream, l.normed = l.zeros(n, c.Width), l.zeros(n, c.Width)
	l.dx = l.drows[layer.Rows{Name: "x", Shape: []int{c.Width}}.Key()]
	l.logRows = headRows(c, n)
	l.logits = l.zeros(l.logRows, c.Vocab)
	l.inputs, l.targets = l.own(m.New(op.U32, n)), l.own(m.New(op.U32, n))
	l.stepInputs, l.stepTargets = l.inputs, l.targets
	if s.Accumulate > 1 {
		l.stepInputs, l.stepTargets = l.own(m.New(op.U32, s.Accumulate*n)), l.own(m.New(op.U32, s.Accumulate*n))
	}
	if s.Packed {
		l.documents = l.own(m.New(op.U32, n, 2))
		if l.stepDocuments = l.documents; s.Accumulate > 1 {
			l.stepDocuments = l.own(m.New(op.U32, s.Accumulate*n, 2))
		}
	}
	l.greedy = newGreedy(m, l.logRows, l.own)
}

// stateKey returns the key of a state, which is the same in all blocks.
func stateKey(at nn.Place, s layer.State) string { return at.Kind + s.Name }

// stateShape returns the shape for B sequences of T tokens.
func stateShape(s layer.State, batch, time int) []int {
	shape := []int{batch}
	if s.Grows {
		shape = append(shape, time)
	}
	return append(shape, s.Shape...)
}

// headRows returns how many of n rows the head computes at once.
func headRows(c nn.Config, n int) int { return min(max(logitsRoom/(4*c.Vocab), 1), n) }

// headChunks cuts n rows into views of logits (m, V).
func headChunks[T any](ops op.Tensors[T], logits T, m, n int) (chunks []headChunk[T]) {
	for from := 0; from < n; from += m {
		rows := min(m, n-from)
		chunks = append(chunks, headChunk[T]{from, rows, ops.Rows(logits, rows)})
	}
	return chunks
}

// Release frees the device memory.
func (l *Learner[T]) Release() {
	for _, p := range append(l.sharded.programs(), l.quantise, l.gradient, l.update) {
		if p != nil {
			p.Release()
		}
	}
	if l.evaluator != nil {
		l.evaluator.Release()
	}
	l.ops.Release(l.owned...)
}

// Config returns the model's configuration.
func (l *Learner[T]) Config() nn.Config { return l.config }

// Shape returns what the learner was made for.
func (l *Learner[T]) Shape() Shape { return l.shape }

// Updates returns how many steps the weights have been through.
func (l *Learner[T]) Updates() int { return l.step }
