package bitgpu

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/op"
)

// maxChunk limits the tokens that a rule may take at once.
const maxChunk = 4096

// Session is one text with the memory that the model has of it. A session is for one goroutine, but many sessions of a model
// may be used at the same time.
type Session struct {
	model  *Model
	run    runner
	scan   op.Scan
	inUse  bool            // guarded by model.mu
	closed bool            // guarded by model.mu
	ready  bool            // there is a prediction
	logits []float32       // (V) scratch memory for a prediction
	text   *decoder        // what is being written, nil if nothing of it is left over
	wrote  func(id uint32) // called with each token written to the memory; may be nil
	broken error           // the ErrNotFinite that only another memory clears
}

// SessionOption changes how a session reads.
type SessionOption func(c Config, scan *op.Scan) error

// WithRule makes the session read by a rule, "sequential" or "minibatch", taking chunk tokens at once, 0 for the default. The
// sequential rule gives the same result for any chunk. The minibatch rule is the one that our first models were trained with,
// and is there to compare with.
func WithRule(rule string, chunk int) SessionOption {
	return func(c Config, scan *op.Scan) error {
		if c.Decoder != nil && (rule != nn.RuleSequential || chunk != 0) {
			return fmt.Errorf("%w: rule: got %q by %d tokens, want none: a model of the family %s does not learn by a rule", ErrOption, rule, chunk, c.Decoder.Family)
		}
		if chunk < 0 || chunk > maxChunk {
			return fmt.Errorf("%w: chunk: got %d, want 0 to %d", ErrOption, chunk, maxChunk)
		}
		switch {
		case rule == nn.RuleMinibatch && !slices.Contains(c.Rules(), rule):
			return fmt.Errorf("%w: rule: the %s mixer knows the %q rule only", ErrOption, c.Mixer, c.Rules()[0])
		case rule == nn.RuleMinibatch:
			scan.Minibatch, scan.Chunk = true, c.Chunk
		case rule != nn.RuleSequential:
			return fmt.Errorf("%w: rule: got %q, want %q or %q", ErrOption, rule, nn.RuleSequential, nn.RuleMinibatch)
		}
		if chunk > 0 {
			scan.Chunk = chunk
		}
		return nil
	}
}

// NewSession begins a text with an empty memory. Close it to free its memory at once. The error is [ErrOption], [ErrClosed],
// or says that there is not enough memory.
func (m *Model) NewSession(opts ...SessionOption) (*Session, error) {
	scan := m.config.DefaultScan()
	for _, set := range opts {
		if err := set(m.config, &scan); err != nil {
			return nil, err
		}
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	r, err := m.engine.newSession(scan)
	if err != nil {
		return nil, err
	}
	return &Session{model: m, run: r, scan: scan, logits: make([]float32, m.config.Vocab)}, nil
}

// work calls f with the engine locked, except while f yields.
func (s *Session) work(f func() error) error {
	if err := s.model.enter(); err != nil {
		return err
	}
	defer s.model.leave()
	if s.closed {
		return ErrClosed
	}
	if s.inUse {
		return ErrBusy
	}
	s.inUse = true
	defer func() { s.inUse = false }()
	return f()
}

// predict is work that continues from the last prediction. After an [ErrNotFinite] there is none.
func (s *Session) predict(f func() error) error {
	return s.work(func() error {
		if s.broken != nil {
			return fmt.Errorf("%w; the session can only be reset, or be given another memory", s.broken)
		}
		err := f()
		if errors.Is(err, ErrNotFinite) {
			s.broken = err
		}
		return err
	})
}

// Close frees the session's memory. While the session is at work the error is [ErrBusy].
func (s *Session) Close() error {
	err := s.work(func() error {
		s.run.Close()
		s.closed = true
		return nil
	})
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// Model returns the session's model.
func (s *Session) Model() *Model { return s.model }

// Position returns how many tokens the session has read and written since its memory was empty.
func (s *Session) Position() int64 {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	return s.run.Position()
}

// Forward reads tokens into the memory and returns the logits (V) of the token after the last. For an empty list these are
// the logits after what was read before. Logits that are not finite are [ErrNotFinite]; other errors are [ErrTokenRange],
// [ErrContext], [ErrEmptyPrompt], [ErrBusy] and [ErrClosed].
func (s *Session) Forward(tokens []uint32) (logits []float32, err error) {
	err = s.predict(func() error {
		switch {
		case len(tokens) > 0:
			err = s.read(context.Background(), tokens)
		case !s.ready:
			err = ErrEmptyPrompt
		default:
			err = s.run.Logits(s.logits)
		}
		if err == nil {
			logits = slices.Clone(s.logits)
		}
		return err
	})
	return logits, err
}

// ForwardAll reads tokens into the memory and passes the logits (m, V) after token from, from+1, … to visit, a few rows at a
// time. visit must not keep the slice or use the model; its error ends the reading, when the memory may hold a few more
// tokens than were passed. Logits that are not finite are not passed, and are [ErrNotFinite]; other errors are
// [ErrTokenRange], [ErrContext], [ErrBusy] and [ErrClosed].
func (s *Session) ForwardAll(tokens []uint32, visit func(from int, logits []float32) error) error {
	return s.predict(func() error {
		if err := s.model.checkTokens(tokens); err != nil {
			return err
		}
		if len(tokens) > 0 {
			s.ready, s.text = true, nil
		}
		return s.run.ForwardAll(tokens, visit)
	})
}

// Learn reads text into the memory without answering, and returns how many tokens it read. If ctx is cancelled, reading
// stops, the memory keeps what was read so far, and the error is that of ctx. Other errors are [ErrNoTokenizer],
// [ErrTokenRange], [ErrContext], [ErrNotFinite], [ErrBusy] and [ErrClosed].
func (s *Session) Learn(ctx context.Context, text string) (tokens int, err error) {
	err = s.predict(func() error {
		ids, err := s.model.Encode(text, s.run.Position() == 0)
		if err != nil {
			return err
		}
		before := s.run.Position()
		err = s.read(ctx, ids)
		tokens = int(s.run.Position() - before)
		return err
	})
	return tokens, err
}

// read reads tokens piece by piece; between pieces other sessions can run and the context is checked. Afterwards logits has
// the prediction.
func (s *Session) read(ctx context.Context, tokens []uint32) error {
	if err := s.model.checkTokens(tokens); err != nil {
		return err
	}
	if err := s.room(len(tokens)); err != nil { // before hours are spent on the first ones
		return err
	}
	empty := s.run.Position() == 0
	err := s.readPieces(ctx, tokens)
	var found *NotFiniteError
	if empty && errors.As(err, &found) && found.From < found.To {
		err = s.locate(tokens, err)
	}
	return err
}

// locate reads the tokens again with an empty memory and checks each one, because err only says roughly where it happened.
func (s *Session) locate(tokens []uint32, err error) error {
	again, failed := s.model.engine.newSession(s.scan)
	if failed != nil {
		return err
	}
	defer again.Close()
	if at := again.ForwardAll(tokens, func(int, []float32) error { return nil }); errors.Is(at, ErrNotFinite) {
		return at
	}
	return err
}

func (s *Session) readPieces(ctx context.Context, tokens []uint32) error {
	piece := s.model.piece
	if s.scan.Minibatch { // a chunk of the minibatch rule must not be cut
		piece = max(piece/s.scan.Chunk, 1) * s.scan.Chunk
	}
	for len(tokens) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(piece, len(tokens))
		if err := s.run.Forward(tokens[:n]); err != nil {
			return err
		}
		s.ready, s.text = true, nil
		tokens = tokens[n:]
		if s.model.place.backend == CPU || len(tokens) == 0 { // avoids waiting for a GPU on the way
			if err := s.run.Logits(s.logits); err != nil {
				return err
			}
		}
		if len(tokens) == 0 { // the caller goes on at once, without waiting for a step of the others
			return nil
		}
		if err := s.model.yield(func() {}); err != nil {
			return err
		}
	}
	return nil
}

// Reset forgets everything that was read. The error is [ErrBusy] or [ErrClosed].
func (s *Session) Reset() error {
	return s.work(func() error {
		s.run.Reset()
		s.ready, s.text, s.broken = false, nil, nil
		return nil
	})
}

// Fork makes a session with the same memory that continues independently. The error is [ErrNotFinite], [ErrBusy],
// [ErrClosed], or says that there is not enough memory.
func (s *Session) Fork() (*Session, error) {
	f := &Session{model: s.model, scan: s.scan, logits: make([]float32, len(s.logits))}
	err := s.predict(func() error {
		var err error
		f.run, err = s.run.fork()
		if f.ready = s.ready; s.text != nil {
			f.text = s.text.clone()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// States copies what a session of a public family remembers: keys, values and the states of the gated delta rule. Our own
// models have [Session.Memory] instead, and the error is [ErrOption]; other errors are [ErrBusy] and [ErrClosed].
func (s *Session) States() (states []nn.StateTensor, err error) {
	err = s.work(func() error {
		if s.model.config.Decoder == nil {
			return fmt.Errorf("%w: states: got one of our own models, want one of a public family: this one has a memory", ErrOption)
		}
		states, err = s.run.States()
		return err
	})
	return states, err
}

// Left returns how many more tokens the session has room for, math.MaxInt64 if there is no limit.
func (s *Session) Left() int64 {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	return s.run.Left()
}

// CheckRoom returns [ErrContext] if the session has no room for that many tokens. It is for callers that read a text in
// pieces.
func (s *Session) CheckRoom(tokens int) error {
	s.model.mu.Lock()
	defer s.model.mu.Unlock()
	return s.room(tokens)
}

func (s *Session) room(tokens int) error {
	if left := s.run.Left(); int64(tokens) > left {
		return nn.NoRoom(tokens, s.run.Position(), left)
	}
	return nil
}
