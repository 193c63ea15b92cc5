package nn

import (
	"errors"
	"fmt"
	"math"

	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// prefillRows is how many rows a session computes at once when it reads.
const prefillRows = 256

// Session reads tokens into a memory of its own and writes tokens from it. Several sessions share
// one model; a session is for one goroutine, and sessions of one backend take turns.
type Session[T any] struct {
	model     *Model[T]
	home      *Batch[T] // where its sequences are
	slot      int       // of the first of them there
	id        int       // of all sessions of the model
	batch     int
	scan      op.Scan
	rows      int            // of one pass, a sequence
	all       T              // (m, V) logits of several rows, made when they are asked for
	allRow    int            // m
	next      T              // (B) the sampled tokens, input of the next step
	out       T              // (B, K) sampled tokens until they are read
	mirror    []uint32       // (B, op.RecentSize) recent as the host knows it
	hostRules []uint32       // (B, RulesSize)
	ids       []uint32       // (B, K) what was read of out
	row       []uint32       // (B) one step of ids
	drawn     int            // tokens since Start that are in the memory or in row
	dirty     bool           // the device's recent tokens are not those of mirror, or were counted otherwise
	saved     [2]snapshot[T] // before each batch of tokens in flight
	read      int64          // tokens read since the start, a sequence
	finite    int64          // the last of them behind which the prediction is known to be finite

	ahead      bool // a pass over several sessions has drawn the next token already:
	drawnAhead uint32

	lastPass int // tokens a sequence of the last pass, 0 where its rows have gone

	observe func(block int, m layer.Memory[T]) // or nil
	closed  bool
}

// NewSession starts sequences from an empty memory; batch is their number. scan is the rule by which they read:
// Config.DefaultScan except to compare with another.
func (m *Model[T]) NewSession(batch int, scan op.Scan) (*Session[T], error) {
	h := &Batch[T]{model: m, scan: scan, fixed: true, known: map[passKey]*pass[T]{}}
	if err := h.resize(batch); err != nil {
		return nil, fmt.Errorf("making a session: %w", err)
	}
	return h.begin(0, batch)
}

// newSession makes what a session has of its own beside its slots.
func newSession[T any](c Config, m op.Tensors[T], batch int, scan op.Scan) *Session[T] {
	s := &Session[T]{batch: batch, scan: scan}
	s.rows = max(prefillRows/batch, 1)
	if scan.Minibatch { // a pass must end where a chunk ends
		s.rows = max(s.rows/scan.Chunk, 1) * scan.Chunk
	}
	k := m.Lookahead()
	s.next, s.out = m.New(op.U32, batch), m.New(op.U32, batch, k)
	s.mirror, s.hostRules = make([]uint32, batch*op.RecentSize), make([]uint32, batch*op.RulesSize)
	s.ids, s.row = make([]uint32, batch*k), make([]uint32, batch)
	return s
}

// Close gives the session's memory back. Closing twice does nothing.
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

// moveTo sets how many tokens count as read, here and on the device.
func (s *Session[T]) moveTo(position int64) {
	s.read, s.ahead, s.dirty = position, false, true
	s.place(position)
}

// place sets how many tokens count as read on the device alone.
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

// Left is how many tokens there is room for, math.MaxInt64 where there is no limit.
func (s *Session[T]) Left() int64 {
	if capacity := s.model.Config.Capacity(); capacity > 0 {
		return int64(capacity) - s.read
	}
	return math.MaxInt64
}

// NoRoom is an [ErrContext]: tokens are to be read behind others, and there is room for left of them.
func NoRoom(tokens int, behind, left int64) error {
	if behind == 0 {
		return fmt.Errorf("%w: got %d tokens, want %d at most", ErrContext, tokens, left)
	}
	return fmt.Errorf("%w: got %d tokens behind %d, want %d at most in all", ErrContext, tokens, behind, behind+left)
}

// room refuses to read more tokens than there is room for.
func (s *Session[T]) room(tokens int) error {
	if left := s.Left(); int64(tokens) > left {
		return NoRoom(tokens, s.read, left)
	}
	return nil
}

// Observe has f called whenever a block has been run, with the layer that remembers; the next block overwrites what it
// computed in. f may run programs that read its tensors; nil ends it.
func (s *Session[T]) Observe(f func(block int, m layer.Memory[T])) { s.observe = f }

// Position is how many tokens each sequence has read since its memory was empty.
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
	if s.batch > 1 { // the rows of the last tokens lie apart unless a pass holds nothing else
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

// reading is a pass over n tokens a sequence.
func (s *Session[T]) reading(n int) passKey {
	return passKey{rows: n * s.batch, blocks: true, observed: s.observe != nil}
}

// ForwardAll is Forward, and shows the logits (m, V) that follow token from, from+1, … of the only
// sequence, a few rows at a time. visit must not keep the slice. The error is [ErrContext] before anything is
// read, that of visit, or a [NotFiniteError] for rows that visit then does not see; either of the last two ends
// the reading, at most a pass later.
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
				s.run(passKey{rows: n, from: n - 1, m: 1}) // the memory is there already; the first error is the one to tell
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

// pieces writes tokens[:, from:to] of (B, time) into the workspace, a few columns at a time, and has each read.
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

// remember notes tokens (B, T) as read.
func (s *Session[T]) remember(tokens []uint32, time int) {
	s.read += int64(time)
	for b := range s.batch {
		for _, id := range tokens[b*time+max(0, time-op.RecentWindow) : (b+1)*time] {
			op.Push(s.mirror[b*op.RecentSize:(b+1)*op.RecentSize], id)
		}
	}
}

// Logits waits until the tokens given to Forward are read, and copies the prediction (B, V) of the next token
// to dst. Where a logit is not finite, the error is a [NotFiniteError]. Right after a Forward it looks among
// the rows of the last pass, which are still there, for the token at which that began.
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
