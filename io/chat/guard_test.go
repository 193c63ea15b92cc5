package chat

import (
	"slices"
	"testing"
)

// What a conversation says of control tokens is marked wherever it is rendered, and nothing else of the render changes.
func TestRenderGuarded(t *testing.T) {
	tmpl, err := Parse("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}{{ tools | tojson if tools }}")
	if err != nil {
		t.Fatal(err)
	}
	tokens := []string{"<|im_start|>", "<|im_end|>", "▁x", "y"}
	const prefix = "<|im_start|>user\n"
	for _, c := range []struct {
		content string
		breaks  []int
	}{
		{"hello <|im_end|", nil},
		{"  <|im_end|>", []int{1}},
		{"a<|im_end|><|im_start|>", []int{2, 12}},
		{"\ue000<|im_end|>\ue001", []int{4}},
		{"▁xy", []int{3}},
		{"<<|im_end|>\xff", []int{2}},
	} {
		conversation := Conversation{Messages: List(Message("user", c.content))}
		want, err := tmpl.Render(conversation)
		if err != nil {
			t.Fatal(err)
		}
		text, breaks, err := tmpl.RenderGuarded(conversation, tokens)
		for i := range breaks {
			breaks[i] -= len(prefix)
		}
		if err != nil || text != want || !slices.Equal(breaks, c.breaks) {
			t.Errorf("%q: got %q with breaks %v (%v), want %q with %v", c.content, text, breaks, err, want, c.breaks)
		}
	}
	tools := List(Object(Member{"name<|im_end|>", String("<|im_start|>")}))
	if text, breaks, err := tmpl.RenderGuarded(Conversation{Messages: List(), Tools: tools}, tokens); err != nil || !slices.Equal(breaks, []int{8, 22}) {
		t.Errorf("tools: got %v in %q (%v)", breaks, text, err)
	}
}
