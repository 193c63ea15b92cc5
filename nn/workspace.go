package nn

// pass is what a forward pass of n rows writes to.
type pass[T any] struct {
	acts   Activations[T]
	stream T // (n, D) the residual stream
	normed T // (n, D)
	tokens T // (n)
}

// workspace holds the room for a pass of any number of rows. Nothing in it outlives the call that
// filled it, so that all sessions of a model share one.
type workspace[T any] struct {
	rows  int
	whole pass[T]
	views map[int]*pass[T] // its first n rows
}

// grow makes room for n rows where there is less.
func (w *workspace[T]) grow(ops Ops[T], c Config, n int) {
	if n <= w.rows {
		return
	}
	w.release(ops, c)
	w.rows, w.views = n, map[int]*pass[T]{}
	w.whole = pass[T]{
		acts: *NewActivations(ops, c, n), stream: ops.New(F32, n, c.Width), normed: ops.New(F32, n, c.Width), tokens: ops.New(U32, n),
	}
}

func (w *workspace[T]) release(ops Ops[T], c Config) {
	if w.rows == 0 {
		return
	}
	p, a := w.whole, w.whole.acts
	ops.Release(a.X1, a.Mix, a.Out, a.X2, a.GateUp, a.Act, p.stream, p.normed, p.tokens)
	if c.Delta() {
		ops.Release(a.Step, a.Mixed, a.Read)
	}
	w.rows = 0
}

// pass is the room for a pass of n rows.
func (m *Model[T]) pass(n int) *pass[T] {
	w, ops := &m.work, m.Ops
	w.grow(ops, m.Config, n)
	if v := w.views[n]; v != nil {
		return v
	}
	a := &w.whole.acts
	stream := ops.Rows(w.whole.stream, n)
	v := &pass[T]{
		acts: Activations[T]{
			In: stream, Mid: stream, X1: ops.Rows(a.X1, n), Mix: ops.Rows(a.Mix, n), Out: ops.Rows(a.Out, n),
			X2: ops.Rows(a.X2, n), GateUp: ops.Rows(a.GateUp, n), Act: ops.Rows(a.Act, n),
		},
		stream: stream, normed: ops.Rows(w.whole.normed, n), tokens: ops.Rows(w.whole.tokens, n),
	}
	if m.Config.Delta() {
		v.acts.Step, v.acts.Mixed, v.acts.Read = ops.Rows(a.Step, n), ops.Rows(a.Mixed, n), ops.Rows(a.Read, n)
	}
	w.views[n] = v
	return v
}
