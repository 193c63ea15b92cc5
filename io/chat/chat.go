package chat

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

// Template is a loaded chat template. Several goroutines may use it at once.
type Template struct {
	text   string
	body   []stmt
	scope  *scope
	tokens map[string]value // special tokens by name, bos_token and so on

	withTools *Template // renders conversations with tools, if the model has one for them
}

// Parse loads a template. For a construct that it does not know, the error names the construct and the line.
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

// Text returns the template's source.
func (t *Template) Text() string { return t.text }

// Conversation is what a template renders.
type Conversation struct {
	Messages            Value     // an array of objects with "role" and "content", as [Message] makes them
	Tools               Value     // an array of tools, or null
	Documents           Value     // an array of documents, or null
	AddGenerationPrompt bool      // end with the start of an answer
	EnableThinking      *bool     // nil: the template decides
	BOS, EOS            string    // "": those of the configuration that came with the template
	Extra               Value     // an object whose members become variables of the template; they override the others
	Now                 time.Time // the time for strftime_now; zero: now
}

// Span is bytes Start to End of a rendering, End excluded.
type Span struct{ Start, End int }

// Render returns the conversation as the model reads it. The error is a *[RenderError], or says what is wrong with the
// conversation.
func (t *Template) Render(c Conversation) (string, error) {
	text, _, err := t.render(c)
	return text, err
}

// RenderSpans is Render, and also returns the parts inside {% generation %}, which the model is to learn from. Without such
// blocks there are none.
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
	// As in transformers, a missing token is an undefined name.
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

// RenderVariables renders with exactly the members of an object as variables. Variables of a conversation that are not among
// them are undefined instead of null.
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
