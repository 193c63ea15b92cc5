package nn

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// prefillRows is how many rows a session computes at once while reading.
const prefillRows = 256

// Session reads tokens into a memory of its own and writes tokens from it. Several sessions may share a model. A session is
// for one goroutine, and so are all sessions of one backend together.
type Session[T any] struct {
	model     *Model[T]
	home      *Batch[T] // contains the session's sequences
	slot      int       // the first of them
	id        int       // unique among the sessions of the model
	batch     int
	scan      op.Scan
	rows      int            // rows per sequence in one pass
	all       T              // (m, V) logits of several rows, made on demand
	allRow    int            // m
	next      T              // (B) sampled tokens, the input of the next step
	out       T              // (B, K) sampled tokens that have not been downloaded
	mirror    []uint32       // (B, op.RecentSize) the host's copy of recent
	hostRules []uint32       // (B, RulesSize)
	ids       []uint32       // (B, K) downloaded from out
	row       []uint32       // (B) one step of ids
	drawn     int            // tokens since Start that are in the memory or in row
	dirty     bool           // recent on the device differs from mirror
	saved     [2]snapshot[T] // before each batch of tokens in flight
	read      int64          // tokens read per sequence since the start
	finite    int64          // the last of them after which the prediction is known to be finite

	ahead      bool // a pass over several sessions has already drawn the next token, drawnAhead
	drawnAhead uint32

	lastPass int // tokens per sequence in the last pass, 0 if its rows are gone

	observe func(block int, m layer.Memory[T]) // or nil
	closed  bool
}

// NewSession begins `batch` sequences with empty memories. scan is the rule by which they read: Config.DefaultScan, or
// another one to compare it with.
func (m *Model[T]) NewSession(batch int, scan op.Scan) (*Session[T], error) {
	h := &Batch[T]{model: m, scan: scan, fixed: true, known: map[passKey]*pass[T]{}}
	if err := h.resize(batch); err != nil {
		return nil, fmt.Errorf("making a session: %w", err)
	}
	m.batches = append(m.batches, h)
	return h.begin(0, batch)
}

// newSession makes what a session has besides its slots.
func newSession[T any](c Config, m op.Tensors[T], batch int, scan op.Scan) *Session[T] {
	s := &Session[T]{batch: batch, scan: scan}
	s.rows = max(prefillRows/batch, 1)
	if scan.Minibatch { // passes must end where chunks end
		s.rows = max(s.rows/scan.Chunk, 1) * scan.Chunk
	}
	k := m.Lookahead()
	s.next, s.out = m.New(op.U32, batch), m.New(op.U32, batch, k)
	s.mirror, s.hostRules = make([]uint32, batch*op.RecentSize), make([]uint32, batch*op.RulesSize)
	s.ids, s.row = make([]uint32, batch*k), make([]uint32, batch)
	return s
}

// Close frees the session's memory. Closing twice does nothing.
func (s *Session[T]) Close() {
	if s.closed {
		return
	}
	s.closed = true
	b := s.model.Backend
	s.model.sessions--
	s.home.leave(s)
	for _, saved := range s.saved {
		if saved.state != nil {
			saved.state.Release(b)
			b.Release(saved.logits)
		}
	}
	b.Release(s.next, s.out)
	if s.allRow > 0 {
		b.Release(s.all)
	}
}

// moveTo sets the number of tokens read, here and on the device.
func (s *Session[T]) moveTo(position int64) {
	s.read, s.ahead, s.dirty = position, false, true
	s.place(position)
}

// place sets the number of tokens read on the device only.
func (s *Session[T]) place(position int64) {
	if s.model.Config.Decoder == nil {
		return
	}
	positions := make([]uint32, s.batch)
	for i := range positions {
		positions[i] = uint32(position)
	}
	s.model.Backend.WriteTokens(s.home.position, s.slot, positions)
}

// ErrContext is returned when a session of a model with attention has no room for the tokens.
var ErrContext = errors.New("the context is too short")

// Left returns how many more tokens there is room for, math.MaxInt64 where there is no limit.
func (s *Session[T]) Left() int64 {
	if capacity := s.model.Config.Capacity(); capacity > 0 {
		return int64(capacity) - s.read
	}
	return math.MaxInt64
}

// NoRoom returns an [ErrContext]: `tokens` tokens were to be read after `behind` others, and there is room for left.
func NoRoom(tokens int, behind, left int64) error {
	if behind == 0 {
		return fmt.Errorf("%w: got %d tokens, want %d at most", ErrContext, tokens, left)
	}
	return fmt.Errorf("%w: got %d tokens behind %d, want %d at most in all", ErrContext, tokens, behind, behind+left)
}

// room returns an error if there is no room for `tokens` more tokens.
func (s *Session[T]) room(tokens int) error {
	if left := s.Left(); int64(tokens) > left {
		return NoRoom(tokens, s.read, left)
	}
	return nil
}

// Observe makes every pass call f after each block, with the layer that remembers; the next block overwrites the layer's
// rows. f may run programs that read its tensors. A nil f ends it.
func (s *Session[T]) Observe(f func(block int, m layer.Memory[T])) { s.observe = f }

// Position returns how many tokens each sequence has read since its memory was empty.
func (s *Session[T]) Position() int64 { return s.read }

// Forward reads tokens (B, T) into the memory and predicts what follows. The error is [ErrContext], or one of the backend.
func (s *Session[T]) Forward(tokens []uint32) error {
	time := len(tokens) / s.batch
	if time == 0 {
		return nil
	}
	if err := s.room(time); err != nil {
		return err
	}
	body := time
	if s.batch > 1 { // the rows of the last tokens are neighbours only in a pass of their own
		body = time - 1
	}
	err := s.pieces(tokens, time, 0, body, func(from, n int) error {
		key := s.reading(n)
		if s.batch == 1 && from+n == time {
			key.from, key.m = n-1, 1
		}
		return s.run(key)
	})
	if err == nil && s.batch > 1 {
		err = s.pieces(tokens, time, body, time, func(_, n int) error {
			key := s.reading(n)
			key.m = s.batch
			return s.run(key)
		})
	}
	if err != nil {
		return err
	}
	s.remember(tokens, time)
	s.ahead, s.dirty = false, true
	s.model.Backend.Submit()
	return nil
}

// reading returns the key of a pass over n tokens per sequence.
func (s *Session[T]) reading(n int) passKey {
	return passKey{rows: n * s.batch, blocks: true, observed: s.observe != nil}
}

// ForwardAll is Forward for the only sequence, and passes the logits (m, V) that follow token from, from+1, … to visit, a few
// rows at a time. visit must not keep the slice. The error is [ErrContext] before anything is read, the error of visit, or a
// [NotFiniteError] for rows that visit does not get to see; the last two end the reading, at most one pass later.
func (s *Session[T]) ForwardAll(tokens []uint32, visit func(from int, logits []float32) error) error {
	if s.batch != 1 {
		panic("nn: ForwardAll is for a batch of one")
	}
	if err := s.room(len(tokens)); err != nil {
		return err
	}
	b, V := s.model.Backend, s.model.Config.Vocab
	if s.allRow == 0 {
		const room = 32 << 20 // bytes of logits at once
		s.allRow = min(max(room/(4*V), 1), s.rows)
		s.all = b.New(op.F32, s.allRow, V)
	}
	host := make([]float32, s.allRow*V)
	read := 0
	err := s.pieces(tokens, len(tokens), 0, len(tokens), func(from, n int) error {
		read = from + n
		if err := s.run(s.reading(n)); err != nil {
			return err
		}
		for r := 0; r < n; r += s.allRow {
			m := min(s.allRow, n-r)
			rows := host[:m*V]
			err := s.run(passKey{rows: n, from: r, m: m, all: true})
			if err == nil {
				err = b.Download(s.all, 0, rows)
			}
			if i := op.FirstNotFinite(rows); err == nil && i >= 0 {
				err = Spoilt(s.scan, s.read+int64(from), r+i/V, n)
			}
			if err == nil {
				err = visit(from+r, rows)
			}
			if err != nil {
				s.run(passKey{rows: n, from: n - 1, m: 1}) // the tokens are in the memory already, and the first error is the one to report
				return err
			}
			if r+m == n {
				b.Copy(s.home.logits, s.slot*V, s.all, (m-1)*V, V)
			}
		}
		return nil
	})
	s.remember(tokens[:read], read)
	s.ahead, s.dirty = false, true
	if err == nil {
		s.finite = s.read
	}
	return err
}

// pieces writes tokens[:, from:to] of (B, time) to the workspace, a few columns at a time, and calls read after each piece.
func (s *Session[T]) pieces(tokens []uint32, time, from, to int, read func(from, n int) error) error {
	for ; from < to; from += s.rows {
		n := min(s.rows, to-from)
		for b := range s.batch {
			s.model.Backend.WriteTokens(s.model.work.tokens, b*n, tokens[b*time+from:b*time+from+n])
		}
		s.lastPass = n
		if err := read(from, n); err != nil {
			return err
		}
	}
	return nil
}

// remember records tokens (B, T) as read.
func (s *Session[T]) remember(tokens []uint32, time int) {
	s.read += int64(time)
	for b := range s.batch {
		for _, id := range tokens[b*time+max(0, time-op.RecentWindow) : (b+1)*time] {
			op.Push(s.mirror[b*op.RecentSize:(b+1)*op.RecentSize], id)
		}
	}
}

// Logits waits until the tokens given to Forward have been read, and copies the prediction (B, V) of the next token to dst.
// If a logit is not finite, the error is a [NotFiniteError]. Right after a Forward it names the token at which that began, by
// searching the rows of the last pass.
func (s *Session[T]) Logits(dst []float32) error {
	if err := s.model.Backend.Download(s.home.logits, s.slot*s.model.Config.Vocab, dst); err != nil {
		return err
	}
	if op.FirstNotFinite(dst) >= 0 {
		return s.findNotFinite()
	}
	s.finite = s.read
	return nil
}
