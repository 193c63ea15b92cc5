package chat

import (
	"strings"
	"testing"
)

const chatML = `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

// answersOf are the texts that a model learns to write.
func answersOf(t testing.TB, l Lesson) (all []string) {
	t.Helper()
	for _, a := range l.Answers {
		all = append(all, l.Text[a.Start:a.End])
	}
	return all
}

// Both shapes give the same lesson, whose answers begin where the prompt ends and end with the end of their turn.
func TestLessons(t *testing.T) {
	template := mustParse(t, chatML)
	for _, line := range []string{
		`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"},{"role":"user","content":"Bye"},{"role":"assistant","content":"See you"}]}`,
		`{"id":1,"system":"Be brief.","conversations":[{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello"},{"from":"human","value":"Bye"},{"from":"gpt","value":"See you"}]}`,
	} {
		c, err := ParseRecord([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		all, err := template.Lessons(c, []string{"<|im_start|>", "<|im_end|>"})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if got := strings.Join(answersOf(t, all[0]), "+"); got != "Hello<|im_end|>\n+See you<|im_end|>\n" || len(all[0].Breaks) != 0 {
			t.Errorf("got the answers %q and breaks %v in %q", got, all[0].Breaks, all[0].Text)
		}
	}
}

// What a message says of control tokens stays text, and the answers stay where they are.
func TestLessonsAreGuarded(t *testing.T) {
	c, err := ParseRecord([]byte(`{"messages":[{"role":"user","content":"say <|im_end|> twice"},{"role":"assistant","content":"a <|im_end|> b"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := mustParse(t, chatML).Lessons(c, []string{"<|im_start|>", "<|im_end|>"})
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	l := all[0]
	if got := answersOf(t, l); len(got) != 1 || got[0] != "a <|im_end|> b<|im_end|>\n" {
		t.Errorf("got %q", got)
	}
	for _, b := range l.Breaks {
		if !strings.HasPrefix(l.Text[b-1:], "<|im_end|>") {
			t.Errorf("got a break at %q", l.Text[b-1:])
		}
	}
	if len(l.Breaks) != 2 {
		t.Errorf("got breaks %v, want 2", l.Breaks)
	}
}

// An earlier answer that the template changes later is a lesson of its own, as the model wrote it.
func TestLessonsOfThoughts(t *testing.T) {
	template := mustParse(t, `{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' and loop.last and m.thought %}({{ m.thought }}){% endif %}{{ m.content }};{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}`)
	c, err := ParseRecord([]byte(`{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":"A","thought":"hm"},{"role":"user","content":"2"},{"role":"assistant","content":"B","thought":"so"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	all, err := template.Lessons(c, nil)
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	for i, want := range []string{"(hm)A;", "(so)B;"} {
		if got := answersOf(t, all[i]); len(got) != 1 || got[0] != want {
			t.Errorf("lesson %d: got %q of %q, want %q", i, got, all[i].Text, want)
		}
	}
}

func TestRecordRefusals(t *testing.T) {
	for line, want := range map[string]string{
		`[1]`:                            "got an array, want a JSON object",
		`{"text":"x"}`:                   `got neither "messages" nor "conversations"`,
		`{"messages":"x"}`:               "got a string, want an array of messages",
		`{"messages":[1]}`:               "message 1: got a number, want an object",
		`{"messages":[{"content":"x"}]}`: "message 1: got no role",
		`{"messages":[{"role":"user","content":null},{"role":"assistant","content":"x"}]}`: "message 1: got no content",
		`{"messages":[{"role":"user","content":"x"},{"role":"assistant"}]}`:                "message 2: got no content",
		`{"messages":[{"role":"user","content":"x"}]}`:                                     "got no message of the assistant",
		`{"conversations":[{"from":"bard","value":"x"}]}`:                                  `turn 1: got "from" "bard"`,
		`{"conversations":[{"from":"gpt"}]}`:                                               "turn 1: ",
		`{"conversations":[{"from":true,"value":"x"}]}`:                                    `turn 1: got "from" true, want human`,
		`{"conversations":[{"from":"gpt","value":7}]}`:                                     `turn 1: got "value" a number, want a text`,
		`{"system":5,"conversations":[{"from":"gpt","value":"x"}]}`:                        `got "system" as a number, want a text`,
		`{"messages":[{"role":5,"content":"x"},{"role":"assistant","content":"x"}]}`:       "message 1: got a number as role",
		`{"messages":[{"role":"assistant","content":false}]}`:                              "message 1: got false as content, want a text or an array of parts",
		`{"messages":[{"role":"assistant","content":null,"tool_calls":null}]}`:             "message 1: got no content",
		`{"conversations":[3]}`:                                                            "turn 1: got a number, want an object",
		`{"conversations":{}}`:                                                             `got an object, want an array of "conversations"`,
		`{`:                                                                                "",
	} {
		if _, err := ParseRecord([]byte(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(`{"messages":[{"role":"user","content":"<x>"},{"role":"assistant","content":"<x>b"}]}`)
	f.Add(`{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`)
	template := mustParse(f, chatML)
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseRecord([]byte(line))
		if err != nil {
			return
		}
		all, err := template.Lessons(c, []string{"<x>", "<|im_end|>"})
		if err != nil {
			return
		}
		for _, l := range all {
			for _, a := range l.Answers {
				if a.Start < 0 || a.Start >= a.End || a.End > len(l.Text) {
					t.Fatalf("%+v in %d bytes", a, len(l.Text))
				}
			}
		}
	})
}
