package bitgpu

import (
	"context"
	"slices"
	"time"

	"bitgpu/nn/op"
)

// PieceTokens returns how many tokens a session reads before it lets others use the device: 256, or fewer for a large model on
// the CPU, but at least 64. Texts cut at multiples of it are read with the same rounding as in one call, so what follows is bit
// for bit the same.
func (m *Model) PieceTokens() int { return m.piece }

const (
	mostPiece, leastPiece = 256, 64
	// pieceWork is how many weights times tokens the CPU multiplies before others have their turn: for a model of 1.7 billion
	// weights, two cores that multiply 40 to 400 billion a second take 0.3 to 3 s.
	pieceWork = 128e9
)

// pieceTokens returns Model.PieceTokens for a model with this number of weights. It is a power of two, so that texts cut at
// multiples of the largest piece are also cut at multiples of any smaller one.
func pieceTokens(weights int, backend Backend) int {
	piece := mostPiece
	for backend == CPU && piece > leastPiece && weights*piece > pieceWork {
		piece /= 2
	}
	return piece
}

// Token is a token of a text being written, see [Session.StreamTokens].
type Token struct {
	ID     uint32
	Text   string    // the characters that this token makes certain, and that no stop text can take back
	Logits []float32 // (V) that the token was drawn from, valid during the call; nil after the last token, when Text is the rest
}

// TokenOptions says how to write tokens that the caller looks at one by one.
type TokenOptions struct {
	Options
	// Adjust, if not nil, changes a copy of the logits (V) before a token is drawn from them. written are the tokens of this
	// call so far. If the logits are not finite afterwards, the text ends with [ErrNotFinite]; if Adjust returns an error, it
	// ends with that.
	Adjust func(logits []float32, written []uint32) error
}

// ReadTokens reads tokens into the memory without answering, and returns how many it read: all of them unless there is an
// error. If ctx is cancelled, reading stops and the memory keeps what was read so far; if there is no room for all of them,
// none is read. The error is that of ctx, [ErrTokenRange], [ErrContext], [ErrNotFinite], [ErrBusy] or [ErrClosed].
func (s *Session) ReadTokens(ctx context.Context, tokens []uint32) (read int, err error) {
	err = s.predict(func() error {
		before := s.run.Position()
		err := s.read(ctx, tokens)
		read = int(s.run.Position() - before)
		return err
	})
	return read, err
}

// StreamTokens continues from what was read before, like [Session.Stream] with an empty prompt, and shows each token. The
// logits are copied to the host, which draws by the same rules, so the text is that of Stream except for the rounding of an
// exponential; it is slower if the device would have drawn ahead.
//
// At the end of a text that was not cut off, token is called once more with the text that was held back, and without logits.
// Errors are those of Stream, and of Adjust.
func (s *Session) StreamTokens(ctx context.Context, o TokenOptions, token func(Token) bool) (Result, error) {
	var r Result
	p, err := o.sampling()
	if err != nil {
		return r, err
	}
	err = s.predict(func() error {
		if s.model.tok == nil {
			return s.model.noTokenizer()
		}
		if !s.ready {
			return ErrEmptyPrompt
		}
		start := time.Now()
		defer func() { r.TextTime = time.Since(start) }()
		h := &hostDraw{session: s, adjust: o.Adjust}
		return s.write(ctx, o.Options, func(accept func([]uint32) bool) error { return h.generate(o.MaxTokens, p, accept) },
			func(id uint32, text string, last bool) bool {
				t := Token{ID: id, Text: text, Logits: s.logits}
				if last {
					t.Logits = nil
				}
				return token(t)
			}, &r)
	})
	return r, err
}

// hostDraw draws tokens on the host.
type hostDraw struct {
	session *Session
	adjust  func(logits []float32, written []uint32) error
	written []uint32
}

func (h *hostDraw) generate(limit int, p op.Sampling, accept func(ids []uint32) bool) error {
	s := h.session
	recent := make([]uint32, op.RecentSize)
	for _, id := range s.run.Recent() {
		op.Push(recent, id)
	}
	defer s.model.beginWriting()()
	row, room := make([]float32, len(s.logits)), make([]float32, len(s.logits))
	for range limit {
		if err := s.run.Logits(s.logits); err != nil {
			return err
		}
		copy(row, s.logits)
		if h.adjust != nil {
			if err := h.adjust(row, h.written); err != nil {
				return err
			}
		}
		id := p.Draw(row, recent, room)
		if id == op.NotFinite {
			return &NotFiniteError{From: s.run.Position(), To: s.run.Position()}
		}
		if !accept([]uint32{id}) {
			return nil
		}
		h.written = append(h.written, id)
		if err := s.readToken(id); err != nil {
			return err
		}
	}
	return nil
}

// EndOfText returns the ids that end a text; none without a tokenizer.
func (m *Model) EndOfText() []uint32 {
	return slices.Clone(m.ends)
}

// TokenText returns the text of a single token, including special tokens; part of a character is U+FFFD. The error is
// [ErrNoTokenizer] or [ErrTokenRange].
func (m *Model) TokenText(id uint32) (string, error) {
	if m.tok == nil {
		return "", m.noTokenizer()
	}
	if err := m.checkTokens([]uint32{id}); err != nil {
		return "", err
	}
	return m.tok.Decode([]uint32{id}, false), nil
}

// HasTokenizer reports whether the model accepts text, as opposed to token ids only.
func (m *Model) HasTokenizer() bool { return m.tok != nil }
