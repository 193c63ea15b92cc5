package jsonform

import (
	"errors"
	"strings"
	"testing"
)

const weather = `{"type":"object","properties":{"place":{"type":"string","minLength":1},"days":{"type":"integer","minimum":1,"maximum":14},"unit":{"enum":["C","F",""]},
	"at":{"type":"array","items":{"type":"string"}},"note":{"type":["string","null"]}},"required":["place","days"],"additionalProperties":false}`

// What calls look like as models write them, and what is none.
func TestCalls(t *testing.T) {
	object, err := JSONCall("weather", []byte(weather))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := FunctionCall("weather", []byte(weather))
	if err != nil {
		t.Fatal(err)
	}
	nothing, err := JSONCall("now", nil)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := FunctionCall("now", nil)
	if err != nil {
		t.Fatal(err)
	}
	const open, end = "<tool_call>\n<function=weather>\n", "</function>\n</tool_call>"
	line := func(name, value string) string { return "<parameter=" + name + ">\n" + value + "\n</parameter>\n" }
	place, days := line("place", "Bern"), line("days", "3")
	for _, c := range []struct {
		form *Form
		text string
		want bool
	}{
		{object, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\": \"Bern\", \"days\": 3}}\n</tool_call>", true},
		{object, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"place\": \"\", \"days\": 3}}\n</tool_call>", false},
		{object, "<tool_call>\n{\"name\": \"other\", \"arguments\": {}}\n</tool_call>", false},
		{object, "Well.", false}, {object, "", false},
		{nothing, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", true},
		{nothing, "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}}\n</tool_call>", false},
		{empty, "<tool_call>\n<function=now>\n</function>\n</tool_call>", true},
		{lines, open + place + days + end, true},
		{lines, open + place + days + line("unit", "C") + line("at", `["a", "b"]`) + line("note", "null") + end, true},
		{lines, open + line("place", "a\nb\n\n</param> <x>") + days + line("unit", "") + line("note", "") + end, true},
		{lines, open + line("place", "") + days + end, false}, {lines, open + line("place", "a</parameter>") + days + end, false},
		{lines, open + place + end, false}, {lines, open + days + place + end, false}, {lines, open + place + line("days", "15") + end, false},
		{lines, open + place + days + line("unit", "K") + end, false}, {lines, open + place + days + line("other", "K") + end, false},
		{lines, open + line("place", "\xff") + days + end, false},
		{OneOf(nothing, object), "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", true},
		{OneOf(nothing, object).After(MayThink), "<think>\nHm.\n</think>\n\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", true},
		{OneOf(empty, lines).After(IsThinking), "Hm.</think>" + open + place + days + end, true},
		{OneOf(nothing, object).After(MayThink), "<think>\nHm.\n</think>", false},
	} {
		w := c.form.Begin(everyByte())
		taken := true
		for _, b := range []byte(c.text) {
			if w.Add(uint32(b)) != nil {
				taken = false
				break
			}
		}
		if got := taken && w.Ends(); got != c.want {
			t.Errorf("%q: got %v, want %v", c.text, got, c.want)
		}
	}
	v := everyByte()
	short, err := FunctionCall("weather", []byte(strings.NewReplacer(`"minLength":1`, `"minLength":1,"maxLength":20`, `["string","null"]`, `"string","maxLength":14`).Replace(weather)))
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(40) { // none gets stuck
		for _, f := range []*Form{object, short, nothing, empty} {
			if text := strings.TrimSpace(random(t, f, v, seed)); !strings.HasPrefix(text, "<tool_call>\n") || !strings.HasSuffix(text, "\n</tool_call>") {
				t.Errorf("got %q", text)
			}
		}
	}
}

// What cannot be written as a call is refused by its place.
func TestCallRefusals(t *testing.T) {
	for _, c := range []struct {
		call                func(string, []byte) (*Form, error)
		name, schema, wants string
	}{
		{JSONCall, "f", `{"type":"string"}`, "#: got a schema of other values, want one of objects"},
		{JSONCall, "f", `{"properties":{"a":{"not":{}}}}`, "#/properties/a/not: is not held"},
		{FunctionCall, "a b", `{}`, `the name "a b" cannot be written`},
		{FunctionCall, "f", `{"properties":{"a>":{"type":"string"}}}`, "#/properties/a>: the name cannot be written"},
		{FunctionCall, "f", `{"properties":{"a":{"type":"string","pattern":"a"}}}`, "#/properties/a/pattern: is not held where"},
		{FunctionCall, "f", `{"properties":{"a":{"enum":[1,2]}}}`, "#/properties/a: has no type"},
		{FunctionCall, "f", `{"properties":{"a":{"enum":["</parameter>"]}}}`, "#/properties/a: the value"},
	} {
		if _, err := c.call(c.name, []byte(c.schema)); !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: got %v, want %q", c.schema, err, c.wants)
		}
	}
}
