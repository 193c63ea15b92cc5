package nn

// Activations are what one block computes, kept where its backward needs it. In inference all
// blocks share one, and In, Mid and the block's output are the same tensor.
type Activations[T any] struct {
	In     T // (n, D) the residual stream before the block
	X1     T // (n, D) normalised input of the mixer
	Mix    T // (n, d) keys, or (n, 3d) keys, queries, values before the convolution
	Step   T // (n, h) delta: β
	Mixed  T // (n, 3d) delta: keys, queries, values as the rule sees them
	Read   T // (n, d) delta: what the memory answers before the norm
	Starts T // (B, ceil(T/C), h, c, c) the memory before each chunk; only for backward
	Out    T // (n, d) output of the mixer
	Mid    T // (n, D) the residual stream between mixer and MLP
	X2     T // (n, D) normalised input of the MLP
	GateUp T // (n, 2H)
	Act    T // (n, H) silu(gate) ⊙ up

	Dropout Dropout[T] // of Out and Act, in training
}

// Dropout says what is dropped of a block's activations. The zero value drops nothing.
type Dropout[T any] struct {
	Seed T       // U32 (1), another one each step
	Site uint32  // the first of the block's two
	Rate float32 // which share, 0 = none
}

// Of drops from x, which is an activation or the gradient of one.
func (d Dropout[T]) Of(ops Ops[T], x T, site uint32) {
	if d.Rate > 0 {
		ops.Dropout(x, d.Seed, d.Site+site, d.Rate)
	}
}

// The sites of a block.
const (
	dropOut      = iota // the mixer's output
	dropAct             // the MLP's hidden layer
	DropoutSites        // how many there are
)

// NewActivations makes those of one block for n = batch·time rows, apart from In, Mid and Starts.
func NewActivations[T any](ops Ops[T], c Config, n int) *Activations[T] {
	a := &Activations[T]{
		X1: ops.New(F32, n, c.Width), Mix: ops.New(F32, n, c.MixWidth()), Out: ops.New(F32, n, c.MemoryWidth),
		X2: ops.New(F32, n, c.Width), GateUp: ops.New(F32, n, 2*c.MLPWidth()), Act: ops.New(F32, n, c.MLPWidth()),
	}
	if c.Delta() {
		a.Step = ops.New(F32, n, c.Heads)
		a.Mixed = ops.New(F32, n, c.MixWidth())
		a.Read = ops.New(F32, n, c.MemoryWidth)
	}
	return a
}

// NewStarts makes room for the memories before each chunk.
func NewStarts[T any](ops Ops[T], c Config, batch, time, chunk int) T {
	return ops.New(F32, batch, (time+chunk-1)/chunk, c.Heads, c.HeadWidth(), c.HeadWidth())
}

// Forward runs one block: out (n, D) = block(a.In). out may be a.In.
func (l *Layer[T]) Forward(ops Ops[T], c Config, s *LayerState[T], a *Activations[T], out T, scan Scan) {
	ops.NormLinear(a.Mix, a.X1, a.In, l.Norm1, l.Mix)
	if c.Delta() {
		ops.Step(a.Step, a.X1, l.Step, l.StepBias)
		ops.DeltaScan(a.Out, a.Mix, a.Step, l.Conv, l.MixNorm, s.Memory, s.Tail, a.Mixed, a.Read, a.Starts, scan.Chunk)
	} else {
		ops.TiedScan(a.Out, a.Mix, s.Memory, a.Starts, scan)
	}
	a.Dropout.Of(ops, a.Out, dropOut)
	ops.LinearAdd(a.Mid, a.In, a.Out, l.Up)
	ops.NormSwiGLU(a.Act, a.GateUp, a.X2, a.Mid, l.Norm2, l.GateUp)
	a.Dropout.Of(ops, a.Act, dropAct)
	ops.LinearAdd(out, a.Mid, a.Act, l.Down)
}

// BlockByBlock is Ops.Blocks as it is defined.
func BlockByBlock[T any](ops Ops[T], h T, layers []Layer[T], states []LayerState[T], a *Activations[T], c Config) {
	for i := range layers {
		layers[i].Forward(ops, c, &states[i], a, h, c.DefaultScan())
	}
}

// Gradients are the gradients of one block's activations, shared by all blocks.
type Gradients[T any] struct {
	H      T // (n, D) of the residual stream, carried from block to block
	X      T // (n, D)
	Mix    T // (n, d) or (n, 3d)
	Step   T // (n, h)
	Out    T // (n, d)
	GateUp T // (n, 2H)
	Act    T // (n, H)
}

// NewGradients makes those for n rows.
func NewGradients[T any](ops Ops[T], c Config, n int) *Gradients[T] {
	g := &Gradients[T]{
		H: ops.New(F32, n, c.Width), X: ops.New(F32, n, c.Width), Mix: ops.New(F32, n, c.MixWidth()),
		Out: ops.New(F32, n, c.MemoryWidth), GateUp: ops.New(F32, n, 2*c.MLPWidth()), Act: ops.New(F32, n, c.MLPWidth()),
	}
	if c.Delta() {
		g.Step = ops.New(F32, n, c.Heads)
	}
	return g
}

// Backward is Forward read upward: g.H is the gradient of the block's output before and of its
// input after; the parameters' gradients are added into dl.
func (l *Layer[T]) Backward(ops Ops[T], c Config, dl *Layer[T], a *Activations[T], g *Gradients[T], scan Scan) {
	ops.LinearBackward(g.Act, dl.Down, g.H, a.Act, l.Down)
	a.Dropout.Of(ops, g.Act, dropAct)
	ops.SwiGLUBackward(g.GateUp, g.Act, a.GateUp)
	ops.LinearBackward(g.X, dl.GateUp, g.GateUp, a.X2, l.GateUp)
	ops.RMSNormBackward(g.H, dl.Norm2, g.X, a.Mid, l.Norm2)
	ops.LinearBackward(g.Out, dl.Up, g.H, a.Out, l.Up)
	a.Dropout.Of(ops, g.Out, dropOut)
	if c.Delta() {
		ops.DeltaScanBackward(g.Mix, g.Step, dl.Conv, dl.MixNorm, g.Out, a.Mix, a.Step, l.Conv, l.MixNorm,
			a.Mixed, a.Read, a.Starts, scan.Chunk)
		ops.LinearBackward(g.X, dl.Mix, g.Mix, a.X1, l.Mix)
		ops.StepBackward(g.X, dl.Step, dl.StepBias, g.Step, a.Step, a.X1, l.Step)
	} else {
		ops.TiedScanBackward(g.Mix, g.Out, a.Mix, a.Starts, scan)
		ops.LinearBackward(g.X, dl.Mix, g.Mix, a.X1, l.Mix)
	}
	ops.RMSNormBackward(g.H, dl.Norm1, g.X, a.In, l.Norm1)
}
