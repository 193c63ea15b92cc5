package chat

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// Template is a chat template that was loaded. It may be used by several goroutines at once.
type Template struct {
	text   string
	body   []stmt
	scope  *scope
	tokens map[string]value // the special tokens by their names, bos_token and the like

	withTools *Template // renders conversations with tools, if the model has one for them
}

// Parse loads a template. What it does not know, it names with the line.
func Parse(source string) (t *Template, err error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("chat: the template has %d bytes, and at most %d are read", len(source), maxSource)
	}
	if !utf8.ValidString(source) {
		return nil, errors.New("chat: the template is not UTF-8")
	}
	defer func() {
		switch x := recover().(type) {
		case nil:
		case *loadError:
			t, err = nil, x
		case raised:
			t, err = nil, errors.New("chat: template: "+x.message)
		case runtime.Error:
			t, err = nil, errors.New("chat: template: internal fault: "+x.Error())
		default:
			panic(x)
		}
	}()
	p := &parser{tokens: lex(source)}
	body, _ := p.statements(nil)
	return &Template{text: source, body: body, scope: compile(body)}, nil
}

// Text is what the template was loaded from.
func (t *Template) Text() string { return t.text }

// Conversation is what a template renders.
type Conversation struct {
	Messages            Value     // an array of objects with "role" and "content", as [Message] makes them
	Tools               Value     // an array of tools, or null
	Documents           Value     // an array of documents, or null
	AddGenerationPrompt bool      // end with the beginning of an answer
	EnableThinking      *bool     // nil: the template decides
	BOS, EOS            string    // "": those of the configuration that the template was loaded from
	Extra               Value     // an object whose members are variables of the template, too; they win over the others
	Now                 time.Time // what strftime_now says; zero: the time of the render
}

// Span is a part of a render, from byte Start to before byte End.
type Span struct{ Start, End int }

// Render returns the conversation as the model reads it. An error is a *[RenderError], or says what is wrong with the
// conversation.
func (t *Template) Render(c Conversation) (string, error) {
	text, _, err := t.render(c)
	return text, err
}

// RenderSpans renders and says which parts stand in {% generation %}: what the model is to learn from. A template
// without any marks nothing.
func (t *Template) RenderSpans(c Conversation) (string, []Span, error) {
	text, r, err := t.render(c)
	if err != nil {
		return "", nil, err
	}
	if r.lost {
		return "", nil, errors.New("chat: the template has a {% generation %} within a macro or a block that is set or filtered, and its place in the render is not known")
	}
	return text, r.spans, nil
}

func (t *Template) render(c Conversation) (string, *run, error) {
	if t.withTools != nil && !c.Tools.IsNull() {
		t = t.withTools
	}
	vars := map[string]value{}
	for name, token := range t.tokens {
		vars[name] = token
	}
	// A token that is not there is an undefined name, as transformers has it.
	if c.BOS != "" {
		vars["bos_token"] = c.BOS
	}
	if c.EOS != "" {
		vars["eos_token"] = c.EOS
	}
	vars["messages"] = c.Messages.value()
	vars["tools"] = c.Tools.value()
	vars["documents"] = c.Documents.value()
	vars["add_generation_prompt"] = c.AddGenerationPrompt
	if c.EnableThinking != nil {
		vars["enable_thinking"] = *c.EnableThinking
	}
	if !c.Extra.IsNull() {
		if err := addVariables(vars, c.Extra); err != nil {
			return "", nil, err
		}
	}
	return t.execute(vars, c.Now)
}

// RenderVariables renders with the variables that are the members of an object, and no others: a conversation's
// variables that are not among them are undefined names instead of null.
func (t *Template) RenderVariables(variables Value, now time.Time) (string, error) {
	vars := map[string]value{}
	if err := addVariables(vars, variables); err != nil {
		return "", err
	}
	text, _, err := t.execute(vars, now)
	return text, err
}

func addVariables(vars map[string]value, v Value) error {
	d, ok := v.v.(*dict)
	if !ok {
		return fmt.Errorf("chat: the variables: got %s, want an object", jsonName(v.value()))
	}
	for i, k := range d.keys {
		name, _ := k.(string)
		vars[name] = d.vals[i]
	}
	return nil
}

func (t *Template) execute(vars map[string]value, now time.Time) (string, *run, error) {
	if now.IsZero() {
		now = time.Now()
	}
	r := &run{vars: vars, now: now, out: &strings.Builder{}, line: 1}
	text, err := r.render(t)
	return text, r, err
}

func (r *run) render(t *Template) (text string, err error) {
	defer recoverRaised(func(x raised) { text, err = "", &RenderError{Line: r.line, Message: x.message, Raised: x.byUs} })
	r.exec(t.body, r.begin(t.scope, nil))
	return r.out.String(), nil
}
