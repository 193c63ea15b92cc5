package nn

import (
	"cmp"
	"fmt"
)

// prefillRows is how many rows a session computes at once when it reads.
const prefillRows = 256

// Session reads tokens into a memory of its own and writes tokens from it. Several sessions share
// one model; a session is for one goroutine, and sessions of one backend take turns.
type Session[T any] struct {
	model  *Model[T]
	batch  int
	scan   Scan
	rows   int // rows of one pass
	state  *State[T]
	logits T              // (B, V) after the last token
	all    T              // (m, V) logits of several rows, made when they are asked for
	allRow int            // m
	next   T              // (B) the sampled tokens, input of the next step
	out    T              // (B, K) sampled tokens until they are read
	recent T              // (B, RecentSize)
	mirror []uint32       // (B, RecentSize) recent as the host knows it
	ids    []uint32       // (B, K) what was read of out
	row    []uint32       // (B) one step of ids
	saved  [2]snapshot[T] // before each batch of tokens in flight
	read   int64          // tokens read since the start, a sequence
	finite int64          // the last of them behind which the prediction is known to be finite

	lastPass int // tokens a sequence of the last pass, 0 where its rows have gone

	observe func(layer int, a *Activations[T], s *LayerState[T]) // or nil
}

// NewSession starts sequences from an empty memory; batch is their number. scan is the rule by
// which they read: Config.DefaultScan unless somebody wants to see another.
func (m *Model[T]) NewSession(batch int, scan Scan) (*Session[T], error) {
	c, ops := m.Config, m.Ops
	s := &Session[T]{model: m, batch: batch, scan: scan}
	s.rows = max(prefillRows/batch, 1)
	if scan.Minibatch { // a pass must end where a chunk ends
		s.rows = max(s.rows/scan.Chunk, 1) * scan.Chunk
	}
	m.work.grow(ops, c, s.rows*batch)
	s.state = NewState(ops, c, batch)
	s.logits = ops.New(F32, batch, c.Vocab)
	k := ops.Lookahead()
	s.next, s.out = ops.New(U32, batch), ops.New(U32, batch, k)
	s.recent, s.mirror = ops.New(U32, batch, RecentSize), make([]uint32, batch*RecentSize)
	s.ids, s.row = make([]uint32, batch*k), make([]uint32, batch)
	if err := ops.Flush(); err != nil {
		s.Close()
		m.work.release(ops, c) // it may be what there was no room for
		return nil, fmt.Errorf("making a session: %w", err)
	}
	return s, nil
}

// Close gives the session's memory back.
func (s *Session[T]) Close() {
	ops := s.model.Ops
	s.state.Release(ops)
	for _, saved := range s.saved {
		if saved.state != nil {
			saved.state.Release(ops)
			ops.Release(saved.logits)
		}
	}
	ops.Release(s.logits, s.next, s.out, s.recent)
	if s.allRow > 0 {
		ops.Release(s.all)
	}
}

// Observe has f called whenever a layer is recorded, with its activations of the pass's rows, which the
// next layer overwrites, and its state after them. f may record operations that read them; nil ends it.
func (s *Session[T]) Observe(f func(layer int, a *Activations[T], state *LayerState[T])) {
	s.observe = f
}

// Position is how many tokens each sequence has read since its memory was empty.
func (s *Session[T]) Position() int64 { return s.read }

// Read reads tokens (B, T) into the memory and predicts what follows.
func (s *Session[T]) Read(tokens []uint32) error {
	time := len(tokens) / s.batch
	if time == 0 {
		return nil
	}
	w, ops := s.model.Weights, s.model.Ops
	body := time
	if s.batch > 1 { // the rows of the last tokens lie apart unless a pass holds nothing else
		body = time - 1
	}
	s.passes(tokens, time, 0, body, func(v *pass[T], from, n int) error {
		if s.batch == 1 && from+n == time {
			ops.NormHead(s.logits, v.normed, v.stream, w.NormF, w.Head, n-1)
		}
		return nil
	})
	if s.batch > 1 {
		s.passes(tokens, time, body, time, func(v *pass[T], _, _ int) error {
			ops.NormHead(s.logits, v.normed, v.stream, w.NormF, w.Head, 0)
			return nil
		})
	}
	s.remember(tokens, time)
	ops.Submit()
	return nil
}

// ReadAll is Read, and shows the logits (m, V) that follow token from, from+1, … of the only
// sequence, a few rows at a time. visit must not keep the slice. Its error, and a [NotFiniteError] in
// place of a call of it, end the reading after at most a pass more.
func (s *Session[T]) ReadAll(tokens []uint32, visit func(from int, logits []float32) error) error {
	if s.batch != 1 {
		panic("nn: ReadAll is for a batch of one")
	}
	ops, w, V := s.model.Ops, s.model.Weights, s.model.Config.Vocab
	if s.allRow == 0 {
		const room = 32 << 20 // bytes of logits at once
		s.allRow = min(max(room/(4*V), 1), s.rows)
		s.all = ops.New(F32, s.allRow, V)
	}
	host := make([]float32, s.allRow*V)
	read := 0
	err := s.passes(tokens, len(tokens), 0, len(tokens), func(v *pass[T], from, n int) error {
		read = from + n
		for r := 0; r < n; r += s.allRow {
			m := min(s.allRow, n-r)
			rows := host[:m*V]
			ops.NormHead(ops.Rows(s.all, m), v.normed, v.stream, w.NormF, w.Head, r)
			err := ops.Read(s.all, 0, rows)
			if i := FirstNotFinite(rows); i >= 0 {
				err = cmp.Or(err, error(s.scan.Spoilt(s.read+int64(from), r+i/V, n)))
			}
			if err == nil {
				err = visit(from+r, rows)
			}
			if err != nil {
				ops.NormHead(s.logits, v.normed, v.stream, w.NormF, w.Head, n-1) // the memory is there already
				return err
			}
			if r+m == n {
				ops.Copy(s.logits, 0, s.all, (m-1)*V, V)
			}
		}
		return nil
	})
	s.remember(tokens[:read], read)
	if err == nil {
		s.finite = s.read
	}
	return err
}

// passes runs the blocks over tokens[:, from:to] of (B, time), a few columns at a time.
func (s *Session[T]) passes(tokens []uint32, time, from, to int, then func(v *pass[T], from, n int) error) error {
	ops := s.model.Ops
	for ; from < to; from += s.rows {
		n := min(s.rows, to-from)
		v := s.model.pass(n * s.batch)
		for b := range s.batch {
			ops.WriteTokens(v.tokens, b*n, tokens[b*time+from:b*time+from+n])
		}
		s.blocks(v, v.tokens, n)
		s.lastPass = n
		if err := then(v, from, n); err != nil {
			return err
		}
	}
	return nil
}

// blocks runs the blocks over n tokens a sequence.
func (s *Session[T]) blocks(v *pass[T], tokens T, n int) {
	ops, c, w := s.model.Ops, s.model.Config, s.model.Weights
	ops.Embed(v.stream, w.Embed, tokens)
	if n == 1 && s.observe == nil { // of one token a rule makes one step, the minibatch's too
		ops.Blocks(v.stream, w.Layers, s.state.Layers, &v.acts, c)
		return
	}
	for i := range w.Layers {
		w.Layers[i].Forward(ops, c, &s.state.Layers[i], &v.acts, v.stream, s.scan)
		if s.observe != nil {
			s.observe(i, &v.acts, &s.state.Layers[i])
		}
	}
}

// step reads the sampled tokens and predicts what follows.
func (s *Session[T]) step() {
	v, w := s.model.pass(s.batch), s.model.Weights
	s.blocks(v, s.next, 1)
	s.model.Ops.NormHead(s.logits, v.normed, v.stream, w.NormF, w.Head, 0)
}

// remember notes tokens (B, T) as read.
func (s *Session[T]) remember(tokens []uint32, time int) {
	s.read += int64(time)
	for b := range s.batch {
		for _, id := range tokens[b*time+max(0, time-RecentWindow) : (b+1)*time] {
			Push(s.mirror[b*RecentSize:(b+1)*RecentSize], id)
		}
	}
}

// Logits waits for what was read and gives the prediction (B, V) for the next token. Where that is not
// finite, the error is a [NotFiniteError]: directly behind a Read it looks for the token with which that
// began among those of the last pass, whose rows are still there.
func (s *Session[T]) Logits(dst []float32) error {
	if err := s.model.Ops.Read(s.logits, 0, dst); err != nil {
		return err
	}
	if FirstNotFinite(dst) >= 0 {
		return s.findNotFinite()
	}
	s.finite = s.read
	return nil
}
