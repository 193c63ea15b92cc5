package chat

import "strings"

// ToolCall is a tool call in a model's answer.
type ToolCall struct {
	Name      string
	Arguments Value // an object, or whatever the model wrote instead
}

// Answer is a model's answer, split into its parts.
type Answer struct {
	Reasoning string // inside <think>, without the newlines around it
	Content   string
	ToolCalls []ToolCall
}

// AnswerOptions says how to read an answer.
type AnswerOptions struct {
	Thinking bool  // the prompt ended within a thought: see [OpensThought]
	Tools    Value // the tools offered, whose schemas give types to parameters written as text; or null
}

// OpensThought reports whether a prompt ends inside a thought, so that the answer begins with the rest of that thought.
func OpensThought(prompt string) bool {
	return strings.HasSuffix(strings.TrimRightFunc(prompt, isSpace), thinkOpen)
}

// ParseAnswer splits a complete answer.
func ParseAnswer(text string, o AnswerOptions) Answer {
	var a Answer
	p := NewAnswerParser(o)
	for _, d := range append(p.Add(text), p.End()...) {
		a.Reasoning += d.Reasoning
		a.Content += d.Content
		if d.Call != nil {
			a.ToolCalls = append(a.ToolCalls, *d.Call)
		}
	}
	return a
}

// Delta is a piece of an answer. One of its fields is set.
type Delta struct {
	Reasoning string
	Content   string
	Call      *ToolCall
}

// AnswerParser splits an answer while it is being written. What it returns is final: tags are never returned in part, and
// text that could become one is held back until that is decided.
type AnswerParser struct {
	options AnswerOptions
	state   answerState
	held    string          // read, but not yet returned
	scanned int             // bytes of held, inside a call, that do not contain its end
	begun   bool            // inside a thought: something has been returned
	skip    func(rune) bool // characters to drop before the next content, or nil
}

type answerState byte

const (
	atStart   answerState = iota // nothing read yet: a thought may begin
	inThought                    // after <think>
	inContent
	inCall // after <tool_call> or <function=, which begins held
)

const (
	thinkOpen  = "<think>"
	thinkClose = "</think>"
	callOpen   = "<tool_call>"
	callClose  = "</tool_call>"
	funcOpen   = "<function="
	funcClose  = "</function>"
)

func isNewline(r rune) bool { return r == '\n' }

// NewAnswerParser begins an answer.
func NewAnswerParser(o AnswerOptions) *AnswerParser {
	p := &AnswerParser{options: o, skip: isNewline}
	if o.Thinking {
		p.state = inThought
	}
	return p
}

// Add reads a piece of the answer, which may end between any two characters.
func (p *AnswerParser) Add(piece string) []Delta {
	p.held += piece
	return p.step(false)
}

// End finishes the answer. An incomplete call is returned as content.
func (p *AnswerParser) End() []Delta { return p.step(true) }

func (p *AnswerParser) step(end bool) (out []Delta) {
	for {
		before, state := len(p.held), p.state
		switch p.state {
		case atStart:
			p.start(end)
		case inThought:
			out = p.thought(out, end)
		case inContent:
			out = p.content(out, end)
		case inCall:
			out = p.call(out, end)
		}
		if len(p.held) == before && p.state == state {
			return out
		}
	}
}

// start checks whether the answer begins with a thought.
func (p *AnswerParser) start(end bool) {
	text := strings.TrimLeftFunc(p.held, isSpace)
	switch {
	case strings.HasPrefix(text, thinkOpen):
		p.held, p.state = text[len(thinkOpen):], inThought
	case !end && strings.HasPrefix(thinkOpen, text):
	default:
		p.state = inContent
	}
}

func (p *AnswerParser) thought(out []Delta, end bool) []Delta {
	if !p.begun {
		p.held = strings.TrimLeft(p.held, "\n")
	}
	text, rest, closed := strings.Cut(p.held, thinkClose)
	keep := 0
	if !closed {
		text, rest = p.held, ""
		if !end {
			keep = partial(text, thinkClose)
		}
	}
	// Newlines before </think> are not part of the thought, so hold them back.
	body := text[:len(text)-keep]
	shown := strings.TrimRight(body, "\n")
	if shown != "" {
		out = append(out, Delta{Reasoning: shown})
		p.begun = true
	}
	switch {
	case closed:
		p.held, p.state = rest, inContent
	case end:
		p.held = ""
	default:
		p.held = text[len(shown):]
	}
	return out
}

// content returns text up to the next call.
func (p *AnswerParser) content(out []Delta, end bool) []Delta {
	if p.skip != nil {
		p.held = strings.TrimLeftFunc(p.held, p.skip)
	}
	at, keep := len(p.held), 0
	found := false
	for _, tag := range p.callTags() {
		if i := strings.Index(p.held[:min(at+len(tag), len(p.held))], tag); i >= 0 && i < at {
			at, found = i, true
		}
	}
	if !found && !end {
		for _, tag := range p.callTags() {
			keep = max(keep, partial(p.held, tag))
		}
	}
	body := p.held[:at-keep]
	shown := body
	if found || !end { // white space before a call is not part of the content, so hold it back
		shown = strings.TrimRightFunc(body, isSpace)
	}
	if shown != "" {
		out = append(out, Delta{Content: shown})
		p.skip = nil
	}
	switch {
	case found:
		p.held, p.state, p.scanned = p.held[at:], inCall, 0
	default:
		p.held = p.held[len(shown):]
	}
	return out
}

func (p *AnswerParser) callTags() []string {
	if p.options.Tools.IsNull() {
		return []string{callOpen}
	}
	return []string{callOpen, funcOpen}
}

// partial returns the length of the longest suffix of s that is a prefix of tag.
func partial(s, tag string) int {
	for n := min(len(s), len(tag)-1); n > 0; n-- {
		if strings.HasSuffix(s, tag[:n]) {
			return n
		}
	}
	return 0
}

// call waits for the end of a call and parses it. What turns out not to be a call is content.
func (p *AnswerParser) call(out []Delta, end bool) []Delta {
	wrapped := strings.HasPrefix(p.held, callOpen)
	closing := funcClose
	if wrapped {
		closing = callClose
	}
	for {
		i := strings.Index(p.held[p.scanned:], closing)
		if i < 0 {
			break
		}
		stop := p.scanned + i
		body, after := p.held[:stop+len(closing)], stop+len(closing)
		if wrapped {
			body = p.held[len(callOpen):stop]
		}
		call, complete := p.readCall(body)
		if call == nil && !complete { // the closing tag is inside a string of the call
			p.scanned = after
			continue
		}
		if call == nil {
			return p.asContent(out, after)
		}
		p.held, p.state, p.skip = p.held[after:], inContent, isSpace
		return append(out, Delta{Call: call})
	}
	if !end {
		p.scanned = max(p.scanned, len(p.held)-len(closing)+1)
		return out
	}
	if call, _ := p.readCall(strings.TrimPrefix(p.held, callOpen)); call != nil {
		p.held, p.state = "", inContent
		return append(out, Delta{Call: call})
	}
	return p.asContent(out, len(p.held))
}

func (p *AnswerParser) asContent(out []Delta, n int) []Delta {
	out = append(out, Delta{Content: p.held[:n]})
	p.held, p.state, p.skip = p.held[n:], inContent, nil
	return out
}
