package serve

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
)

// refusedOfChat are fields of OpenAI's API that have no effect here.
var refusedOfChat = map[string]string{
	"functions": "give them as tools", "function_call": "give tools",
	"modalities": "the model writes text", "audio": "the model writes text", "prediction": "there is no draft",
	"web_search_options": "there is no search", "reasoning_effort": "whether the model thinks is enable_thinking, where its template has it",
	"store": "answers are not kept; name a memory, or use /v1/responses", "verbosity": "the model has no such setting",
	"parallel_tool_calls": "how many tools are called is the model's choice", "service_tier": "there is one",
	"documents": "give them in a message", "best_of": "ask for n answers and choose", "chat_template": "the server has one",
	"echo": "an answer has no prompt", "add_generation_prompt": "an answer always begins", "lora": "there are no adapters",
}

type chatRequest struct {
	sampling
	remember
	streaming
	unused
	Model               string            `json:"model"`
	Messages            []json.RawMessage `json:"messages"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	N                   *int              `json:"n"`
	LogProbs            bool              `json:"logprobs"`
	TopLogProbs         *int              `json:"top_logprobs"`
	Tools               json.RawMessage   `json:"tools"`
	ToolChoice          json.RawMessage   `json:"tool_choice"`
	EnableThinking      *bool             `json:"enable_thinking"`
	TemplateVariables   chat.Value        `json:"chat_template_kwargs"`
	ResponseFormat      *responseFormat   `json:"response_format"`
}

// needTemplate returns an error if the model has no chat template.
func (s *Server) needTemplate() error {
	if s.o.Template == nil {
		return &apiError{status: 400, code: "no_chat_template", param: "messages",
			message: "messages: the model has no chat template, so it has not learned how a conversation is written; use /v1/completions, or serve it with --chat-template"}
	}
	return nil
}

// render renders a conversation, in which nobody can write a control token.
func (s *Server) render(c chat.Conversation, field string) (bitgpu.ChatPrompt, error) {
	var own *chat.Template
	if s.ownTemplate {
		own = s.o.Template
	}
	rendered, err := s.model.RenderChat(own, c)
	if err != nil {
		return rendered, &apiError{status: 400, code: "chat_template", param: field, message: field + ": " + err.Error()}
	}
	return rendered, nil
}

// conversation returns what the template renders.
func (s *Server) conversation(messages chat.Value, in *chatRequest) (chat.Conversation, error) {
	c := chat.Conversation{Messages: messages, AddGenerationPrompt: true, EnableThinking: in.EnableThinking, Extra: in.TemplateVariables}
	if in.EnableThinking != nil && !s.features.Thinking {
		return c, unsupported("enable_thinking", "the model's template does not have it")
	}
	tools, err := toolsOf(in.Tools)
	if err != nil || len(tools) == 0 || string(in.ToolChoice) == `"none"` {
		return c, err
	}
	if !s.features.Tools {
		return c, unsupported("tools", "the model's template does not have them")
	}
	if c.Tools, err = chat.DecodeJSON(in.Tools); err != nil {
		return c, invalid("tools", "%v", err)
	}
	return c, nil
}

func (s *Server) chat(c *call) error {
	var in chatRequest
	if err := c.decode(&in, refusedOfChat, false); err != nil {
		return err
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	messages, err := messagesOf(in.Messages)
	if err != nil {
		return err
	}
	if err := s.needTemplate(); err != nil {
		return err
	}
	o, err := in.options(c, firstGiven(in.MaxCompletionTokens, in.MaxTokens, defaultAnswer))
	if err != nil {
		return err
	}
	n, top := firstGiven(in.N, nil, 1), -1
	if in.LogProbs {
		top = firstGiven(in.TopLogProbs, nil, 0)
	}
	switch {
	case n < 1 || n > mostChoices:
		return invalid("n", "got %d, want 1 to %d", n, mostChoices)
	case in.TopLogProbs != nil && !in.LogProbs:
		return invalid("top_logprobs", "got %d without logprobs, want it with them", *in.TopLogProbs)
	case top > mostTopLogProbs || in.LogProbs && top < 0:
		return invalid("top_logprobs", "got %d, want 0 to %d", top, mostTopLogProbs)
	case n > 1 && in.Memory != "" && (in.Learn == nil || *in.Learn):
		return invalid("n", "got %d where a memory learns, want 1", n)
	}
	if err := in.check(); err != nil {
		return err
	}
	conversation, err := s.conversation(messages, &in)
	if err != nil {
		return err
	}
	rendered, err := s.render(conversation, "messages")
	if err != nil {
		return err
	}
	thinking := chat.OpensThought(rendered.Text)
	form, err := in.form(s)
	if err != nil {
		return err
	}
	if err := s.hold(&o, form, s.thought(thinking, in.EnableThinking)); err != nil {
		return err
	}
	w := &chatWriter{
		c: c, usage: in.usage(), logs: in.LogProbs, id: "chatcmpl-" + c.id, created: time.Now().Unix(),
		options: chat.AnswerOptions{Thinking: thinking, Tools: conversation.Tools},
	}
	return c.converse(w, &in, rendered, n, o, top)
}

// converse reads a rendered conversation and answers it.
func (c *call) converse(w *chatWriter, in *chatRequest, rendered bitgpu.ChatPrompt, n int, o bitgpu.TokenOptions, top int) error {
	leave, err := c.place()
	if err != nil {
		return err
	}
	defer leave()
	if in.Stream {
		w.events = c.stream()
		defer w.events.close()
	}
	err = c.converseIn(w, in.remember, rendered, n, o, top)
	if w.events != nil {
		if err == nil && w.usage {
			chunk := w.body("chat.completion.chunk", []any{})
			chunk["usage"] = c.usage.body()
			w.events.send(chunk)
		}
		return w.events.finish(err, sseDone)
	}
	if err != nil {
		return err
	}
	body := w.body("chat.completion", w.choices)
	body["usage"] = c.usage.body()
	return c.answer(200, body)
}

func (c *call) converseIn(w *chatWriter, m remember, rendered bitgpu.ChatPrompt, n int, o bitgpu.TokenOptions, top int) error {
	t, err := c.open(m)
	if err != nil {
		return err
	}
	defer t.close()
	ids, err := c.s.model.EncodeChat(rendered)
	if err != nil {
		return invalid("messages", "%v", err)
	}
	if err := c.readChat(t, ids); err != nil {
		return err
	}
	return c.choices(t, n, o, top, w.show, w.end)
}

// chatWriter writes the choices of a conversation, whole or in pieces.
type chatWriter struct {
	c       *call
	usage   bool // every piece has a usage, which is null except in the last
	logs    bool
	options chat.AnswerOptions
	id      string
	created int64
	events  *events // nil for an answer in one piece

	parser  *chat.AnswerParser // of the current choice
	answer  chat.Answer
	log     []tokenLogProb
	calls   int
	choices []any
}

func (w *chatWriter) body(object string, choices []any) map[string]any {
	body := map[string]any{"id": w.id, "object": object, "created": w.created, "model": w.c.s.o.Name, "choices": choices, "system_fingerprint": w.c.s.model.ID()}
	if w.usage && w.events != nil {
		body["usage"] = nil
	}
	return body
}

// begin begins a choice, whose first piece names the role.
func (w *chatWriter) begin(i int) bool {
	if w.parser != nil {
		return true
	}
	w.parser, w.answer, w.log, w.calls = chat.NewAnswerParser(w.options), chat.Answer{}, nil, 0
	return w.events == nil || w.send(i, map[string]any{"role": "assistant", "content": ""}, nil, nil)
}

func (w *chatWriter) send(i int, delta map[string]any, logs, reason any) bool {
	choice := map[string]any{"index": i, "delta": delta, "logprobs": logs, "finish_reason": reason}
	return w.events.send(w.body("chat.completion.chunk", []any{choice}))
}

func (w *chatWriter) show(i int, p piece) bool {
	if !w.begin(i) {
		return false
	}
	w.log = append(w.log, p.logProbs...)
	return w.deltas(i, w.parser.Add(p.text))
}

// deltas takes what the parser has returned.
func (w *chatWriter) deltas(i int, deltas []chat.Delta) bool {
	for _, d := range deltas {
		delta := map[string]any{}
		switch {
		case d.Reasoning != "":
			w.answer.Reasoning += d.Reasoning
			delta["reasoning_content"] = d.Reasoning
		case d.Content != "":
			w.answer.Content += d.Content
			delta["content"] = d.Content
		case d.Call != nil:
			w.answer.ToolCalls = append(w.answer.ToolCalls, *d.Call)
			call := w.toolCall(*d.Call)
			call["index"] = w.calls
			w.calls++
			delta["tool_calls"] = []any{call}
		default:
			continue
		}
		if w.events != nil && !w.send(i, delta, w.logProbs(), nil) {
			return false
		}
	}
	return true
}

func (w *chatWriter) toolCall(call chat.ToolCall) map[string]any {
	arguments, err := call.Arguments.MarshalJSON()
	if err != nil {
		arguments = []byte("{}")
	}
	return map[string]any{"id": fmt.Sprintf("call_%s_%d", w.c.id[:12], w.calls), "type": "function",
		"function": map[string]any{"name": call.Name, "arguments": string(arguments)}}
}

func (w *chatWriter) end(i int, r bitgpu.Reason) bool {
	if !w.begin(i) || !w.deltas(i, w.parser.End()) {
		return false
	}
	reason := finishReason(r)
	if len(w.answer.ToolCalls) > 0 && reason == "stop" {
		reason = "tool_calls"
	}
	defer func() { w.parser = nil }()
	if w.events != nil {
		return w.send(i, map[string]any{}, w.logProbs(), reason)
	}
	message := map[string]any{"role": "assistant", "content": w.answer.Content, "refusal": nil}
	if w.answer.Reasoning != "" {
		message["reasoning_content"] = w.answer.Reasoning
	}
	if len(w.answer.ToolCalls) > 0 {
		w.calls = 0
		var calls []any
		for _, call := range w.answer.ToolCalls {
			calls = append(calls, w.toolCall(call))
			w.calls++
		}
		message["tool_calls"] = calls
		if w.answer.Content == "" {
			message["content"] = nil
		}
	}
	w.choices = append(w.choices, map[string]any{"index": i, "message": message, "logprobs": w.logProbs(), "finish_reason": reason})
	return true
}

// logProbs returns the probabilities of the tokens that have not been shown yet, in OpenAI's form; nil if they were not asked
// for.
func (w *chatWriter) logProbs() any {
	if !w.logs {
		return nil
	}
	content := []any{}
	for _, t := range w.log {
		top := []any{}
		for _, other := range t.top {
			top = append(top, w.token(other))
		}
		token := w.token(t)
		token["top_logprobs"] = top
		content = append(content, token)
	}
	w.log = nil
	return map[string]any{"content": content, "refusal": nil}
}

func (w *chatWriter) token(t tokenLogProb) map[string]any {
	text := w.c.tokenText(t.id)
	token := map[string]any{"token": text, "logprob": t.log, "bytes": nil}
	if !strings.HasPrefix(text, "token:") {
		numbers := []int{}
		for _, b := range []byte(text) {
			numbers = append(numbers, int(b))
		}
		token["bytes"] = numbers
	}
	return token
}
