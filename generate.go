package bitgpu

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"bitgpu/nn/op"
)

// Options says how to write text. The zero value writes nothing: set MaxTokens.
type Options struct {
	MaxTokens     int      // 0 only reads the prompt
	Temperature   float64  // 0 always takes the most probable token
	TopK          int      // consider only the k most probable, 0 for all
	TopP          float64  // consider only the most probable that together reach p, 0 or 1 for all
	MinP          float64  // consider only those at least p times as probable as the most probable, 0 for all
	RepeatPenalty float64  // makes the last 64 tokens less probable, 0 or 1 for no penalty
	Seed          uint64   // the same seed gives the same text, on every backend
	Stop          []string // the text ends before the first of these
}

// Validate returns nil, or an [ErrOption] that says in one sentence which option is out of range.
func (o Options) Validate() error {
	_, err := o.sampling()
	return err
}

func (o Options) sampling() (op.Sampling, error) {
	p := op.Sampling{
		Temperature: float32(o.Temperature), TopK: o.TopK, TopP: narrow(o.TopP), MinP: float32(o.MinP),
		RepeatPenalty: narrow(o.RepeatPenalty), Seed: o.Seed,
	}
	err := p.Validate()
	switch {
	case err != nil:
	case o.MaxTokens < 0:
		err = fmt.Errorf("max-tokens: got %d, want 0 or more", o.MaxTokens)
	case slices.Contains(o.Stop, ""):
		err = fmt.Errorf("stop: got an empty text")
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrOption, err)
	}
	return p, nil
}

// narrow makes a float32 of a number that means "off" if it is 0; what is smaller than float32 holds does not become 0.
func narrow(x float64) float32 {
	const least = 0x1p-126 // GPUs may take smaller ones for 0
	if x != 0 && math.Abs(x) < least {
		return float32(math.Copysign(least, x))
	}
	return float32(x)
}

// Reason is why a text ended.
type Reason string

// The reasons.
const (
	EndLength    Reason = "length"    // MaxTokens were written
	EndOfText    Reason = "end"       // the model ended the text
	EndContext   Reason = "context"   // the session has no more room
	EndStop      Reason = "stop"      // a stop text occurred
	EndRefused   Reason = "refused"   // the caller asked to stop
	EndCancelled Reason = "cancelled" // the context was cancelled; the error is the context's
)

// Result describes a completion.
type Result struct {
	Reason       Reason
	PromptTokens int           // read
	Tokens       int           // written
	PromptTime   time.Duration // to read the prompt
	TextTime     time.Duration // to write the text
}

// StreamCompletion continues prompt in a session of its own and calls token with each piece of text, in whole characters, as
// soon as it is certain; when token returns false, the text ends. Each call uses another seed. Errors are those of
// [Session.Stream].
func (m *Model) StreamCompletion(ctx context.Context, prompt string, maxTokens int, temperature float64, token func(token string) bool) error {
	_, err := m.Stream(ctx, prompt, Options{MaxTokens: maxTokens, Temperature: temperature, Seed: rand.Uint64()}, token)
	return err
}

// Stream continues prompt in a session of its own. See [Session.Stream], also for errors.
func (m *Model) Stream(ctx context.Context, prompt string, o Options, text func(string) bool) (Result, error) {
	s, err := m.NewSession()
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	return s.Stream(ctx, prompt, o, text)
}

// Generate continues prompt in a session of its own and returns the text, without the prompt. On an error, which is one of
// [Session.Stream], it returns what was written before.
func (m *Model) Generate(ctx context.Context, prompt string, o Options) (string, error) {
	s, err := m.NewSession()
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.Generate(ctx, prompt, o)
}

// Generate reads prompt and returns the text that follows, without the prompt. On an error, which is one of [Session.Stream],
// it returns what was written before.
func (s *Session) Generate(ctx context.Context, prompt string, o Options) (string, error) {
	var all strings.Builder
	_, err := s.Stream(ctx, prompt, o, func(text string) bool {
		all.WriteString(text)
		return true
	})
	return all.String(), err
}

// Stream reads prompt and calls text with each piece of what follows, in whole characters, as soon as it is certain. An empty
// prompt continues from what was read before, and is [ErrEmptyPrompt] if nothing was.
//
// The text ends after MaxTokens, when the model's context is full, at the model's end-of-text token, before a stop text, when
// text returns false, or with the context's error. The memory then holds the prompt and the tokens up to the one with which
// the text ended; that one is included only if it was the last of MaxTokens. If a character is incomplete at the end, its
// rest comes with the next empty prompt. While text runs, other sessions of the model can run.
//
// A prediction that is not finite ends the text with [ErrNotFinite]. Other errors are [ErrOption], [ErrNoTokenizer],
// [ErrTokenRange] if the tokenizer has more tokens than the model, [ErrContext] for a prompt that does not fit, [ErrBusy] and
// [ErrClosed].
func (s *Session) Stream(ctx context.Context, prompt string, o Options, text func(string) bool) (Result, error) {
	var r Result
	p, err := o.sampling()
	if err != nil {
		return r, err
	}
	err = s.predict(func() error { return s.stream(ctx, prompt, o, p, text, &r) })
	return r, err
}

func (s *Session) stream(ctx context.Context, prompt string, o Options, p op.Sampling, text func(string) bool, r *Result) error {
	start := time.Now()
	if err := ctx.Err(); err != nil {
		r.Reason = EndCancelled
		return err
	}
	if s.model.tok == nil {
		return s.model.noTokenizer()
	}
	if prompt != "" {
		ids, err := s.model.tok.Encode(prompt, s.run.Position() == 0)
		if err != nil {
			return err
		}
		r.PromptTokens = len(ids)
		if err := s.read(ctx, ids); err != nil {
			if ctx.Err() != nil {
				r.Reason = EndCancelled
			}
			return err
		}
	}
	return s.complete(ctx, start, o, p, text, r)
}

// complete writes the text that follows what has been read. start is when reading began.
func (s *Session) complete(ctx context.Context, start time.Time, o Options, p op.Sampling, text func(string) bool, r *Result) error {
	if !s.ready {
		return ErrEmptyPrompt
	}
	r.PromptTime = time.Since(start)
	start = time.Now()
	err := s.write(ctx, o, func(accept func([]uint32) bool) error { return s.generate(o.MaxTokens, p, accept) },
		func(_ uint32, piece string, _ bool) bool { return piece == "" || text(piece) }, r)
	r.TextTime = time.Since(start)
	return err
}

// write samples tokens and passes each on with its text, and finally the text that was held back.
func (s *Session) write(ctx context.Context, o Options, generate func(accept func([]uint32) bool) error, token func(id uint32, text string, last bool) bool, r *Result) error {
	r.Reason = EndLength
	var failed error
	send := func(id uint32, piece string, last bool) bool {
		more := true
		failed = s.model.hand(func() { more = token(id, piece, last) })
		return more && failed == nil
	}
	if s.text == nil {
		s.text = &decoder{stream: s.model.tok.NewStream(true)}
	}
	ahead, out := s.text.clone(), &stopper{stops: o.Stop}
	ends := s.model.ends
	err := generate(func(ids []uint32) bool {
		switch {
		case ctx.Err() != nil:
			r.Reason, failed = EndCancelled, ctx.Err()
			return false
		case slices.Contains(ends, ids[0]):
			r.Reason = EndOfText
			return false
		}
		r.Tokens++
		piece, stopped := out.next(ahead.next(ids[0]))
		if !send(ids[0], piece, false) {
			r.Reason = EndRefused
			return false
		}
		if stopped {
			r.Reason = EndStop
			return false
		}
		s.text.next(ids[0]) // only now is it in the memory
		if s.wrote != nil {
			s.wrote(ids[0])
		}
		return true
	})
	if err != nil {
		r.Reason = ""
		return err
	}
	if r.Reason == EndLength && r.Tokens < o.MaxTokens {
		r.Reason = EndContext
	}
	if r.Reason == EndLength || r.Reason == EndOfText || r.Reason == EndContext {
		rest, stopped := out.next(s.text.rest())
		if stopped {
			r.Reason = EndStop
		}
		send(0, rest+out.held, true)
	}
	if r.Reason == EndOfText {
		s.text = nil
	}
	return failed
}
