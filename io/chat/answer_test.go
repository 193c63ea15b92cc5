package chat

import (
	"encoding/json"
	"strings"
	"testing"
)

// flat writes an answer as one line.
func flat(t *testing.T, a Answer) string {
	t.Helper()
	s := "think(" + a.Reasoning + ") say(" + a.Content + ")"
	for _, c := range a.ToolCalls {
		arguments, err := json.Marshal(c.Arguments)
		if err != nil {
			t.Fatal(err)
		}
		s += " " + c.Name + string(arguments)
	}
	return s
}

var answerTools = func() Value {
	v, err := DecodeJSON([]byte(`[{"type": "function", "function": {"name": "f", "parameters": {"properties": {
		"s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": ["number", "null"]}, "b": {"type": "boolean"},
		"o": {"type": "object"}, "a": {"anyOf": [{"type": "array"}, {"type": "null"}]}, "x": {}}}}}, {"name": "flat", "parameters": {"properties": {"i": {"type": "integer"}}}}]`))
	if err != nil {
		panic(err)
	}
	return v
}()

var answers = []struct {
	name, text string
	thinking   bool
	tools      bool
	want       string
}{
	{"plain", "Hello there", false, false, "think() say(Hello there)"},
	{"empty", "", false, false, "think() say()"},
	{"a thought", "<think>\nhm\n\nso\n</think>\n\nYes.\n", false, false, "think(hm\n\nso) say(Yes.\n)"},
	{"an empty thought", "<think>\n\n</think>\n\nYes", false, false, "think() say(Yes)"},
	{"a thought that the prompt began", "hm\n</think>\n\nYes", true, false, "think(hm) say(Yes)"},
	{"a thought cut off", "<think>\nhm </thi", false, false, "think(hm </thi) say()"},
	{"a tag that is none", "a <think> b </think> c < d <tool_cal", false, false, "think() say(a <think> b </think> c < d <tool_cal)"},
	{"a call", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"b\": 1.0, \"a\": [1, null]}}\n</tool_call>", false, false, `think() say() f{"b":1.0,"a":[1,null]}`},
	{"a thought, text and two calls", "<think>\nt\n</think>\n\nLet me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": \"x\"}\n</tool_call>", false, true, `think(t) say(Let me see.) f{} g"x"`},
	{"a call with tags in a string", `<tool_call>{"name": "f", "arguments": {"s": "</tool_call> \"<tool_call>"}}</tool_call>ok`, false, false, `think() say(ok) f{"s":"\u003c/tool_call\u003e \"\u003ctool_call\u003e"}`},
	{"a call without arguments", `<tool_call>{"name": "f"}</tool_call>`, false, false, `think() say() f{}`},
	{"parameters for arguments", `<tool_call>{"name": "f", "parameters": {"i": 1}}</tool_call>`, false, false, `think() say() f{"i":1}`},
	{"a call without its end", "x\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n", false, false, `think() say(x) f{}`},
	{"a call cut off", "x\n<tool_call>\n{\"name\": \"f\", \"argu", false, false, "think() say(x<tool_call>\n{\"name\": \"f\", \"argu)"},
	{"no call", "<tool_call>what?</tool_call> and {", false, false, "think() say(<tool_call>what?</tool_call> and {)"},
	{"broken JSON", `<tool_call>{"name": f}</tool_call>`, false, false, `think() say(<tool_call>{"name": f}</tool_call>)`},
	{"JSON without a name", `<tool_call>{"arguments": {}}</tool_call>`, false, false, `think() say(<tool_call>{"arguments": {}}</tool_call>)`},
	{"a function", "<tool_call>\n<function=f>\n<parameter=s>\n1\n2\n</parameter>\n<parameter=i>\n3\n</parameter>\n<parameter=n>\n1.0\n</parameter>\n<parameter=b>\nTrue\n</parameter>\n<parameter=o>\n{\"k\": [1]}\n</parameter>\n<parameter=a>\nnull\n</parameter>\n<parameter=x>\n5\n</parameter>\n<parameter=new>\n[1]\n</parameter>\n</function>\n</tool_call>", false, true,
		`think() say() f{"s":"1\n2","i":3,"n":1.0,"b":true,"o":{"k":[1]},"a":null,"x":"5","new":"[1]"}`},
	{"a function whose text is no JSON", "<tool_call><function=f><parameter=i>three</parameter><parameter=o>{</parameter></function></tool_call>", false, true, `think() say() f{"i":"three","o":"{"}`},
	{"a function without tools", "<tool_call>\n<function=f>\n<parameter=i>\n3\n</parameter>\n</function>\n</tool_call>", false, false, `think() say() f{"i":"3"}`},
	{"a bare function", "ok <function=flat>\n<parameter=i>\n3\n</parameter>\n</function> end", false, true, `think() say(okend) flat{"i":3}`},
	{"a bare function without tools", "<function=f></function>", false, false, `think() say(<function=f></function>)`},
	{"a function without parameters", "<tool_call>\n<function=f>\n</function>\n</tool_call>", false, true, `think() say() f{}`},
	{"a function without its end", "<tool_call>\n<function=f>\n<parameter=i>\n3\n</parameter>\n</function>", false, true, `think() say() f{"i":3}`},
	{"a parameter cut off", "<tool_call>\n<function=f>\n<parameter=i>\n3", false, true, "think() say(<tool_call>\n<function=f>\n<parameter=i>\n3)"},
	{"a parameter with tags", "<tool_call><function=f><parameter=s>\n</tool_call> <b>\n</parameter></function></tool_call>.", false, true, `think() say(.) f{"s":"\u003c/tool_call\u003e \u003cb\u003e"}`},
}

func (o AnswerOptions) with(thinking, tools bool) AnswerOptions {
	o.Thinking = thinking
	if tools {
		o.Tools = answerTools
	}
	return o
}

// TestParseAnswer reads answers at once, and in pieces of every size: the parts are the same.
func TestParseAnswer(t *testing.T) {
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			o := AnswerOptions{}.with(c.thinking, c.tools)
			if got := flat(t, ParseAnswer(c.text, o)); got != c.want {
				t.Fatalf("\n got %s\nwant %s", got, c.want)
			}
			for size := 1; size < 12; size++ {
				if got := flat(t, inPieces(t, c.text, size, o)); got != c.want {
					t.Fatalf("in pieces of %d:\n got %s\nwant %s", size, got, c.want)
				}
			}
		})
	}
}

// inPieces reads an answer piece by piece, and holds that what is given out is never taken back, as half a tag would be.
func inPieces(t *testing.T, text string, size int, o AnswerOptions) (a Answer) {
	p := NewAnswerParser(o)
	take := func(deltas []Delta) {
		for _, d := range deltas {
			if d.Reasoning == "" && d.Content == "" && d.Call == nil {
				t.Fatal("an empty delta")
			}
			a.Reasoning += d.Reasoning
			a.Content += d.Content
			if d.Call != nil {
				a.ToolCalls = append(a.ToolCalls, *d.Call)
			}
		}
	}
	for i := 0; i < len(text); i += size {
		take(p.Add(text[i:min(i+size, len(text))]))
		if whole := ParseAnswer(text, o); !strings.HasPrefix(whole.Content, a.Content) || !strings.HasPrefix(whole.Reasoning, a.Reasoning) {
			t.Fatalf("after %q, too much was given out: %q, %q", text[:min(i+size, len(text))], a.Reasoning, a.Content)
		}
	}
	take(p.End())
	if more := p.End(); len(more) > 0 {
		t.Fatalf("a second end gave %v", more)
	}
	return a
}

// TestAnswerIsShownEarly gives out what cannot become a tag at once.
func TestAnswerIsShownEarly(t *testing.T) {
	p := NewAnswerParser(AnswerOptions{})
	got := ""
	for _, piece := range strings.SplitAfter("<think>\none two </th three</think>\n\nfour <five> six", " ") {
		for _, d := range p.Add(piece) {
			got += "[" + d.Reasoning + d.Content + "]"
		}
	}
	if want := "[one ][two ][</th ][three][four][ <five>][ six]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for prompt, want := range map[string]bool{"<|im_start|>assistant\n<think>\n": true, "a<think>": true, "<think>\n\n</think>\n\n": false, "": false} {
		if OpensThought(prompt) != want {
			t.Errorf("OpensThought(%q) is not %v", prompt, want)
		}
	}
}
