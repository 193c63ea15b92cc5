package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"bitgpu/io/chat"
)

// chatMessage is a message of a conversation in OpenAI's form.
type chatMessage struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	Name             *string         `json:"name"`
	ReasoningContent *string         `json:"reasoning_content"`
	Refusal          json.RawMessage `json:"refusal"`
	Audio            json.RawMessage `json:"audio"`
	FunctionCall     json.RawMessage `json:"function_call"`
	ToolCallID       *string         `json:"tool_call_id"`
	ToolCalls        []struct {
		ID       string `json:"id"`
		Type     string `json:"type"`
		Index    *int   `json:"index"` // present in a stream
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
	Annotations json.RawMessage `json:"annotations"`
}

// mostMessages limits the length of a conversation.
const mostMessages = 10_000

// messagesOf converts the messages of a request to what templates accept.
func messagesOf(raw []json.RawMessage) (chat.Value, error) {
	if len(raw) == 0 || len(raw) > mostMessages {
		return chat.Value{}, invalid("messages", "got %d messages, want 1 to %d", len(raw), mostMessages)
	}
	var all []chat.Value
	for i, data := range raw {
		at := fmt.Sprintf("messages[%d]", i)
		var m chatMessage
		if err := strictly(data, &m, at); err != nil {
			return chat.Value{}, err
		}
		v, err := m.value(at)
		if err != nil {
			return chat.Value{}, err
		}
		all = append(all, v)
	}
	return chat.List(all...), nil
}

func (m *chatMessage) value(at string) (chat.Value, error) {
	var none chat.Value
	role := m.Role
	switch role {
	case "system", "user", "assistant", "tool":
	case "developer": // OpenAI's newer name for it
		role = "system"
	default:
		return none, invalid(at+".role", "got %.40q, want system, developer, user, assistant or tool", m.Role)
	}
	for name, field := range map[string]json.RawMessage{"refusal": m.Refusal, "audio": m.Audio, "function_call": m.FunctionCall} {
		if field != nil && !idle(field) {
			return none, unsupported(at+"."+name, "messages are text and tool calls")
		}
	}
	text, err := contentText(m.Content, at+".content")
	if err != nil {
		return none, err
	}
	content := chat.String(text)
	if text == "" && len(m.ToolCalls) > 0 && idle(m.Content) {
		content = chat.Value{}
	}
	members := []chat.Member{{Name: "role", Value: chat.String(role)}, {Name: "content", Value: content}}
	add := func(name string, s *string) {
		if s != nil {
			members = append(members, chat.Member{Name: name, Value: chat.String(*s)})
		}
	}
	add("name", m.Name)
	add("reasoning_content", m.ReasoningContent)
	add("tool_call_id", m.ToolCallID)
	var calls []chat.Value
	for i, call := range m.ToolCalls {
		// Templates expect the arguments as an object, not as text.
		arguments, err := chat.DecodeJSON([]byte(call.Function.Arguments))
		if err != nil || !strings.HasPrefix(strings.TrimSpace(call.Function.Arguments), "{") {
			return none, invalid(fmt.Sprintf("%s.tool_calls[%d].function.arguments", at, i), "got a text that is no JSON object")
		}
		calls = append(calls, chat.Object(
			chat.Member{Name: "id", Value: chat.String(call.ID)}, chat.Member{Name: "type", Value: chat.String("function")},
			chat.Member{Name: "function", Value: chat.Object(
				chat.Member{Name: "name", Value: chat.String(call.Function.Name)}, chat.Member{Name: "arguments", Value: arguments})}))
	}
	if calls != nil {
		members = append(members, chat.Member{Name: "tool_calls", Value: chat.List(calls...)})
	}
	return chat.Object(members...), nil
}

// contentText returns the text of a message: a string, or parts that are text.
func contentText(raw json.RawMessage, at string) (string, error) {
	raw = bytes.TrimSpace(raw)
	var text string
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", invalid(at, "got another type, want a text or parts of it")
	}
	var all strings.Builder
	for i, part := range parts {
		switch part.Type {
		case "text", "input_text", "output_text":
			all.WriteString(part.Text)
		default:
			return "", unsupported(fmt.Sprintf("%s[%d].type", at, i), fmt.Sprintf("got %.40q, and the model reads text only", part.Type))
		}
	}
	return all.String(), nil
}
