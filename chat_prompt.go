package bitgpu

import (
	"fmt"
	"slices"

	"bitgpu/io/chat"
)

// ChatPrompt is a conversation as the model reads it.
type ChatPrompt struct {
	Text   string
	breaks []int // see chat.RenderGuarded
	rest   bool  // something comes before it
}

// RenderChat renders a conversation by a template, nil for the model's own. Control tokens spelled out in messages remain
// text. The error is [ErrNoTokenizer], [ErrNoTemplate], [ErrTemplate], or that of [chat.Template.Render].
func (m *Model) RenderChat(t *chat.Template, c chat.Conversation) (ChatPrompt, error) {
	if m.tok == nil {
		return ChatPrompt{}, m.noTokenizer()
	}
	if t == nil {
		if err := m.templateError(); err != nil {
			return ChatPrompt{}, err
		}
		t = m.chat
	} else {
		m.nameTokens(&c)
	}
	text, breaks, err := t.RenderGuarded(c, m.controlTexts())
	return ChatPrompt{Text: text, breaks: breaks}, err
}

// nameTokens gives a conversation the model's special tokens, for templates that do not know them.
func (m *Model) nameTokens(c *chat.Conversation) {
	if prefix := m.tok.Prefix(); len(prefix) > 0 && c.BOS == "" {
		c.BOS, _ = m.tok.Token(prefix[0])
	}
	if len(m.ends) > 0 && c.EOS == "" {
		c.EOS, _ = m.tok.Token(m.ends[0])
	}
}

// controlTexts returns the texts of the model's control tokens.
func (m *Model) controlTexts() []string {
	m.controlOnce.Do(func() {
		for id := range uint32(m.tok.Size()) {
			if text, ok := m.tok.Token(id); ok && m.tok.IsSpecial(id) {
				m.control = append(m.control, text)
			}
		}
	})
	return m.control
}

// After returns the prompt without its first n bytes, which have been read already.
func (p ChatPrompt) After(n int) ChatPrompt {
	i, found := slices.BinarySearch(p.breaks, n)
	if found {
		i++
	}
	rest := slices.Clone(p.breaks[i:])
	for i := range rest {
		rest[i] -= n
	}
	return ChatPrompt{p.Text[n:], rest, p.rest || n > 0}
}

// EncodeChat encodes a rendered conversation. The result begins with the tokens that the tokenizer puts before a text, even
// if the template relies on the tokenizer for them. The error is [ErrNoTokenizer], or says what the tokenizer cannot express.
func (m *Model) EncodeChat(p ChatPrompt) ([]uint32, error) {
	if m.tok == nil {
		return nil, m.noTokenizer()
	}
	ids, err := m.tok.EncodeBroken(p.Text, p.breaks)
	if err != nil {
		return nil, fmt.Errorf("the conversation: %w", err)
	}
	if p.rest {
		return ids, nil
	}
	return m.withPrefix(ids), nil
}

// withPrefix puts the tokens that begin a text before ids, unless they are there.
func (m *Model) withPrefix(ids []uint32) []uint32 {
	prefix := m.tok.Prefix()
	if len(ids) >= len(prefix) && slices.Equal(ids[:len(prefix)], prefix) {
		return ids
	}
	return append(prefix, ids...)
}
