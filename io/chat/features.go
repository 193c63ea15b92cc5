package chat

import "strings"

// Features says what a template does with a conversation.
type Features struct {
	System    bool // it renders system messages
	Tools     bool // it renders tools
	ToolCalls bool // it renders the tool calls of assistant messages
	Thinking  bool // EnableThinking changes the result, or answers begin inside a thought
	Calls     CallForm
}

// CallForm is the form in which a template writes tool calls of assistant messages, and in which its model therefore writes
// them too.
type CallForm byte

const (
	OtherCalls    CallForm = iota // none, or a form that [AnswerParser] does not read
	JSONCalls                     // an object with name and arguments inside <tool_call>
	FunctionCalls                 // <function=NAME> and its parameters, each on its own lines, inside <tool_call>
)

// Features finds out by rendering short conversations.
func (t *Template) Features() Features {
	const probe = "qzprobe"
	render := func(c Conversation) string {
		c.BOS, c.EOS = "<s>", "</s>" // templates that prepend them fail without
		text, err := t.Render(c)
		if err != nil {
			return ""
		}
		return text
	}
	shows := func(c Conversation) bool { return strings.Contains(render(c), probe) }
	user := Message("user", "Hello")
	str := func(name, s string) Member { return Member{name, String(s)} }
	function := Object(str("name", probe), str("description", "A tool."), Member{"parameters", Object(str("type", "object"),
		Member{"properties", Object(Member{"place", Object(str("type", "string"), str("description", "A place."))})},
		Member{"required", List(String("place"))})})
	tools := List(Object(str("type", "function"), Member{"function", function}))
	call := func(arguments Value) Conversation {
		calls := List(Object(str("id", "call00001"), str("type", "function"),
			Member{"function", Object(str("name", probe), Member{"arguments", arguments})}))
		asked := Object(str("role", "assistant"), str("content", ""), Member{"tool_calls", calls})
		answer := Object(str("role", "tool"), str("tool_call_id", "call00001"), str("name", "other"), str("content", "ok"))
		return Conversation{Messages: List(user, asked, answer)}
	}
	on, off := true, false
	prompt := func(think *bool) string {
		text, _ := t.Render(Conversation{Messages: List(user), AddGenerationPrompt: true, EnableThinking: think, BOS: "<s>", EOS: "</s>"})
		return text
	}
	asked, form := render(call(Object(str("place", "Bern")))), OtherCalls
	switch {
	case strings.Contains(asked, callOpen+"\n{\"name\": \""+probe+"\", \"arguments\": {\"place\": \"Bern\"}}\n"+callClose):
		form = JSONCalls
	case strings.Contains(asked, callOpen+"\n"+funcOpen+probe+">\n<parameter=place>\nBern\n</parameter>\n"+funcClose+"\n"+callClose):
		form = FunctionCalls
	}
	return Features{
		Calls:     form,
		System:    shows(Conversation{Messages: List(Message("system", probe), user)}),
		Tools:     shows(Conversation{Messages: List(user), Tools: tools}),
		ToolCalls: strings.Contains(asked, probe) || shows(call(String(`{"place": "Bern"}`))),
		Thinking:  prompt(&on) != prompt(&off) || OpensThought(prompt(nil)),
	}
}

// Continue renders a conversation that has grown since the model read the text `read`, its own answer included, and returns
// what follows that text. ok is false if the rendering does not begin with it, for example because the template drops the
// thoughts of earlier answers; then the model must read the whole rendering again.
func (t *Template) Continue(read string, c Conversation) (suffix string, ok bool, err error) {
	text, err := t.Render(c)
	if err != nil {
		return "", false, err
	}
	suffix, ok = strings.CutPrefix(text, read)
	return suffix, ok, nil
}
