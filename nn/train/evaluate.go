package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// Tokens is a sequence of token ids with random access, such as a corpus.Tokens.
type Tokens interface {
	Len() int
	// CopyTo fills dst with ids from position from on, and returns how many there were.
	CopyTo(dst []uint32, from int) (int, error)
}

// Rows are tokens in rows that each begin with an empty memory, with op.NoTarget where there is nothing to predict, such as
// corpus.Rows of the evaluation's T.
type Rows interface {
	Tokens
	Rows() int
	// Row fills inputs and targets, (T) each.
	Row(i int, inputs, targets []uint32) error
}

// Evaluation is the result of predicting tokens.
type Evaluation struct {
	Tokens  int64   // predicted
	Nats    float64 // Σ −log p(token)
	Correct int64   // tokens that had the largest logit

	Divergence float64 // Σ KL(p′ ‖ p) in nats, if the prediction p′ of another model was asked for
}

// Loss returns the mean in nats per token.
func (e Evaluation) Loss() float64 { return e.Nats / float64(e.Tokens) }

// Perplexity returns e to the loss, limited to the largest float64.
func (e Evaluation) Perplexity() float64 { return min(math.Exp(e.Loss()), math.MaxFloat64) }

// Accuracy returns the share of tokens that had the largest logit.
func (e Evaluation) Accuracy() float64 { return float64(e.Correct) / float64(e.Tokens) }

// BitsPerByte distributes the loss over the bytes of the predicted text.
func (e Evaluation) BitsPerByte(bytes int64) float64 { return e.Nats / math.Ln2 / float64(bytes) }

// greedy is what is needed to pick the largest logit of m rows.
type greedy[T any] struct {
	next   T // (m)
	out    T // (m, 1)
	recent T // (m, RecentSize), unused
	rules  T // (m, RulesSize) zeros, which mean greedy
}

func newGreedy[T any](ops op.Tensors[T], m int, own func(T) T) greedy[T] {
	new := func(shape ...int) T { return own(ops.New(op.U32, shape...)) }
	return greedy[T]{new(m), new(m, 1), new(m, op.RecentSize), new(m, op.RulesSize)}
}

// Evaluator measures a model on tokens with the sequential rule, in rows of T tokens, each with an empty memory, B at a time.
type Evaluator[T any] struct {
	ops         op.Executor[T]
	config      nn.Config
	weights     *nn.Weights[T]
	low         nn.Weights[T] // of an adapter
	places      places[T]
	batch, time int

	rows            func(nn.Place, layer.Rows) T  // (n, …)
	states          func(nn.Place, layer.State) T // (B, …) of one block
	stream          T                             // (n, D)
	normed          T                             // (n, D)
	logits          T                             // (m, V)
	inputs, targets T                             // (n)
	documents       T                             // (n, 2) for packed rows, see Learner.Step
	packed          bool
	loss            T // (1)
	greedy          greedy[T]

	prepared map[[2]int]*evaluation // by number of sequences and rows
	owned    []T
}

// evaluation is what predicts a number of rows.
type evaluation struct {
	forward op.Prepared
	heads   []op.Prepared
	chunks  [][2]int // first row and number of rows of each part of the head
}

// NewEvaluator allocates an evaluator on the model's backend.
func NewEvaluator[T any](m *nn.Model[T], batch, time int) (*Evaluator[T], error) {
	e := newEvaluator(op.Tensors[T](m.Backend), m.Config, batch, time)
	e.ops, e.weights, e.low = m.Backend, m.Weights, m.Low
	e.places.fill(m.Backend, m.Config, time)
	err := m.Backend.Flush()
	if err == nil {
		_, err = e.prepare(batch, batch*time)
	}
	if err != nil {
		e.Release()
		return nil, fmt.Errorf("making room for the evaluation: %w", err)
	}
	return e, nil
}

// newEvaluator allocates all tensors of an evaluation.
func newEvaluator[T any](m op.Tensors[T], c nn.Config, batch, time int) *Evaluator[T] {
	n := batch * time
	e := &Evaluator[T]{config: c, batch: batch, time: time}
	own := func(t T) T {
		e.owned = append(e.owned, t)
		return t
	}
	zeros := func(shape ...int) T { return own(m.New(op.F32, shape...)) }
	rows, states := map[string]T{}, map[string]T{}
	nn.NewNet[struct{}](c, c.DefaultScan()).Bind(nn.Binding[struct{}]{
		Rows: func(_ nn.Place, r layer.Rows) (none struct{}) {
			if _, ok := rows[r.Key()]; !ok && !r.Trained() {
				rows[r.Key()] = zeros(append([]int{n}, r.Shape...)...)
			}
			return none
		},
		State: func(at nn.Place, s layer.State) (none struct{}) {
			if _, ok := states[stateKey(at, s)]; !ok {
				states[stateKey(at, s)] = zeros(stateShape(s, batch, time)...)
			}
			return none
		},
	})
	e.rows = func(_ nn.Place, r layer.Rows) T { return rows[r.Key()] }
	e.states = func(at nn.Place, s layer.State) T { return states[stateKey(at, s)] }
	heads := headRows(c, n)
	e.stream, e.normed, e.logits = zeros(n, c.Width), zeros(n, c.Width), zeros(heads, c.Vocab)
	e.inputs, e.targets = own(m.New(op.U32, n)), own(m.New(op.U32, n))
	e.places = newPlaces(m, c, batch, time, own)
	e.loss, e.greedy = zeros(1), newGreedy(m, heads, own)
	return e
}

// Release frees the device memory.
func (e *Evaluator[T]) Release() {
	for _, p := range e.prepared {
		p.forward.Release()
		for _, head := range p.heads {
			head.Release()
		}
	}
	e.ops.Release(e.owned...)
}

// prepare prepares a pass over n rows of `batch` sequences.
func (e *Evaluator[T]) prepare(batch, n int) (*evaluation, error) {
	key := [2]int{batch, n}
	if p := e.prepared[key]; p != nil {
		return p, nil
	}
	b, c := e.ops, e.config
	views := map[string]T{}
	view := func(key string, whole T, n int) T {
		if _, ok := views[key]; !ok {
			views[key] = b.Rows(whole, n)
		}
		return views[key]
	}
	starts := map[int]op.Program[T]{}
	places := e.places.of(b, batch)
	net := nn.NewNet[T](c, c.DefaultScan()).Bind(nn.Binding[T]{
		Param: inTurn(*e.weights),
		Low:   e.low.Low(),
		Shared: func(which layer.Shared) T {
			if which == layer.Documents && e.packed {
				return b.Rows(e.documents, n)
			}
			return places(which)
		},
		Rows: func(at nn.Place, r layer.Rows) (none T) {
			if r.Trained() {
				return none
			}
			return view(fmt.Sprint(at.Layer, r.Key()), e.rows(at, r), n)
		},
		State: func(at nn.Place, s layer.State) T {
			state := view(stateKey(at, s), e.states(at, s), batch)
			starts[at.Block] = append(starts[at.Block], &op.Zero[T]{X: state})
			return state
		},
	})
	stream, normed, inputs, targets := b.Rows(e.stream, n), b.Rows(e.normed, n), b.Rows(e.inputs, n), b.Rows(e.targets, n)
	var p op.Program[T]
	net.Lookup(&p, stream, inputs)
	for i := range net.Blocks {
		p.Add(starts[i]...)
		net.Forward(&p, i, stream)
	}
	p.Add(&op.Zero[T]{X: e.loss})
	prepared := &evaluation{}
	var err error
	if prepared.forward, err = b.Prepare(p); err != nil {
		return nil, err
	}
	g := e.greedy
	for _, h := range headChunks(op.Tensors[T](b), e.logits, headRows(c, e.batch*e.time), n) {
		var p op.Program[T]
		net.Logits(&p, h.logits, normed, stream, h.from, h.rows)
		p.Add(
			&op.Sample[T]{
				Next: b.Rows(g.next, h.rows), Out: b.Rows(g.out, h.rows), Recent: b.Rows(g.recent, h.rows), Rules: b.Rows(g.rules, h.rows),
				Logits: h.logits,
			},
			&op.CrossEntropy[T]{Loss: e.loss, Logits: h.logits, Targets: targets, From: h.from, Scale: 1 / float32(n)},
		)
		head, err := b.Prepare(p)
		if err != nil {
			return nil, err
		}
		prepared.heads, prepared.chunks = append(prepared.heads, head), append(prepared.chunks, [2]int{h.from, h.rows})
	}
	if e.prepared == nil {
		e.prepared = map[[2]int]*evaluation{}
	}
	e.prepared[key] = prepared
	return prepared, nil
}

// evaluateRows predicts the targets of rows that there are.
func (e *Evaluator[T]) evaluateRows(rows Rows, stop func() bool) (total Evaluation, err error) {
	room := e.batch * e.time
	inputs, targets := make([]uint32, room), make([]uint32, room)
	for i := 0; i < rows.Rows() && (stop == nil || !stop()); {
		batch := min(e.batch, rows.Rows()-i)
		for b := range batch {
			if err := rows.Row(i+b, inputs[b*e.time:(b+1)*e.time], targets[b*e.time:(b+1)*e.time]); err != nil {
				return total, fmt.Errorf("evaluation: %w", err)
			}
		}
		n := batch * e.time
		nats, correct, err := e.predict(inputs[:n], targets[:n], batch, i*e.time)
		if err == nil && (math.IsNaN(nats) || math.IsInf(nats, 0)) {
			err = nn.ErrNotFinite
		}
		if err != nil {
			return total, fmt.Errorf("evaluation: the rows from %d on: %w", i, err)
		}
		total.Nats, total.Correct, total.Tokens = total.Nats+nats, total.Correct+correct, total.Tokens+int64(Counted(targets[:n]))
		i += batch
	}
	return total, nil
}

// Counted is how many targets are to be predicted.
func Counted(targets []uint32) (n int) {
	for _, t := range targets {
		if t != op.NoTarget {
			n++
		}
	}
	return n
}

// Evaluate predicts every token but the first, or the targets of Rows. stop, optional, is asked between batches. A prediction that is not finite
// is an nn.ErrNotFinite that names the token.
func (e *Evaluator[T]) Evaluate(tokens Tokens, stop func() bool) (Evaluation, error) {
	var total Evaluation
	if rows, ok := tokens.(Rows); ok {
		return e.evaluateRows(rows, stop)
	}
	if tokens.Len() < 2 {
		return total, fmt.Errorf("evaluation: got %d tokens, want at least 2", tokens.Len())
	}
	room := e.batch * e.time
	inputs, targets := make([]uint32, room), make([]uint32, room)
	for at := 0; at+1 < tokens.Len(); {
		if stop != nil && stop() {
			break
		}
		left := tokens.Len() - 1 - at
		batch, time := min(left/e.time, e.batch), e.time
		if batch == 0 { // what is left fills no row
			batch, time = 1, left
		}
		n := batch * time
		for i, ids := range [][]uint32{inputs[:n], targets[:n]} {
			if _, err := tokens.CopyTo(ids, at+i); err != nil {
				return total, fmt.Errorf("evaluation: %w", err)
			}
		}
		nats, correct, err := e.predict(inputs[:n], targets[:n], batch, at)
		if err == nil && (math.IsNaN(nats) || math.IsInf(nats, 0)) {
			err = fmt.Errorf("the sequences from token %d on: %w", at+1, nn.ErrNotFinite)
		}
		if err != nil {
			return total, fmt.Errorf("evaluation: %w", err)
		}
		total.Tokens += int64(n)
		total.Nats += nats
		total.Correct += correct
		at += n
	}
	return total, nil
}

// predict predicts targets from inputs (batch, n/batch), which lie behind token at.
func (e *Evaluator[T]) predict(inputs, targets []uint32, batch, at int) (nats float64, correct int64, err error) {
	b, n := e.ops, len(inputs)
	p, err := e.prepare(batch, n)
	if err != nil {
		return 0, 0, err
	}
	if e.packed {
		ids, documents := make([]uint32, n), make([]uint32, 2*n)
		op.SplitDocuments(ids, documents, inputs, n/batch)
		b.WriteTokens(e.documents, 0, documents)
		inputs = ids
	}
	b.WriteTokens(e.inputs, 0, inputs)
	b.WriteTokens(e.targets, 0, targets)
	p.forward.Run()
	best := make([]uint32, n)
	for i, head := range p.heads {
		head.Run()
		from, rows := p.chunks[i][0], p.chunks[i][1]
		if err := b.DownloadTokens(e.greedy.out, 0, best[from:from+rows]); err != nil {
			return 0, 0, err
		}
	}
	for i, id := range best {
		switch {
		case targets[i] == op.NoTarget: // also of what pads a row
		case id == targets[i]:
			correct++
		case id == op.NotFinite:
			time := n / batch
			return 0, 0, fmt.Errorf("the sequence from token %d on: %w", at+i/time*time+1, nn.Spoilt(e.config.DefaultScan(), 0, i%time, time))
		}
	}
	var loss [1]float32
	if err := b.Download(e.loss, 0, loss[:]); err != nil {
		return 0, 0, err
	}
	return float64(loss[0]) * float64(n), correct, nil
}

// Evaluate measures the current weights, in the memory of the training's activations. Where the training's rows are
// packed, Rows may be. The errors are those of [Evaluator.Evaluate].
func (l *Learner[T]) Evaluate(tokens Tokens, stop func() bool) (Evaluation, error) {
	l.requantise()
	if l.evaluator == nil {
		l.evaluator = &Evaluator[T]{
			ops: l.backend, config: l.config, weights: l.use, low: l.low, places: l.places, batch: l.shape.sequences(), time: l.shape.Time,
			documents: l.documents, packed: l.shape.Packed,
			rows: func(at nn.Place, r layer.Rows) T {
				first := at
				first.Block = 0
				if t, ok := l.rows[l.rowsKey(first, r)]; ok {
					return t
				}
				return l.rows[l.rowsKey(at, r)] // of a kind that the first block has not
			},
			states: func(at nn.Place, s layer.State) T { return l.states[stateKey(at, s)] },
			stream: l.stream[0][0], normed: l.normed, logits: l.logits, inputs: l.inputs, targets: l.targets, loss: l.loss, greedy: l.greedy,
		}
	}
	return l.evaluator.Evaluate(tokens, stop)
}
