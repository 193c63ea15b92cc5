package nn

import (
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// workspace holds the tensors that passes of up to `rows` rows compute in. Nothing in it is used after the pass that filled
// it, so all sessions of a model, and all layers, share one.
type workspace[T any] struct {
	rows       int
	generation int  // counts how often its tensors were replaced
	stream     T    // (n, D)
	normed     T    // (n, D)
	tokens     T    // (n)
	angles     T    // (L, R) for a public family, see layer.Angles
	attends    bool // angles has been made
	turned     bool // and filled
	shared     map[string]T
	order      []T // the tensors in shared
}

// grow makes room for n rows if there is less.
func (w *workspace[T]) grow(m op.Tensors[T], c Config, n int) {
	if n <= w.rows {
		return
	}
	w.release(m)
	w.rows, w.shared = n, map[string]T{}
	w.generation++
	w.stream, w.normed = m.New(op.F32, n, c.Width), m.New(op.F32, n, c.Width)
	w.tokens = m.New(op.U32, n)
	if d := c.Decoder; d != nil {
		w.angles, w.attends = m.New(op.F32, d.Context, d.Rope.Width), true
	}
	NewNet[T](c, c.DefaultScan()).Bind(Binding[T]{Rows: func(_ Place, r layer.Rows) (none T) {
		key := r.Key()
		if _, ok := w.shared[key]; !ok && !r.Trained() {
			w.shared[key] = m.New(op.F32, append([]int{n}, r.Shape...)...)
			w.order = append(w.order, w.shared[key])
		}
		return none
	}})
}

func (w *workspace[T]) release(m op.Tensors[T]) {
	if w.rows == 0 {
		return
	}
	m.Release(w.order...)
	m.Release(w.stream, w.normed, w.tokens)
	if w.attends {
		m.Release(w.angles)
	}
	w.attends = false
	w.rows, w.order, w.shared, w.turned = 0, nil, nil, false
}

// fill writes what is the same in every pass, after grow has made new tensors for it.
func (w *workspace[T]) fill(m op.Tensors[T], c Config) {
	const rows = 1 << 10 // rows written at once
	if d := c.Decoder; d != nil && !w.turned {
		for from := 0; from < d.Context; from += rows {
			m.Write(w.angles, from*d.Rope.Width, d.Rope.Angles(from, min(rows, d.Context-from)))
		}
		w.turned = true
	}
}

// views are the first rows of a workspace's tensors.
type views[T any] struct {
	m   op.Tensors[T]
	w   *workspace[T]
	n   int
	by  map[string]T
	all []T
}

// rowsOf returns views of the first n rows.
func (w *workspace[T]) rowsOf(m op.Tensors[T], n int) *views[T] {
	return &views[T]{m: m, w: w, n: n, by: map[string]T{}}
}

// of returns a view, as Binding.Rows needs it.
func (v *views[T]) of(_ Place, r layer.Rows) (none T) {
	if r.Trained() {
		return none
	}
	key := r.Key()
	t, ok := v.by[key]
	if !ok {
		t = v.m.Rows(v.w.shared[key], v.n)
		v.by[key] = t
		v.all = append(v.all, t)
	}
	return t
}
