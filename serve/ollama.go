package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
	"bitgpu/io/jsonform"
)

// ollamaRequest are the fields that ollama's two ways to write share.
type ollamaRequest struct {
	remember
	Model     string          `json:"model"`
	Name      string          `json:"name"` // its older name
	Stream    *bool           `json:"stream"`
	Options   json.RawMessage `json:"options"`
	KeepAlive json.RawMessage `json:"keep_alive"` // the model stays loaded anyway
	Think     *bool           `json:"think"`
	Format    json.RawMessage `json:"format"` // "json", or a schema
}

// ollamaOptions are the fields of "options". Those that say how to run the model, without affecting the text, are ignored.
type ollamaOptions struct {
	sampling
	NumPredict *int            `json:"num_predict"`
	NumCtx     json.RawMessage `json:"num_ctx"` // the operator says how much room there is: a request cannot take more memory than that
	NumKeep    json.RawMessage `json:"num_keep"`
	NumBatch   json.RawMessage `json:"num_batch"`
	NumGPU     json.RawMessage `json:"num_gpu"`
	NumThread  json.RawMessage `json:"num_thread"`
	MainGPU    json.RawMessage `json:"main_gpu"`
	MMap       json.RawMessage `json:"use_mmap"`
	NUMA       json.RawMessage `json:"numa"`
}

var refusedOfOllama = map[string]string{
	"images": "the model reads text only", "suffix": "the model writes what follows a text",
	"template": "the server has one", "context": "name a memory", "logprobs": "ask for them at /v1/completions", "top_logprobs": "ask for them at /v1/completions",
}

func (in *ollamaRequest) options(c *call) (bitgpu.TokenOptions, error) {
	o := ollamaOptions{}
	// ollama's defaults.
	warm, most := 0.8, 0.9
	o.Temperature, o.TopP, o.TopK, o.RepeatPenalty = &warm, &most, 40, 1.1
	if in.Options != nil {
		if err := strictly(in.Options, &o, "options"); err != nil {
			return bitgpu.TokenOptions{}, err
		}
	}
	tokens := firstGiven(o.NumPredict, nil, defaultAnswer)
	if tokens < 0 { // ollama's way to say unlimited
		tokens = defaultAnswer
	}
	return o.sampling.options(c, tokens)
}

// form returns the form that the text must have.
func (in *ollamaRequest) form() (*jsonform.Form, error) {
	switch string(in.Format) {
	case "", "null", `""`:
		return nil, nil
	case `"json"`:
		return jsonform.Object(), nil
	}
	if in.Format[0] != '{' {
		return nil, invalid("format", `got %.40s, want "json" or a JSON schema`, in.Format)
	}
	return schemaForm(in.Format, "format")
}

// ollamaWriter writes the answer as lines, or as one object.
type ollamaWriter struct {
	c      *call
	chat   bool
	parser *chat.AnswerParser // nil for a plain text
	events *events            // nil for one object
	read   time.Time
	all    chat.Answer
}

func (w *ollamaWriter) body(a chat.Answer, done bool) map[string]any {
	body := map[string]any{"model": w.c.s.o.Name, "created_at": time.Now().UTC().Format(time.RFC3339Nano), "done": done}
	if !w.chat {
		body["response"] = a.Content
		if a.Reasoning != "" {
			body["thinking"] = a.Reasoning
		}
		return body
	}
	message := map[string]any{"role": "assistant", "content": a.Content}
	if a.Reasoning != "" {
		message["thinking"] = a.Reasoning
	}
	var calls []any
	for _, call := range a.ToolCalls {
		calls = append(calls, map[string]any{"function": map[string]any{"name": call.Name, "arguments": call.Arguments}})
	}
	if calls != nil {
		message["tool_calls"] = calls
	}
	body["message"] = message
	return body
}

func (w *ollamaWriter) show(_ int, p piece) bool {
	if w.parser == nil {
		return w.add(chat.Answer{Content: p.text})
	}
	return w.deltas(w.parser.Add(p.text))
}

func (w *ollamaWriter) deltas(deltas []chat.Delta) bool {
	for _, d := range deltas {
		a := chat.Answer{Reasoning: d.Reasoning, Content: d.Content}
		if d.Call != nil {
			a.ToolCalls = []chat.ToolCall{*d.Call}
		}
		if !w.add(a) {
			return false
		}
	}
	return true
}

func (w *ollamaWriter) add(a chat.Answer) bool {
	if w.events != nil {
		return w.events.send(w.body(a, false))
	}
	w.all.Content += a.Content
	w.all.Reasoning += a.Reasoning
	w.all.ToolCalls = append(w.all.ToolCalls, a.ToolCalls...)
	return true
}

// last is the end of an answer, with durations in nanoseconds.
func (w *ollamaWriter) last(reason string) map[string]any {
	body := w.body(w.all, true)
	now := time.Now()
	body["done_reason"] = reason
	body["total_duration"], body["load_duration"] = now.Sub(w.c.start).Nanoseconds(), 0
	if !w.read.IsZero() {
		body["prompt_eval_count"], body["prompt_eval_duration"] = w.c.usage.prompt, w.read.Sub(w.c.start).Nanoseconds()
		body["eval_count"], body["eval_duration"] = w.c.usage.written, now.Sub(w.read).Nanoseconds()
	}
	return body
}

// write reads a prompt and writes what follows, with or without a thought first.
func (w *ollamaWriter) write(in *ollamaRequest, thought jsonform.Thought, encode func(t *text) ([]uint32, error)) error {
	o, err := in.options(w.c)
	if err != nil {
		return err
	}
	form, err := in.form()
	if err != nil {
		return err
	}
	if err := w.c.s.hold(&o, form, thought); err != nil {
		return err
	}
	leave, err := w.c.place()
	if err != nil {
		return err
	}
	defer leave()
	if in.Stream == nil || *in.Stream {
		w.events = w.c.lines()
	}
	var end map[string]any
	err = func() error {
		t, err := w.c.open(in.remember)
		if err != nil {
			return err
		}
		defer t.close()
		ids, err := encode(t)
		if err != nil {
			return invalid("prompt", "%v", err)
		}
		read := w.c.read
		if w.parser != nil {
			read = w.c.readChat
		}
		if err := read(t, ids); err != nil {
			return err
		}
		w.read = time.Now()
		return w.c.choices(t, 1, o, -1, w.show, func(_ int, r bitgpu.Reason) bool {
			if w.parser != nil && !w.deltas(w.parser.End()) {
				return false
			}
			end = w.last(finishReason(r))
			return true
		})
	}()
	if w.events != nil {
		if err == nil {
			w.events.send(end)
		}
		return w.events.finish(err, "")
	}
	if err != nil {
		return err
	}
	return w.c.answer(http.StatusOK, end)
}

func (c *call) ollamaModel(in *ollamaRequest) error {
	if in.Model == "" {
		in.Model = in.Name
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	if in.Think != nil && *in.Think && !c.s.features.Thinking {
		return unsupported("think", "the model's template does not have it")
	}
	if _, err := in.options(c); err != nil { // even if the request only loads the model
		return err
	}
	if _, err := in.form(); err != nil {
		return err
	}
	return c.needText()
}

func (s *Server) ollamaGenerate(c *call) error {
	var in struct {
		ollamaRequest
		Prompt string `json:"prompt"`
		System string `json:"system"`
		Raw    bool   `json:"raw"`
	}
	if err := c.decode(&in, refusedOfOllama, true); err != nil {
		return err
	}
	if err := c.ollamaModel(&in.ollamaRequest); err != nil {
		return err
	}
	w := &ollamaWriter{c: c}
	switch {
	case in.Prompt == "" && in.Memory == "": // a request that only loads the model
		return c.answer(http.StatusOK, w.last("load"))
	case s.o.Template == nil && in.System != "":
		return unsupported("system", "the model has no chat template")
	case s.o.Template == nil || in.Raw:
		return w.write(&in.ollamaRequest, jsonform.NoThought, func(t *text) ([]uint32, error) { return c.encode(t, in.Prompt) })
	}
	var messages []chat.Value
	if in.System != "" {
		messages = append(messages, chat.Message("system", in.System))
	}
	messages = append(messages, chat.Message("user", in.Prompt))
	return w.converse(&in.ollamaRequest, chat.Conversation{Messages: chat.List(messages...), AddGenerationPrompt: true, EnableThinking: in.Think})
}

func (w *ollamaWriter) converse(in *ollamaRequest, conversation chat.Conversation) error {
	rendered, err := w.c.s.render(conversation, "messages")
	if err != nil {
		return err
	}
	thinking := chat.OpensThought(rendered.Text)
	w.parser = chat.NewAnswerParser(chat.AnswerOptions{Thinking: thinking, Tools: conversation.Tools})
	return w.write(in, w.c.s.thought(thinking, in.Think), func(*text) ([]uint32, error) { return w.c.s.model.EncodeChat(rendered) })
}

// ollamaMessage is a message in ollama's form.
type ollamaMessage struct {
	Role      string          `json:"role"`
	Content   string          `json:"content"`
	Thinking  string          `json:"thinking"`
	Images    json.RawMessage `json:"images"`
	ToolName  string          `json:"tool_name"`
	ToolCalls []struct {
		Function struct {
			Name      string     `json:"name"`
			Arguments chat.Value `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

func (m *ollamaMessage) value(at string) (chat.Value, error) {
	switch m.Role {
	case "system", "user", "assistant", "tool":
	default:
		return chat.Value{}, invalid(at+".role", "got %.40q, want system, user, assistant or tool", m.Role)
	}
	if m.Images != nil && !idle(m.Images) {
		return chat.Value{}, unsupported(at+".images", "the model reads text only")
	}
	members := []chat.Member{{Name: "role", Value: chat.String(m.Role)}, {Name: "content", Value: chat.String(m.Content)}}
	if m.Thinking != "" {
		members = append(members, chat.Member{Name: "reasoning_content", Value: chat.String(m.Thinking)})
	}
	if m.ToolName != "" {
		members = append(members, chat.Member{Name: "name", Value: chat.String(m.ToolName)})
	}
	var calls []chat.Value
	for _, call := range m.ToolCalls {
		calls = append(calls, chat.Object(chat.Member{Name: "type", Value: chat.String("function")}, chat.Member{Name: "function", Value: chat.Object(
			chat.Member{Name: "name", Value: chat.String(call.Function.Name)}, chat.Member{Name: "arguments", Value: call.Function.Arguments})}))
	}
	if calls != nil {
		members = append(members, chat.Member{Name: "tool_calls", Value: chat.List(calls...)})
	}
	return chat.Object(members...), nil
}

func (s *Server) ollamaChat(c *call) error {
	var in struct {
		ollamaRequest
		Messages []json.RawMessage `json:"messages"`
		Tools    json.RawMessage   `json:"tools"`
	}
	if err := c.decode(&in, refusedOfOllama, true); err != nil {
		return err
	}
	if err := c.ollamaModel(&in.ollamaRequest); err != nil {
		return err
	}
	w := &ollamaWriter{c: c, chat: true}
	if _, err := s.conversation(chat.List(), &chatRequest{Tools: in.Tools}); err != nil {
		return err
	}
	if len(in.Messages) == 0 {
		return c.answer(http.StatusOK, w.last("load"))
	}
	if err := s.needTemplate(); err != nil {
		return err
	}
	if len(in.Messages) > mostMessages {
		return invalid("messages", "got %d messages, want at most %d", len(in.Messages), mostMessages)
	}
	var messages []chat.Value
	for i, raw := range in.Messages {
		at := fmt.Sprintf("messages[%d]", i)
		var m ollamaMessage
		if err := strictly(raw, &m, at); err != nil {
			return err
		}
		v, err := m.value(at)
		if err != nil {
			return err
		}
		messages = append(messages, v)
	}
	conversation, err := s.conversation(chat.List(messages...), &chatRequest{Tools: in.Tools})
	if err != nil {
		return err
	}
	conversation.EnableThinking = in.Think
	return w.converse(&in.ollamaRequest, conversation)
}
