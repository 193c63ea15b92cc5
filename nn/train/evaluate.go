package train

import (
	"fmt"
	"math"

	"bitgpu/nn"
)

// Tokens is a sequence of token ids that can be read anywhere, such as a corpus.Tokens.
type Tokens interface {
	Len() int
	// CopyTo fills dst with the ids from a place on and returns how many there were.
	CopyTo(dst []uint32, from int) (int, error)
}

// Evaluation is what predicting a number of tokens gave.
type Evaluation struct {
	Tokens  int64   // predicted
	Nats    float64 // Σ −log p(token)
	Correct int64   // tokens that had the largest logit
}

// Loss is the mean, nats a token.
func (e Evaluation) Loss() float64 { return e.Nats / float64(e.Tokens) }

// Perplexity is e to the loss.
func (e Evaluation) Perplexity() float64 { return math.Exp(e.Loss()) }

// Accuracy is the share of tokens that had the largest logit.
func (e Evaluation) Accuracy() float64 { return float64(e.Correct) / float64(e.Tokens) }

// BitsPerByte spreads the loss over the bytes of the text that was predicted.
func (e Evaluation) BitsPerByte(bytes int64) float64 { return e.Nats / math.Ln2 / float64(bytes) }

// greedy is what picking the largest logit of m rows needs.
type greedy[T any] struct {
	next   T // (m)
	out    T // (m, 1)
	recent T // (m, RecentSize), not looked at
}

func newGreedy[T any](ops nn.Ops[T], m int, own func(T) T) greedy[T] {
	return greedy[T]{own(ops.New(nn.U32, m)), own(ops.New(nn.U32, m, 1)), own(ops.New(nn.U32, m, nn.RecentSize))}
}

// workspace is what a forward pass of n rows writes to, and its views of fewer rows.
type workspace[T any] struct {
	acts            nn.Activations[T] // In, Mid and the block's output are one tensor
	state           *nn.State[T]      // of one layer
	normed          T                 // (n, D)
	logits          T                 // (m, V)
	inputs, targets T                 // (n)
	loss            T                 // (1)
	greedy          greedy[T]
}

// Evaluator measures a model on tokens by the sequential rule: rows of T tokens, each from an
// empty memory, B at a time.
type Evaluator[T any] struct {
	ops         nn.Ops[T]
	config      nn.Config
	weights     *nn.Weights[T]
	batch, time int
	whole       workspace[T]
	owned       []T
}

// NewEvaluator makes room on the model's backend to measure it.
func NewEvaluator[T any](m *nn.Model[T], batch, time int) (*Evaluator[T], error) {
	ops, c, n := m.Ops, m.Config, batch*time
	e := &Evaluator[T]{ops: ops, config: c, weights: m.Weights, batch: batch, time: time}
	own := func(t T) T {
		e.owned = append(e.owned, t)
		return t
	}
	w := &e.whole
	w.acts = *nn.NewActivations(ops, c, n)
	e.owned = append(e.owned, blockTensors(c, &w.acts)...)
	w.acts.In = own(ops.New(nn.F32, n, c.Width))
	w.acts.Mid = w.acts.In
	w.state = oneLayer(ops, c, batch, own)
	rows := headRows(c, n)
	w.normed, w.logits = own(ops.New(nn.F32, n, c.Width)), own(ops.New(nn.F32, rows, c.Vocab))
	w.inputs, w.targets = own(ops.New(nn.U32, n)), own(ops.New(nn.U32, n))
	w.loss, w.greedy = own(ops.New(nn.F32, 1)), newGreedy(ops, rows, own)
	if err := ops.Flush(); err != nil {
		e.Release()
		return nil, fmt.Errorf("making room for the evaluation: %w", err)
	}
	return e, nil
}

// Release gives the device's memory back.
func (e *Evaluator[T]) Release() { e.ops.Release(e.owned...) }

// Evaluate predicts every token but the first. stop, optional, is asked between batches. A prediction that is not finite
// is an nn.ErrNotFinite that names the token.
func (e *Evaluator[T]) Evaluate(tokens Tokens, stop func() bool) (Evaluation, error) {
	var total Evaluation
	if tokens.Len() < 2 {
		return total, fmt.Errorf("evaluation: at least 2 tokens wanted, %d found", tokens.Len())
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
		nats, correct, err := e.rows(inputs[:n], targets[:n], batch, at)
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

// rows predicts targets from inputs (batch, n/batch), which lie behind token at.
func (e *Evaluator[T]) rows(inputs, targets []uint32, batch, at int) (nats float64, correct int64, err error) {
	ops, c, n := e.ops, e.config, len(inputs)
	v := e.view(batch, n)
	ops.WriteTokens(v.inputs, 0, inputs)
	ops.WriteTokens(v.targets, 0, targets)
	ops.Embed(v.acts.In, e.weights.Embed, v.inputs)
	for i := range e.weights.Layers {
		v.state.Zero(ops)
		e.weights.Layers[i].Forward(ops, c, &v.state.Layers[0], &v.acts, v.acts.In, c.DefaultScan())
	}
	ops.Zero(v.loss)
	best := make([]uint32, n)
	for _, h := range headChunks(ops, v.logits, headRows(c, e.batch*e.time), n) {
		ops.NormHead(h.logits, v.normed, v.acts.In, e.weights.NormF, e.weights.Head, h.from)
		g := v.greedy
		ops.Sample(ops.Rows(g.next, h.rows), ops.Rows(g.out, h.rows), ops.Rows(g.recent, h.rows), h.logits, nn.Sampling{})
		ops.CrossEntropy(v.loss, h.logits, v.targets, h.from, 1/float32(n))
		if err := ops.ReadTokens(g.out, 0, best[h.from:h.from+h.rows]); err != nil {
			return 0, 0, err
		}
	}
	for i, id := range best {
		switch id {
		case targets[i]:
			correct++
		case nn.NotFinite:
			time := n / batch
			return 0, 0, fmt.Errorf("the sequence from token %d on: %w", at+i/time*time+1, c.DefaultScan().Spoilt(0, i%time, time))
		}
	}
	var loss [1]float32
	if err := ops.Read(v.loss, 0, loss[:]); err != nil {
		return 0, 0, err
	}
	return float64(loss[0]) * float64(n), correct, nil
}

// view is the workspace's first n rows, of a batch of sequences.
func (e *Evaluator[T]) view(batch, n int) workspace[T] {
	if batch == e.batch && n == e.batch*e.time {
		return e.whole
	}
	ops, v := e.ops, e.whole
	a := &v.acts
	rows := []*T{&a.In, &a.X1, &a.Mix, &a.Out, &a.X2, &a.GateUp, &a.Act, &v.normed, &v.inputs, &v.targets}
	if e.config.Delta() {
		rows = append(rows, &a.Step, &a.Mixed, &a.Read)
	}
	for _, t := range rows {
		*t = ops.Rows(*t, n)
	}
	a.Mid = a.In
	v.state = v.state.Rows(ops, batch)
	return v
}

// blockTensors are the tensors that nn.NewActivations makes.
func blockTensors[T any](c nn.Config, a *nn.Activations[T]) []T {
	ts := []T{a.X1, a.Mix, a.Out, a.X2, a.GateUp, a.Act}
	if c.Delta() {
		ts = append(ts, a.Step, a.Mixed, a.Read)
	}
	return ts
}

// oneLayer is the state of a single layer, which every block in turn starts from zeros.
func oneLayer[T any](ops nn.Ops[T], c nn.Config, batch int, own func(T) T) *nn.State[T] {
	c.Layers = 1
	s := nn.NewState(ops, c, batch)
	own(s.Layers[0].Memory)
	if c.Delta() {
		own(s.Layers[0].Tail)
	}
	return s
}

// Evaluate measures the weights as they are now, in the memory of the training's activations.
func (l *Learner[T]) Evaluate(tokens Tokens, stop func() bool) (Evaluation, error) {
	l.quantise()
	e := &Evaluator[T]{ops: l.ops, config: l.config, weights: l.use, batch: l.shape.Batch, time: l.shape.Time}
	var none T
	e.whole = workspace[T]{
		acts: l.acts[0], state: l.state, normed: l.normed, logits: l.logits,
		inputs: l.inputs, targets: l.targets, loss: l.loss, greedy: l.greedy,
	}
	a := &e.whole.acts
	a.In, a.Mid, a.Starts = l.stream[0], l.stream[0], none
	a.Dropout = nn.Dropout[T]{} // only in training
	return e.Evaluate(tokens, stop)
}
