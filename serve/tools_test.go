package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"bitgpu/io/chat"
)

// Two templates with tools that write calls in the two forms that are known.
const (
	jsonCalls = "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}" +
		"<tool_call>\n{\"name\": \"{{ c.function.name }}\", \"arguments\": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
	functionCalls = "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% for c in m.tool_calls or [] %}" +
		"<tool_call>\n<function={{ c.function.name }}>\n{% for k, v in c.function.arguments | items %}<parameter={{ k }}>\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>{% endfor %}\n{% endfor %}" +
		"{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

const (
	weather = `{"type":"object","properties":{"place":{"type":"string","minLength":1,"maxLength":12},"days":{"type":"integer","minimum":1,"maximum":14},
		"unit":{"enum":["C","F"]}},"required":["place","days"],"additionalProperties":false}`
	twoTools = `"tools":[{"type":"function","function":{"name":"weather","parameters":` + weather + `}},{"type":"function","function":{"name":"now"}}]`
)

// callsOf are the calls of an answer, and what else is in it.
func callsOf(v any) (names, arguments []string, content any) {
	calls, _ := at(v, "choices", 0, "message", "tool_calls").([]any)
	for _, call := range calls {
		name, _ := at(call, "function", "name").(string)
		text, _ := at(call, "function", "arguments").(string)
		names, arguments = append(names, name), append(arguments, text)
	}
	return names, arguments, at(v, "choices", 0, "message", "content")
}

// A call that is required is written, whole and in a stream, by a model that has never seen one, and its arguments fit the schema of its tool.
func TestCallsAreHeld(t *testing.T) {
	for form, source := range map[string]string{"JSON": jsonCalls, "lines": functionCalls} {
		template, err := chat.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		c := begin(t, Options{Template: template})
		for seed := range 4 {
			for _, choice := range []string{`"required"`, `{"type":"function","function":{"name":"weather"}}`, `{"type":"function","function":{"name":"now"}}`} {
				body := fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"max_tokens":500,"temperature":2,"seed":%d,%s,"tool_choice":%s`, seed, twoTools, choice)
				v := c.post("/v1/chat/completions", body+"}").object(t)
				names, arguments, content := callsOf(v)
				if len(names) != 1 || content != nil || at(v, "choices", 0, "finish_reason") != "tool_calls" {
					t.Fatalf("%s: %s: got %v", form, body, v)
				}
				schema := weather
				if names[0] == "now" {
					schema = `{"type":"object","additionalProperties":false}`
				}
				if err := fits(t, schema, arguments[0]); err != nil || choice != `"required"` && !strings.Contains(choice, names[0]) {
					t.Errorf("%s: %s: got %s(%s): %v", form, choice, names[0], arguments[0], err)
				}
				if seed > 0 {
					continue
				}
				var streamed string
				for _, e := range eventsOf(t, c.post("/v1/chat/completions", body+`,"stream":true}`).body) {
					text, _ := at(e, "choices", 0, "delta", "tool_calls", 0, "function", "arguments").(string)
					streamed += text
				}
				if streamed != arguments[0] {
					t.Errorf("%s: streamed: got %q, want %q", form, streamed, arguments[0])
				}
			}
		}
		for choice, want := range map[string]string{
			`"required","response_format":{"type":"json_object"}`:   "response_format is not supported: tool_choice wants a call",
			`{"type":"function","function":{"name":"other"}}`:       `and there is no such tool`,
			`{"type":"allowed_tools","allowed_tools":{"tools":[]}}`: `want auto, none, required, or`,
		} {
			a := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],`+twoTools+`,"tool_choice":`+choice+"}")
			if a.status != 400 || !strings.Contains(a.body, want) {
				t.Errorf("%s: got %d %s, want %q", choice, a.status, a.body, want)
			}
		}
		a := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"not":{}}}}}}],"tool_choice":"required"}`)
		checkRefusal(t, "a schema that is not held", a, 400, "invalid_schema", "tools[0].function.parameters: the schema cannot be held to: #/properties/a/not: is not held")
		a = c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,`+twoTools+`,"tool_choice":"required"}`)
		if v := a.object(t); at(v, "choices", 0, "finish_reason") != "length" {
			t.Errorf("three tokens: got %v", v)
		}
	}
	other, err := chat.Parse("{% if tools %}{{ tools | tojson }}\n{% endif %}" + template)
	if err != nil {
		t.Fatal(err)
	}
	c := begin(t, Options{Template: other})
	a := c.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}],`+twoTools+`,"tool_choice":"required"}`)
	checkRefusal(t, "calls in another form", a, 400, "unsupported_parameter", "the model's template does not write calls in a form that is known here")
	// A choice that leaves it to the model holds it to nothing.
	for _, choice := range []string{"null", `"auto"`, `"none"`} {
		in := chatRequest{ToolChoice: json.RawMessage(choice), Tools: json.RawMessage("null")}
		if form, err := in.form(c.server); form != nil || err != nil {
			t.Errorf("%s: got %v, %v", choice, form, err)
		}
	}
}
