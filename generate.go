package bitgpu

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bitgpu/nn"
)

// Options say how text is written. The zero value writes nothing: give MaxTokens.
type Options struct {
	MaxTokens     int      // 0 reads the prompt only
	Temperature   float64  // 0 takes the most probable token each time
	TopK          int      // only the k most probable, 0 for all
	TopP          float64  // only the most probable that together reach p, 0 or 1 for all
	MinP          float64  // only those at least p times as probable as the most probable, 0 for all
	RepeatPenalty float64  // lowers what was among the last 64 tokens, 0 or 1 for not
	Seed          uint64   // the same seed, the same text, on every backend
	Stop          []string // the text ends before the first of these
}

// Validate says in one sentence which option is out of its range, as [ErrOption].
func (o Options) Validate() error {
	_, err := o.sampling()
	return err
}

func (o Options) sampling() (nn.Sampling, error) {
	p := nn.Sampling{
		Temperature: float32(o.Temperature), TopK: o.TopK, TopP: float32(o.TopP), MinP: float32(o.MinP),
		RepeatPenalty: float32(o.RepeatPenalty), Seed: o.Seed,
	}
	err := p.Validate()
	switch {
	case err != nil:
	case o.MaxTokens < 0:
		err = fmt.Errorf("max-tokens: 0 or more wanted, %d found", o.MaxTokens)
	case slices.Contains(o.Stop, ""):
		err = fmt.Errorf("stop: a text wanted, an empty one found")
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrOption, err)
	}
	return p, nil
}

// Reason says why a text ended.
type Reason string

// The reasons.
const (
	EndLength    Reason = "length"    // MaxTokens were written
	EndOfText    Reason = "end"       // the model ended the text
	EndStop      Reason = "stop"      // a stop text was met
	EndRefused   Reason = "refused"   // the caller wanted no more
	EndCancelled Reason = "cancelled" // the context ended; the error is the context's
)

// Result tells what a completion did.
type Result struct {
	Reason       Reason
	PromptTokens int           // read
	Tokens       int           // written
	PromptTime   time.Duration // to read the prompt
	TextTime     time.Duration // to write the text
}

// StreamCompletion goes on from prompt in a session of its own and calls token with each piece of text, in whole
// characters, as soon as it is certain; when token says no, the text ends. Each call draws another seed.
func (m *Model) StreamCompletion(ctx context.Context, prompt string, maxTokens int, temperature float64, token func(token string) bool) error {
	_, err := m.Stream(ctx, prompt, Options{MaxTokens: maxTokens, Temperature: temperature, Seed: rand.Uint64()}, token)
	return err
}

// Stream goes on from prompt in a session of its own. See [Session.Stream].
func (m *Model) Stream(ctx context.Context, prompt string, o Options, text func(string) bool) (Result, error) {
	s, err := m.NewSession()
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	return s.Stream(ctx, prompt, o, text)
}

// Generate goes on from prompt in a session of its own and returns the text, without the prompt. On an error it
// returns what was written before.
func (m *Model) Generate(ctx context.Context, prompt string, o Options) (string, error) {
	s, err := m.NewSession()
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.Generate(ctx, prompt, o)
}

// Generate reads prompt and returns the text that follows, without the prompt. On an error it returns what was written
// before.
func (s *Session) Generate(ctx context.Context, prompt string, o Options) (string, error) {
	var all strings.Builder
	_, err := s.Stream(ctx, prompt, o, func(text string) bool {
		all.WriteString(text)
		return true
	})
	return all.String(), err
}

// Stream reads prompt and calls text with each piece of what follows, in whole characters, as soon as it is certain.
// An empty prompt goes on from what was read before, and is [ErrEmptyPrompt] where there is nothing.
//
// The text ends after MaxTokens, at the model's end-of-text token, before a stop text, when text returns false, or with
// the context's error. The memory then holds the prompt and the tokens up to the one with which the text ended: that
// one itself only where it was the last of MaxTokens. While text runs, other sessions of the model have their turn.
func (s *Session) Stream(ctx context.Context, prompt string, o Options, text func(string) bool) (Result, error) {
	var r Result
	p, err := o.sampling()
	if err != nil {
		return r, err
	}
	err = s.work(func() error { return s.stream(ctx, prompt, o, p, text, &r) })
	return r, err
}

func (s *Session) stream(ctx context.Context, prompt string, o Options, p nn.Sampling, text func(string) bool, r *Result) error {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		r.Reason = EndCancelled
		return err
	}
	if s.model.tok == nil {
		return s.model.noTokenizer()
	}
	if prompt != "" {
		s.cut = false
		ids := s.model.tok.Encode(prompt, s.run.Position() == 0)
		r.PromptTokens = len(ids)
		if err := s.read(ctx, ids); err != nil {
			if ctx.Err() != nil {
				r.Reason = EndCancelled
			}
			return err
		}
	}
	if !s.ready {
		return ErrEmptyPrompt
	}
	if s.model.place.backend == GPU { // reading only records; wait, so that the times below are true
		if err := s.run.Logits(make([]float32, s.model.config.Vocab)); err != nil {
			return err
		}
	}
	r.PromptTime = time.Since(start)
	start = time.Now()
	err := s.write(ctx, o, p, text, r)
	r.TextTime = time.Since(start)
	return err
}

// write samples tokens and hands on their text.
func (s *Session) write(ctx context.Context, o Options, p nn.Sampling, text func(string) bool, r *Result) error {
	r.Reason = EndLength
	var failed error
	send := func(piece string) bool {
		if piece == "" {
			return true
		}
		more := true
		failed = s.model.yield(func() { more = text(piece) })
		return more && failed == nil
	}
	out := &writer{stream: s.model.tok.NewStream(true), stops: o.Stop, afterCut: s.cut}
	ends := s.model.tok.EndOfText()
	err := s.run.Generate(o.MaxTokens, p, func(ids []uint32) bool {
		switch {
		case ctx.Err() != nil:
			r.Reason, failed = EndCancelled, ctx.Err()
			return false
		case slices.Contains(ends, ids[0]):
			r.Reason = EndOfText
			return false
		}
		r.Tokens++
		piece, stopped := out.next(ids[0])
		if !send(piece) {
			r.Reason = EndRefused
			return false
		}
		if stopped {
			r.Reason = EndStop
			return false
		}
		return true
	})
	if err != nil {
		return err
	}
	if r.Reason == EndLength || r.Reason == EndOfText {
		var rest string
		rest, s.cut = out.flush()
		send(rest)
	}
	return failed
}

// writer turns tokens into text that may leave: whole characters, and nothing that a stop text may begin with.
type writer struct {
	stream interface {
		Next(id uint32) string
		Flush() string
	}
	stops    []string
	held     string // may be the beginning of a stop text
	afterCut bool   // the text begins with the rest of a character that was cut
}

// next is the text that is certain with one more token, and whether a stop text ended it.
func (w *writer) next(id uint32) (text string, stopped bool) { return w.add(w.stream.Next(id)) }

func (w *writer) add(piece string) (text string, stopped bool) {
	if w.afterCut && piece != "" {
		piece = strings.TrimLeft(piece, "\ufffd")
		w.afterCut = false
	}
	w.held += piece
	end := len(w.held)
	for _, stop := range w.stops {
		if i := strings.Index(w.held, stop); i >= 0 && i < end {
			end, stopped = i, true
		}
	}
	if stopped {
		text, w.held = w.held[:end], ""
		return text, true
	}
	keep := 0
	for _, stop := range w.stops {
		for n := min(len(stop)-1, len(w.held)); n > keep; n-- {
			if strings.HasSuffix(w.held, stop[:n]) {
				keep = n
			}
		}
	}
	text, w.held = w.held[:len(w.held)-keep], w.held[len(w.held)-keep:]
	return text, false
}

// flush is the rest at the end of the text, and whether it ended inside a character, which is then left out.
func (w *writer) flush() (text string, cut bool) {
	rest := w.stream.Flush()
	whole := strings.TrimRight(rest, "\ufffd")
	text, stopped := w.add(whole)
	if !stopped {
		text += w.held
	}
	return text, whole != rest
}
