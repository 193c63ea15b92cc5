package chat

import (
	"encoding/json"
	"strings"
)

// readCall parses the content of <tool_call>. complete reports that more text could not make it a call.
func (p *AnswerParser) readCall(body string) (call *ToolCall, complete bool) {
	body = strings.TrimFunc(body, isSpace)
	if strings.HasPrefix(body, funcOpen) {
		return p.readFunction(body)
	}
	if !strings.HasPrefix(body, "{") {
		return nil, true
	}
	v, err := DecodeJSON([]byte(body))
	if err != nil {
		return nil, !unfinishedJSON(body)
	}
	d := v.v.(*dict)
	name, _ := d.get("name")
	s, ok := name.(string)
	if !ok || s == "" {
		return nil, true
	}
	arguments, ok := d.get("arguments")
	if !ok {
		if arguments, ok = d.get("parameters"); !ok {
			arguments = &dict{}
		}
	}
	return &ToolCall{Name: s, Arguments: Value{arguments}}, true
}

// unfinishedJSON reports whether text is the beginning of an unfinished JSON object.
func unfinishedJSON(text string) bool {
	d := json.NewDecoder(strings.NewReader(text))
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			_, isSyntax := err.(*json.SyntaxError)
			return !isSyntax
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			if depth--; depth == 0 {
				return false
			}
		}
	}
}

// readFunction reads <function=NAME><parameter=NAME>value</parameter>…</function>.
func (p *AnswerParser) readFunction(body string) (call *ToolCall, complete bool) {
	name, rest, ok := strings.Cut(body[len(funcOpen):], ">")
	if !ok {
		return nil, false
	}
	name = strings.TrimFunc(name, isSpace)
	arguments := &dict{}
	for {
		rest = strings.TrimLeftFunc(rest, isSpace)
		if strings.HasPrefix(rest, funcClose) {
			return &ToolCall{Name: name, Arguments: Value{arguments}}, true
		}
		after, ok := strings.CutPrefix(rest, "<parameter=")
		if !ok {
			return nil, !strings.HasPrefix("<parameter=", rest) && !strings.HasPrefix(funcClose, rest)
		}
		key, after, ok := strings.Cut(after, ">")
		if !ok {
			return nil, false
		}
		text, after, ok := strings.Cut(after, "</parameter>")
		if !ok {
			return nil, false
		}
		text = strings.TrimSuffix(strings.TrimPrefix(text, "\n"), "\n")
		key = strings.TrimFunc(key, isSpace)
		arguments.set(key, p.typed(name, key, text))
		rest = after
	}
}

// typed converts a parameter written as text to the type in its tool's schema. It stays text unless the schema says
// otherwise.
func (p *AnswerParser) typed(tool, parameter, text string) value {
	schema := p.schema(tool, parameter)
	if schema == nil {
		return text
	}
	kinds := map[string]bool{}
	collect := func(v value) {
		switch v := v.(type) {
		case string:
			kinds[v] = true
		case *list:
			for _, item := range v.items {
				if d, ok := item.(*dict); ok {
					item, _ = d.get("type")
				}
				if s, ok := item.(string); ok {
					kinds[s] = true
				}
			}
		}
	}
	for _, key := range []string{"type", "anyOf", "oneOf"} {
		v, _ := schema.get(key)
		collect(v)
	}
	delete(kinds, "null")
	word := strings.TrimFunc(text, isSpace)
	if kinds["boolean"] && (word == "True" || word == "False") {
		return word == "True"
	}
	v, err := DecodeJSON([]byte(word))
	if err != nil || len(kinds) == 0 {
		return text
	}
	got := map[string]string{"str": "string", "bool": "boolean", "list": "array", "dict": "object", "float": "number",
		"int": "integer", "NoneType": "null"}[typeName(v.value())]
	if kinds["string"] && got != "null" || got == "string" {
		return text
	}
	if kinds[got] || got == "null" || got == "integer" && kinds["number"] || got == "number" && kinds["integer"] {
		return v.value()
	}
	return text
}

// schema returns what the tools say about a parameter, or nil.
func (p *AnswerParser) schema(tool, parameter string) *dict {
	tools, _ := p.options.Tools.v.(*list)
	if tools == nil {
		return nil
	}
	for _, t := range tools.items {
		d, _ := t.(*dict)
		if f := d.child("function"); f != nil {
			d = f
		}
		if d == nil {
			continue
		}
		if name, _ := d.get("name"); name != tool {
			continue
		}
		return d.child("parameters").child("properties").child(parameter)
	}
	return nil
}

// child returns a member of d that is an object, or nil.
func (d *dict) child(name string) *dict {
	if d == nil {
		return nil
	}
	v, _ := d.get(name)
	c, _ := v.(*dict)
	return c
}
