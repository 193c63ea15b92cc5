package bitgpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"bitgpu/io/chat"
	"bitgpu/nn/op"
)

// mostMarks limits the places that a chat can go back to if the model has recurrent states besides keys and values. In a
// model with many layers each place takes a few hundred megabytes.
const mostMarks = 4

// chatMark is a boundary between turns that the session can go back to.
type chatMark struct {
	position int
	mark     mark
}

// rendered is a text with its tokens.
type rendered struct {
	text   string
	breaks []int // see chat.RenderGuarded
	ids    []uint32
}

// thoughtTokens are parts of an answer although they are control tokens of some models.
var thoughtTokens = []string{"<think>", "</think>", "<tool_call>", "</tool_call>"}

// answerText decodes an answer: tokens of thoughts and tool calls are shown, other control tokens are not.
func (m *Model) answerText() *decoder {
	shown := map[uint32]bool{}
	for _, token := range thoughtTokens {
		if id, ok := m.tok.ID(token); ok {
			shown[id] = true
		}
	}
	return &decoder{stream: m.tok.NewStream(false), hidden: func(id uint32) bool { return m.tok.IsSpecial(id) && !shown[id] }}
}

// BeginAnswer starts an answer: in what the session writes next, tokens of thoughts and tool calls are shown even if they are
// control tokens, because [chat.AnswerParser] needs them. The session must have read the conversation. The error is
// [ErrNoTokenizer], [ErrBusy] or [ErrClosed].
func (s *Session) BeginAnswer() error {
	if s.model.tok == nil {
		return s.model.noTokenizer()
	}
	return s.work(func() error {
		s.text = s.model.answerText()
		return nil
	})
}

// TokenBytes returns the bytes that each token adds to an answer, which may be part of a character; nil for control tokens
// other than those of thoughts and calls. The error is [ErrNoTokenizer].
func (m *Model) TokenBytes() ([][]byte, error) {
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	return m.tok.Bytes(func(piece string) bool { return slices.Contains(thoughtTokens, piece) }), nil
}

// Answer brings the session to any conversation, reading only the new part, and writes the answer to it. It is for callers
// that keep the messages themselves, such as a server, and does not change the chat's own. See [Chat.Send], also for errors.
func (c *Chat) Answer(ctx context.Context, conversation chat.Conversation, o Options, stream func(chat.Delta) bool) (r Reply, err error) {
	p, err := o.sampling()
	if err != nil {
		return r, err
	}
	if c.broken {
		if err := c.reset(); err != nil {
			return r, err
		}
	}
	prompt, err := c.render(conversation)
	if err != nil {
		return r, err
	}
	border := c.border(conversation, prompt)
	parser := chat.NewAnswerParser(chat.AnswerOptions{Thinking: chat.OpensThought(prompt.text), Tools: conversation.Tools})
	hand := func(parts []chat.Delta) bool {
		for _, d := range parts {
			r.Answer.Reasoning += d.Reasoning
			r.Answer.Content += d.Content
			if d.Call != nil {
				r.Answer.ToolCalls = append(r.Answer.ToolCalls, *d.Call)
			}
			if stream != nil && !stream(d) {
				return false
			}
		}
		return true
	}
	err = c.s.predict(func() error {
		start := time.Now()
		if err := c.bring(ctx, prompt, border, &r); err != nil {
			if ctx.Err() != nil {
				r.Reason = EndCancelled
			}
			return err
		}
		return c.write(ctx, start, prompt, o, p, func(text string) bool { return hand(parser.Add(text)) }, &r.Result)
	})
	if r.Reason == EndRefused {
		stream = nil // it asked to stop
	}
	if err == nil || r.Reason == EndCancelled {
		hand(parser.End())
	}
	known := err == nil || ctx.Err() != nil || errors.Is(err, ErrContext) || errors.Is(err, ErrEmptyPrompt)
	c.broken = c.broken || !known
	return r, err
}

// write writes the text after the prompt, and records what the session then has in its memory.
func (c *Chat) write(ctx context.Context, start time.Time, prompt rendered, o Options, p op.Sampling, text func(string) bool, r *Result) error {
	s, tok := c.s, c.s.model.tok
	if o.MaxTokens == 0 {
		o.MaxTokens = math.MaxInt32
	}
	s.text = s.model.answerText()
	var wrote []uint32
	s.wrote = func(id uint32) { wrote = append(wrote, id) }
	defer func() { s.wrote, s.text = nil, nil }()
	err := s.complete(ctx, start, o, p, text, r)
	c.held = rendered{prompt.text + tok.Decode(wrote, false), prompt.breaks, slices.Concat(prompt.ids, wrote)}
	return err
}

// reset starts again with an empty memory.
func (c *Chat) reset() error {
	err := c.s.work(func() error {
		c.dropMarks(0)
		return nil
	})
	if err == nil {
		err = c.s.Reset()
	}
	if err == nil {
		c.held, c.broken = rendered{}, false
	}
	return err
}

// dropMarks releases the marks after a position.
func (c *Chat) dropMarks(position int) {
	c.marks = slices.DeleteFunc(c.marks, func(m chatMark) bool {
		if m.position > position || position == 0 {
			m.mark.Release()
			return true
		}
		return false
	})
}

// render renders a conversation and encodes it.
func (c *Chat) render(conversation chat.Conversation) (rendered, error) {
	m := c.s.model
	var own *chat.Template
	if c.own {
		own = c.template
	}
	p, err := m.RenderChat(own, conversation)
	if err != nil {
		return rendered{}, fmt.Errorf("%w: %s: %w", ErrTemplate, m.name, err)
	}
	ids, err := c.encode(p.Text, p.breaks)
	if err == nil {
		err = m.checkTokens(ids)
	}
	return rendered{p.Text, p.breaks, ids}, err
}

// encode encodes a rendered conversation. The part that continues from what the session has read keeps its tokens, because a
// model may write a text in other tokens than the tokenizer would choose.
func (c *Chat) encode(text string, breaks []int) ([]uint32, error) {
	tok := c.s.model.tok
	if rest, ok := strings.CutPrefix(text, c.held.text); ok && c.held.text != "" {
		n, _ := slices.BinarySearch(breaks, len(c.held.text))
		if slices.Equal(breaks[:n], c.held.breaks) {
			after := slices.Clone(breaks[n:])
			for i := range after {
				after[i] -= len(c.held.text)
			}
			ids, err := tok.EncodeBroken(rest, after)
			// Some tokenizers put a space before any text.
			last := c.held.ids[len(c.held.ids)-1:]
			if err != nil || tok.Decode(slices.Concat(last, ids), false) == tok.Decode(last, false)+rest {
				return slices.Concat(c.held.ids, ids), err
			}
		}
	}
	ids, err := tok.EncodeBroken(text, breaks)
	if err != nil {
		return nil, err
	}
	return c.s.model.withPrefix(ids), nil
}

// border returns how many tokens of the prompt the next turn will have in any case: all before the beginning of the answer.
// It is 0 if that is unknown, or if the template renders nothing but the beginning of an answer.
func (c *Chat) border(conversation chat.Conversation, prompt rendered) int {
	if c.s.run.Cuts() || !conversation.AddGenerationPrompt {
		return 0
	}
	conversation.AddGenerationPrompt = false
	turns, err := c.render(conversation)
	if err != nil {
		return 0
	}
	return common(prompt.ids, turns.ids)
}

// common returns the length of the common prefix of a and b.
func common(a, b []uint32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// bring makes the session read the new part of a prompt, and forget what is not part of it.
func (c *Chat) bring(ctx context.Context, prompt rendered, border int, r *Reply) error {
	s, ids := c.s, prompt.ids
	if room := s.run.Position() + s.run.Left(); s.run.Left() != math.MaxInt64 && int64(len(ids)) >= room {
		return fmt.Errorf("%w: got a conversation of %d tokens, want fewer than %d", ErrContext, len(ids), room)
	}
	if len(ids) == 0 {
		return ErrEmptyPrompt
	}
	// The last token is read again if necessary, for its prediction.
	c.goBack(min(common(c.held.ids, ids), len(ids)-1), ids)
	r.Kept = len(c.held.ids)
	defer func() {
		n := int(s.run.Position())
		c.held = rendered{ids: slices.Clone(ids[:n])}
		r.PromptTokens = n - r.Kept
	}()
	if border > r.Kept && border < len(ids) {
		if err := s.read(ctx, ids[r.Kept:border]); err != nil {
			return err
		}
		if err := c.note(border); err != nil {
			return err
		}
	}
	return s.read(ctx, ids[s.run.Position():])
}

// goBack makes the session forget what is not among the first n tokens of ids. It may have to forget more.
func (c *Chat) goBack(n int, ids []uint32) {
	s := c.s
	s.text = nil
	switch at := len(c.marks) - 1; {
	case n == len(c.held.ids):
		return
	case s.run.Cuts():
		s.run.Cut(int64(n), ids[max(0, n-op.RecentWindow):n])
	default:
		for at >= 0 && c.marks[at].position > n {
			at--
		}
		n = 0
		if at < 0 {
			s.run.Reset()
		} else {
			n = c.marks[at].position
			s.run.goBack(c.marks[at].mark)
		}
		c.dropMarks(n)
	}
	s.ready = false
	c.held = rendered{ids: c.held.ids[:n]}
}

// note marks the session's current place.
func (c *Chat) note(position int) error {
	m, err := c.s.run.mark()
	if err != nil {
		return err
	}
	if len(c.marks) == mostMarks {
		c.marks[0].mark.Release()
		c.marks = slices.Delete(c.marks, 0, 1)
	}
	c.marks = append(c.marks, chatMark{position, m})
	return nil
}
