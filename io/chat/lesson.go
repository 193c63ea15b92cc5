package chat

import (
	"errors"
	"fmt"
	"strings"
)

// ParseRecord reads a conversation from a line of chat data in one of two forms: OpenAI's, {"messages": [{"role", "content"},
// …], "tools": […]}, and ShareGPT's, {"conversations": [{"from", "value"}, …], "system": …}, whose human and gpt become user
// and assistant.
func ParseRecord(line []byte) (Conversation, error) {
	var c Conversation
	v, err := DecodeJSON(line)
	if err != nil {
		return c, err
	}
	record, ok := v.value().(*dict)
	if !ok {
		return c, fmt.Errorf("got %s, want a JSON object", jsonName(v.value()))
	}
	if tools, ok := record.get("tools"); ok {
		c.Tools = Value{tools}
	}
	if messages, ok := record.get("messages"); ok {
		c.Messages = Value{messages}
		return c, checkMessages(messages)
	}
	turns, ok := record.get("conversations")
	if !ok {
		return c, errors.New(`got neither "messages" nor "conversations", want a conversation`)
	}
	l, ok := turns.(*list)
	if !ok {
		return c, fmt.Errorf(`got %s, want an array of "conversations"`, jsonName(turns))
	}
	var all []Value
	if system, ok := record.get("system"); ok && system != value(none) {
		s, ok := text(system)
		if !ok {
			return c, fmt.Errorf(`got "system" as %s, want a text`, jsonName(system))
		}
		if s != "" {
			all = append(all, Message("system", s))
		}
	}
	for i, item := range l.items {
		turn, _ := item.(*dict)
		if turn == nil {
			return c, fmt.Errorf("turn %d: got %s, want an object", i+1, jsonName(item))
		}
		from, _ := turn.get("from")
		said, _ := turn.get("value")
		who, _ := text(from)
		what, ok := text(said)
		role := map[string]string{"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system", "tool": "tool", "observation": "tool"}[who]
		if role == "" {
			got := fmt.Sprintf("%q", who)
			if who == "" {
				got = jsonName(from)
			}
			return c, fmt.Errorf(`turn %d: got "from" %s, want human, gpt, system or tool`, i+1, got)
		}
		if !ok {
			return c, fmt.Errorf(`turn %d: got "value" %s, want a text`, i+1, jsonName(said))
		}
		all = append(all, Message(role, what))
	}
	c.Messages = List(all...)
	return c, checkMessages(c.Messages.value())
}

// checkMessages refuses messages that are not a conversation with an answer.
func checkMessages(v value) error {
	l, ok := v.(*list)
	if !ok {
		return fmt.Errorf("got %s, want an array of messages", jsonName(v))
	}
	answers := 0
	for i, item := range l.items {
		message, _ := item.(*dict)
		if message == nil {
			return fmt.Errorf("message %d: got %s, want an object", i+1, jsonName(item))
		}
		role, ok := message.get("role")
		if !ok {
			return fmt.Errorf("message %d: got no role, want system, user, assistant or tool", i+1)
		}
		if _, ok := text(role); !ok {
			return fmt.Errorf("message %d: got %s as role, want system, user, assistant or tool", i+1, jsonName(role))
		}
		content, _ := message.get("content")
		calls, _ := message.get("tool_calls")
		_, parts := content.(*list)
		_, said := text(content)
		switch {
		case content == nil || content == value(none):
			if calls == nil || calls == value(none) { // a template would write "None"
				return fmt.Errorf("message %d: got no content, want a text, or calls of tools", i+1)
			}
		case !parts && !said: // a template would write Python's representation of it
			return fmt.Errorf("message %d: got %s as content, want a text or an array of parts", i+1, jsonName(content))
		}
		if isAnswer(item) {
			answers++
		}
	}
	if answers == 0 {
		return errors.New("got no message of the assistant, want an answer to learn")
	}
	return nil
}

func isAnswer(message value) bool {
	role, _ := message.(*dict).get("role")
	s, _ := text(role)
	return s == "assistant"
}

// Lesson is a rendered conversation with the parts that a model is to learn to write.
type Lesson struct {
	Text    string
	Breaks  []int // see [Template.RenderGuarded]
	Answers []Span
}

// Lessons renders a conversation of [ParseRecord] and finds its answers: each begins where the prompt for it ends, so that
// the model learns from the point at which it will write. For most templates this is one lesson. If the template drops parts
// of earlier answers, such as thoughts, each such answer becomes a lesson of its own. tokens are the model's control tokens,
// which no message may produce.
func (t *Template) Lessons(c Conversation, tokens []string) ([]Lesson, error) {
	g := newGuard(tokens)
	values := []*Value{&c.Messages, &c.Tools, &c.Documents, &c.Extra}
	for _, v := range values {
		g.look(v.value())
	}
	g.choose()
	if g.found {
		for _, v := range values {
			*v = Value{g.marked(v.value())}
		}
	}
	messages := c.Messages.value().(*list).items
	render := func(n int, prompt bool) (string, error) {
		part := c
		part.Messages, part.AddGenerationPrompt = Value{&list{items: messages[:n]}}, prompt
		return t.Render(part)
	}
	whole, err := render(len(messages), false)
	if err != nil {
		return nil, err
	}
	lesson := func(marked string, answers ...Span) Lesson {
		plain, breaks, places := g.unmarked(marked, answers)
		return Lesson{plain, breaks, places}
	}
	var spans []Span
	var others []Lesson
	for i, m := range messages {
		if !isAnswer(m) {
			continue
		}
		prompt, err := render(i, true)
		if err != nil {
			return nil, fmt.Errorf("the prompt for message %d: %w", i+1, err)
		}
		said := whole
		if i+1 < len(messages) {
			if said, err = render(i+1, false); err != nil {
				return nil, fmt.Errorf("up to message %d: %w", i+1, err)
			}
		}
		span := Span{common(prompt, said), len(said)}
		switch {
		case span.Start == span.End:
			return nil, fmt.Errorf("message %d: the template shows nothing of it", i+1)
		case strings.HasPrefix(whole, said):
			spans = append(spans, span)
		default:
			others = append(others, lesson(said, span))
		}
	}
	if len(spans) == 0 {
		return others, nil
	}
	return append(others, lesson(whole, spans...)), nil
}

// common returns the length of the common prefix of two texts in bytes.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// unmarked removes the marks from a text and adjusts places in it.
func (g *guard) unmarked(marked string, places []Span) (plain string, breaks []int, moved []Span) {
	moved = append(moved, places...)
	if !g.found {
		return marked, nil, moved
	}
	var b strings.Builder
	at := 0
	for i, part := range strings.Split(marked, string(g.mark)) {
		if i > 0 {
			breaks = append(breaks, b.Len())
			at += len(string(g.mark))
			for k, p := range places {
				if at <= p.Start {
					moved[k].Start -= len(string(g.mark))
				}
				if at <= p.End {
					moved[k].End -= len(string(g.mark))
				}
			}
		}
		b.WriteString(part)
		at += len(part)
	}
	return b.String(), breaks, moved
}
