package chat_test

import (
	"fmt"

	"bitgpu/io/chat"
)

func Example() {
	t, err := chat.Parse(`{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}
{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := t.Render(chat.Conversation{
		Messages:            chat.List(chat.Message("system", "Be brief."), chat.Message("user", " Hello ")),
		AddGenerationPrompt: true,
	})
	fmt.Println(text, err)
	// Output:
	// <|system|>Be brief.
	// <|user|>Hello
	// <|assistant|> <nil>
}

func ExampleAnswerParser() {
	p := chat.NewAnswerParser(chat.AnswerOptions{})
	show := func(deltas []chat.Delta) {
		for _, d := range deltas {
			switch {
			case d.Reasoning != "":
				fmt.Printf("thinks %q\n", d.Reasoning)
			case d.Content != "":
				fmt.Printf("says %q\n", d.Content)
			default:
				arguments, _ := d.Call.Arguments.MarshalJSON()
				fmt.Printf("calls %s(%s)\n", d.Call.Name, arguments)
			}
		}
	}
	for _, piece := range []string{"<thi", "nk>\nhm", "\n</think>\n\nOne moment.\n<tool", "_call>\n{\"name\": \"add\", \"arg", "uments\": {\"a\": 1.0}}\n</tool_call>"} {
		show(p.Add(piece))
	}
	show(p.End())
	// Output:
	// thinks "hm"
	// says "One moment."
	// calls add({"a":1.0})
}
