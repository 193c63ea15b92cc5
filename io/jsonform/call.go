package jsonform

import (
	"encoding/json"
	"slices"
	"strings"
)

// JSONCall is the form of a tool call with name and arguments as JSON:
//
//	<tool_call>
//	{"name": "weather", "arguments": {"place": "Bern"}}
//	</tool_call>
//
// parameters is the JSON schema of the arguments object, nil for a tool without parameters. An error is an [ErrSchema].
func JSONCall(tool string, parameters []byte) (*Form, error) {
	n, _, err := arguments(parameters)
	if err != nil {
		return nil, err
	}
	before := &node{kind: literals, texts: []string{"<tool_call>\n{\"name\": " + write(tool) + `, "arguments": `}}
	behind := &node{kind: literals, texts: []string{"}\n</tool_call>"}}
	return &Form{root: &node{kind: sequence, choices: []*node{before, n, behind}}}, nil
}

const (
	closeParameter = "</parameter>"
	lineEnd        = "\n" + closeParameter + "\n"
)

// FunctionCall is the form of a tool call with arguments on lines of their own, strings as plain text and other values as
// JSON:
//
//	<tool_call>
//	<function=weather>
//	<parameter=place>
//	Bern
//	</parameter>
//	</function>
//	</tool_call>
//
// parameters is as for [JSONCall], and must say the type of each property, which tells a reader how to parse it. An error is
// an [ErrSchema].
func FunctionCall(tool string, parameters []byte) (*Form, error) {
	n, schema, err := arguments(parameters)
	if err != nil {
		return nil, err
	}
	if !isWord(tool) {
		return nil, refuse("#", "the name %.100q cannot be written as <function=NAME>", tool)
	}
	found := &node{kind: parameterLines}
	for _, m := range n.members {
		at := "#/properties/" + m.name
		if !isWord(m.name) {
			return nil, refuse(at, "the name cannot be written as <parameter=NAME>")
		}
		ways := []*node{{kind: sequence, choices: []*node{m.value, {kind: literals, texts: []string{lineEnd}}}}}
		if m.value.types()&isText != 0 {
			if ways, err = textLines(m.value, at); err != nil {
				return nil, err
			}
		} else if !saysType(schema, m.name) {
			return nil, refuse(at, "has no type, by which it would be read as more than a text")
		}
		found.members = append(found.members, member{m.name, "<parameter=" + m.name + ">\n", &node{kind: choice, choices: ways}, m.required})
	}
	before := &node{kind: literals, texts: []string{"<tool_call>\n<function=" + tool + ">\n"}}
	return &Form{root: &node{kind: sequence, choices: []*node{before, found}}}, nil
}

// OneOf is the form of texts that any of several forms allows.
func OneOf(forms ...*Form) *Form {
	root := &node{kind: choice}
	for _, f := range forms {
		root.choices = append(root.choices, f.root)
	}
	return &Form{root: root}
}

// arguments returns the node for the objects that parameters allows, and the schema as parsed.
func arguments(parameters []byte) (*node, any, error) {
	if parameters == nil {
		return &node{kind: members, depth: 1}, nil, nil
	}
	n, schema, err := compile(parameters)
	if err != nil {
		return nil, nil, err
	}
	for n.kind == choice && len(n.choices) == 1 {
		n = n.choices[0]
	}
	switch {
	case n == anyValue:
		return anyObject, schema, nil
	case n.kind != members:
		return nil, nil, refuse("#", "got a schema of other values, want one of objects")
	}
	return n, schema, nil
}

// isWord reports whether a name can be part of a tag.
func isWord(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '<' || r == '>' || r == 0x7f })
}

// textLines returns the strings that a value may be, each with the end of its line.
func textLines(n *node, at string) (ways []*node, err error) {
	switch n.kind {
	case choice:
		for _, c := range n.choices {
			more, err := textLines(c, at)
			if err != nil {
				return nil, err
			}
			ways = append(ways, more...)
		}
	case literals:
		found := &node{kind: literals}
		for _, text := range n.texts {
			var word string
			if json.Unmarshal([]byte(text), &word) != nil || typeOf(text) != isText {
				continue
			}
			if strings.Contains(word, closeParameter) {
				return nil, refuse(at, "the value %.100q cannot be written as a line", word)
			}
			found.texts = append(found.texts, word+lineEnd)
		}
		if len(found.texts) > 0 {
			ways = []*node{found}
		}
	case text:
		if n.pattern != nil {
			return nil, refuse(at+"/pattern", "is not held where an argument is written as a line")
		}
		ways = []*node{{kind: textLine, least: n.least, most: n.most}}
	}
	return ways, nil
}

// saysType reports whether a property's own schema says its type.
func saysType(schema any, name string) bool {
	o, _ := schema.(*object)
	for _, word := range []string{"properties", name} {
		if o == nil {
			return false
		}
		o, _ = o.values[word].(*object)
	}
	return o != nil && slices.ContainsFunc([]string{"type", "anyOf", "oneOf"}, func(word string) bool { return o.values[word] != nil })
}

// lines is what may follow in a call after the parameters written so far.
type lines struct {
	of *node
	i  int
}

func (m lines) optional() bool { return false }
func (m lines) step(a *automaton, b byte, then *stack) {
	for i, one := range m.of.members[m.i:] {
		behind := a.push(lines{m.of, m.i + i + 1}, then)
		for _, way := range one.value.choices {
			next := a.push(value{n: way}, behind)
			if way.kind == textLine { // it may be empty
				next = a.push(lineChars{n: way}, a.push(literal{text: lineEnd}, behind))
			}
			literal{text: one.text}.step(a, b, next)
		}
		if one.required {
			return
		}
	}
	literal{text: "</function>\n</tool_call>"}.step(a, b, then)
}

// lineChars is the rest of a text that ends with a newline and "</parameter>", which the text itself must not contain.
type lineChars struct {
	n     *node
	count int
	close int // bytes of closeParameter at the end of the text so far
	char  char
}

func (m lineChars) optional() bool { return m.char.whole() && m.count >= m.n.least }
func (m lineChars) step(a *automaton, b byte, then *stack) {
	next, ok := m.char.next(b)
	if !ok || m.char.whole() && (m.n.most >= 0 && m.count >= m.n.most || b < ' ' && b != '\n' && b != '\t') {
		return
	}
	switch {
	case b == closeParameter[m.close]:
		if m.close++; m.close == len(closeParameter) {
			return
		}
	case b == closeParameter[0]:
		m.close = 1
	default:
		m.close = 0
	}
	if m.char = next; next.whole() {
		m.char = char{}
		if m.count++; m.n.most < 0 {
			m.count = min(m.count, m.n.least)
		}
	}
	a.emit(a.push(m, then))
}
