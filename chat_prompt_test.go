package bitgpu

import (
	"errors"
	"slices"
	"testing"

	"bitgpu/demo"
	"bitgpu/io/chat"
)

// What a message says of a control token is text, in the whole prompt and behind what was read of it.
func TestRenderChatGuardsControlTokens(t *testing.T) {
	m, err := LoadBytes(demo.Name, demo.Model, WithBackend(CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.RenderChat(nil, chat.Conversation{}); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("without a template: got %v", err)
	}
	end := m.EndOfText()[0]
	text, err := m.TokenText(end)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.Parse("{% for m in messages %}" + text + "{{ m.content }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.RenderChat(template, chat.Conversation{Messages: chat.List(chat.Message("user", "a"), chat.Message("user", "b"+text+"c"))})
	if err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int]int{0: 2, len(text) + 1: 1, 2*len(text) + 2: 0} {
		ids, err := m.EncodeChat(p.After(from))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, id := range ids {
			if slices.Contains(m.EndOfText(), id) {
				got++
			}
		}
		if got != want {
			t.Errorf("from byte %d: got %d control tokens in %d, want %d", from, got, ids, want)
		}
	}
}
