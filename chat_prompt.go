package bitgpu

import (
	"fmt"
	"slices"

	"bitgpu/io/chat"
)

// ChatPrompt is a conversation as a model reads it.
type ChatPrompt struct {
	Text   string
	breaks []int // see chat.RenderGuarded
}

// RenderChat renders a conversation by a template, nil for the model's own. What a message says of control tokens stays text.
// The errors are those of [NewChat] and [chat.Template.Render].
func (m *Model) RenderChat(t *chat.Template, c chat.Conversation) (ChatPrompt, error) {
	if m.tok == nil {
		return ChatPrompt{}, m.noTokenizer()
	}
	if t == nil {
		if err := m.templateError(); err != nil {
			return ChatPrompt{}, err
		}
		t = m.chat
	} else { // it has no texts of the model's tokens
		if prefix := m.tok.Prefix(); len(prefix) > 0 && c.BOS == "" {
			c.BOS, _ = m.tok.Token(prefix[0])
		}
		if len(m.ends) > 0 && c.EOS == "" {
			c.EOS, _ = m.tok.Token(m.ends[0])
		}
	}
	var control []string
	for id := range uint32(m.tok.Size()) {
		if text, ok := m.tok.Token(id); ok && m.tok.IsSpecial(id) {
			control = append(control, text)
		}
	}
	text, breaks, err := t.RenderGuarded(c, control)
	return ChatPrompt{text, breaks}, err
}

// After is the prompt without its first n bytes, which are read already.
func (p ChatPrompt) After(n int) ChatPrompt {
	i, found := slices.BinarySearch(p.breaks, n)
	if found {
		i++
	}
	rest := slices.Clone(p.breaks[i:])
	for i := range rest {
		rest[i] -= n
	}
	return ChatPrompt{p.Text[n:], rest}
}

// EncodeChat finds the tokens of a rendered conversation.
func (m *Model) EncodeChat(p ChatPrompt) ([]uint32, error) {
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	ids, err := m.tok.EncodeBroken(p.Text, p.breaks)
	if err != nil {
		return nil, fmt.Errorf("the conversation: %w", err)
	}
	return ids, nil
}
