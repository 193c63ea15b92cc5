package serve

import (
	"bytes"
	"encoding/json"
	"fmt"

	"bitgpu/io/chat"
	"bitgpu/io/jsonform"
)

// tool is a function that a model may call.
type tool struct {
	Type     string `json:"type"`
	Function *struct {
		Name       string          `json:"name"`
		Parameters json.RawMessage `json:"parameters"`
	} `json:"function"`
}

// given reports whether a field has a value.
func given(value json.RawMessage) bool {
	return len(value) > 0 && string(bytes.TrimSpace(value)) != "null"
}

// toolsOf returns the tools of a request.
func toolsOf(raw json.RawMessage) (tools []tool, err error) {
	if !given(raw) {
		return nil, nil
	}
	if json.Unmarshal(raw, &tools) != nil {
		return nil, invalid("tools", "got another type, want a list of tools")
	}
	for i, t := range tools {
		if t.Type != "function" || t.Function == nil || t.Function.Name == "" {
			return nil, invalid(fmt.Sprintf("tools[%d]", i), "got the type %.40q, want a function with a name", t.Type)
		}
	}
	return tools, nil
}

// form returns the form that the answer must have: a call, if tool_choice requires one, or the form that was asked for; nil
// for any text.
func (in *chatRequest) form(s *Server) (*jsonform.Form, error) {
	form, err := in.ResponseFormat.form("response_format")
	if err != nil {
		return nil, err
	}
	call, err := in.call(s)
	if form != nil && call != nil {
		return nil, unsupported("response_format", "tool_choice wants a call, which has the form of its tool")
	}
	if call != nil || err != nil {
		return call, err
	}
	return form, nil
}

// call returns the form of the call that tool_choice requires, nil if it leaves that to the model.
func (in *chatRequest) call(s *Server) (*jsonform.Form, error) {
	if !given(in.ToolChoice) {
		return nil, nil
	}
	var word string
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(in.ToolChoice, &word) != nil && (json.Unmarshal(in.ToolChoice, &named) != nil || named.Type != "function" || named.Function.Name == "") || named.Type == "" &&
		word != "auto" && word != "none" && word != "required" {
		return nil, invalid("tool_choice", `got %.100s, want auto, none, required, or {"type": "function", "function": {"name": …}}`, in.ToolChoice)
	}
	if word == "auto" || word == "none" {
		return nil, nil
	}
	tools, err := toolsOf(in.Tools)
	if err != nil {
		return nil, err
	}
	make := jsonform.JSONCall
	switch s.features.Calls {
	case chat.FunctionCalls:
		make = jsonform.FunctionCall
	case chat.OtherCalls:
		if len(tools) > 0 {
			return nil, unsupported("tool_choice", fmt.Sprintf("got %.100s, and the model's template does not write calls in a form that is known here; want auto or none", in.ToolChoice))
		}
	}
	var forms []*jsonform.Form
	for i, t := range tools {
		if word == "" && t.Function.Name != named.Function.Name {
			continue
		}
		schema := t.Function.Parameters
		if !given(schema) {
			schema = nil
		}
		form, err := make(t.Function.Name, schema)
		if err != nil {
			return nil, schemaError(err, fmt.Sprintf("tools[%d].function.parameters", i))
		}
		forms = append(forms, form)
	}
	if len(forms) == 0 {
		return nil, invalid("tool_choice", "got %.100s, and there is no such tool", in.ToolChoice)
	}
	return jsonform.OneOf(forms...), nil
}
