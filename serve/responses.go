package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"bitgpu"
	"bitgpu/io/chat"
	"bitgpu/io/jsonform"
)

var refusedOfResponses = map[string]string{
	"tools": "offer them at /v1/chat/completions", "tool_choice": "offer tools at /v1/chat/completions", "background": "an answer is waited for",
	"conversation": "name previous_response_id", "reasoning": "the model has no such setting", "include": "there is nothing more",
	"prompt": "there are no stored prompts", "max_tool_calls": "there are no tools here", "service_tier": "there is one",
	"parallel_tool_calls": "there are no tools here", "top_logprobs": "ask for them at /v1/chat/completions", "stream_options": "usage always comes",
}

type responseRequest struct {
	unused
	Model        string          `json:"model"`
	Input        json.RawMessage `json:"input"`
	Instructions *string         `json:"instructions"`
	Previous     *string         `json:"previous_response_id"`
	MaxTokens    *int            `json:"max_output_tokens"`
	Temperature  *float64        `json:"temperature"`
	TopP         *float64        `json:"top_p"`
	Seed         *int64          `json:"seed"`
	Stream       bool            `json:"stream"`
	Store        *bool           `json:"store"`
	Truncation   *string         `json:"truncation"`
	Text         *struct {
		Format *struct { // of a schema, without the enclosing object that chats have
			Type        string          `json:"type"`
			Name        string          `json:"name,omitempty"`
			Description string          `json:"description,omitempty"`
			Schema      json.RawMessage `json:"schema,omitempty"`
			Strict      *bool           `json:"strict,omitempty"`
		} `json:"format"`
	} `json:"text"`
}

// form returns the form that the answer must have.
func (in *responseRequest) form() (*jsonform.Form, error) {
	if in.Text == nil || in.Text.Format == nil {
		return nil, nil
	}
	f := in.Text.Format
	if f.Type != "json_schema" {
		return (&responseFormat{Type: f.Type}).form("text.format")
	}
	if f.Schema == nil {
		return nil, invalid("text.format.schema", "got none, want a JSON schema")
	}
	return schemaForm(f.Schema, "text.format.schema")
}

// inputMessages returns the messages of a text, or of a list of them.
func inputMessages(raw json.RawMessage) ([]chat.Value, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil && len(raw) > 0 && raw[0] == '"' {
		return []chat.Value{chat.Message("user", text)}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil || len(items) == 0 || len(items) > mostMessages {
		return nil, invalid("input", "got no text and no list of messages, want one of them")
	}
	var messages []chat.Value
	for i, item := range items {
		at := fmt.Sprintf("input[%d]", i)
		var in struct {
			Type    string          `json:"type"`
			ID      json.RawMessage `json:"id"`
			Status  json.RawMessage `json:"status"`
			Role    string          `json:"role"`
			Content json.RawMessage `json:"content"`
		}
		if err := strictly(item, &in, at); err != nil {
			return nil, err
		}
		if in.Content == nil && (in.Type == "" || in.Type == "message") {
			return nil, invalid(at+".content", "got none, want a text or parts of it")
		}
		if in.Type != "" && in.Type != "message" {
			return nil, unsupported(at+".type", fmt.Sprintf("got %.40q, want message", in.Type))
		}
		v, err := (&chatMessage{Role: in.Role, Content: in.Content}).value(at)
		if err != nil {
			return nil, err
		}
		messages = append(messages, v)
	}
	return messages, nil
}

func (s *Server) responses(c *call) error {
	var in responseRequest
	if err := c.decode(&in, refusedOfResponses, false); err != nil {
		return err
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	if err := s.needTemplate(); err != nil {
		return err
	}
	messages, err := inputMessages(in.Input)
	if err != nil {
		return err
	}
	p := sampling{Temperature: in.Temperature, TopP: in.TopP, Seed: in.Seed}
	o, err := p.options(c, firstGiven(in.MaxTokens, nil, defaultAnswer))
	switch {
	case err != nil:
		return err
	case in.Truncation != nil && *in.Truncation != "disabled":
		return unsupported("truncation", "a memory has no end")
	}
	form, err := in.form()
	if err != nil {
		return err
	}
	w := &responseWriter{c: c, in: &in, form: form, id: "resp_" + c.id, message: "msg_" + c.id, o: o}
	leave, err := c.place()
	if err != nil {
		return err
	}
	defer leave()
	t, err := w.open(messages)
	if err != nil {
		return err
	}
	defer t.close()
	if in.Stream {
		w.events = c.stream()
		defer w.events.close()
		w.created()
	}
	err = w.write(t)
	if w.events != nil {
		return w.events.finish(err, "")
	}
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, w.final)
}

// open begins the conversation, or continues an earlier one, and finds what has to be read.
func (w *responseWriter) open(messages []chat.Value) (*text, error) {
	t := &text{fresh: true, ending: &w.c.ending}
	var before *kept
	if w.in.Previous != nil {
		var err error
		if before, t.session, err = w.c.s.answers.find(w.c.owner, *w.in.Previous, true); err != nil {
			return nil, err
		}
		messages = slices.Concat(before.messages, messages)
	}
	w.messages = messages
	if w.in.Instructions != nil {
		messages = append([]chat.Value{chat.Message("system", *w.in.Instructions)}, messages...)
	}
	rendered, err := w.c.s.render(chat.Conversation{Messages: chat.List(messages...), AddGenerationPrompt: true}, "input")
	if err != nil {
		t.close()
		return nil, err
	}
	w.rendered, w.fresh = rendered, rendered
	if before != nil && len(rendered.Text) > len(before.read) && rendered.Text[:len(before.read)] == before.read {
		w.fresh, t.fresh = rendered.After(len(before.read)), false
		w.c.usage.cached = int(t.session.Position())
		w.c.usage.prompt = w.c.usage.cached
		return t, nil
	}
	t.close()
	t.session, err = w.c.s.model.NewSession()
	return t, err
}

// responseWriter writes a response, whole or as events.
type responseWriter struct {
	c           *call
	in          *responseRequest
	form        *jsonform.Form // nil: any text
	o           bitgpu.TokenOptions
	id, message string
	messages    []chat.Value
	rendered    bitgpu.ChatPrompt // the conversation
	fresh       bitgpu.ChatPrompt // the part that has to be read
	events      *events
	sequence    int
	raw         string // what the model wrote
	answer      chat.Answer
	final       map[string]any
}

func (w *responseWriter) event(name string, fields map[string]any) bool {
	fields["type"], fields["sequence_number"] = name, w.sequence
	w.sequence++
	return w.events.named(name, fields)
}

func (w *responseWriter) created() {
	w.event("response.created", map[string]any{"response": w.body("in_progress", nil)})
	w.event("response.in_progress", map[string]any{"response": w.body("in_progress", nil)})
	w.event("response.output_item.added", map[string]any{"output_index": 0, "item": w.item("in_progress", []any{})})
	w.event("response.content_part.added", map[string]any{"item_id": w.message, "output_index": 0, "content_index": 0, "part": part("")})
}

func part(text string) map[string]any {
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func (w *responseWriter) item(status string, content []any) map[string]any {
	return map[string]any{"id": w.message, "type": "message", "status": status, "role": "assistant", "content": content}
}

func (w *responseWriter) body(status string, output []any) map[string]any {
	if output == nil {
		output = []any{}
	}
	topP := 1.0
	if w.in.TopP != nil {
		topP = *w.in.TopP
	}
	return map[string]any{
		"id": w.id, "object": "response", "created_at": w.c.start.Unix(), "status": status, "error": nil, "incomplete_details": nil,
		"instructions": w.in.Instructions, "max_output_tokens": w.in.MaxTokens, "model": w.c.s.o.Name, "output": output,
		"parallel_tool_calls": false, "previous_response_id": w.in.Previous, "store": w.stored(), "temperature": w.o.Temperature, "top_p": topP,
		"text": map[string]any{"format": w.format()}, "tool_choice": "none", "tools": []any{}, "truncation": "disabled",
		"metadata": map[string]any{}, "usage": nil,
	}
}

// format returns the format that was asked for.
func (w *responseWriter) format() any {
	if w.in.Text == nil || w.in.Text.Format == nil {
		return map[string]any{"type": "text"}
	}
	return w.in.Text.Format
}

func (w *responseWriter) stored() bool { return w.in.Store == nil || *w.in.Store }

func (w *responseWriter) write(t *text) error {
	ids, err := w.c.s.model.EncodeChat(w.fresh)
	if err != nil {
		return invalid("input", "%v", err)
	}
	if err := w.c.readChat(t, ids); err != nil {
		return err
	}
	thinking := chat.OpensThought(w.rendered.Text)
	if err := w.c.s.hold(&w.o, w.form, w.c.s.thought(thinking, nil)); err != nil {
		return err
	}
	parser := chat.NewAnswerParser(chat.AnswerOptions{Thinking: thinking})
	reason, err := w.c.write(t.session, w.o, -1, func(p piece) bool {
		w.raw += p.text
		return w.deltas(parser.Add(p.text))
	})
	if err != nil {
		return err
	}
	if !w.deltas(parser.End()) {
		return errGone
	}
	w.end(reason)
	if w.stored() {
		messages := append(slices.Clip(w.messages), chat.Message("assistant", w.answer.Content))
		state, err := t.session.Snapshot()
		if err != nil {
			return err
		}
		w.c.s.answers.add(&kept{w.id, w.c.owner, w.final, messages, w.rendered.Text + w.raw, state})
	}
	if w.events != nil && !w.event("response."+w.final["status"].(string), map[string]any{"response": w.final}) {
		return errGone
	}
	return nil
}

func (w *responseWriter) deltas(deltas []chat.Delta) bool {
	for _, d := range deltas {
		w.answer.Reasoning += d.Reasoning
		w.answer.Content += d.Content
		if w.events != nil && d.Content != "" && !w.event("response.output_text.delta", map[string]any{
			"item_id": w.message, "output_index": 0, "content_index": 0, "delta": d.Content, "logprobs": []any{}}) {
			return false
		}
	}
	return true
}

func (w *responseWriter) end(reason bitgpu.Reason) {
	status := "completed"
	if finishReason(reason) == "length" {
		status = "incomplete"
	}
	text := part(w.answer.Content)
	item := w.item(status, []any{text})
	if w.events != nil {
		place := func() map[string]any {
			return map[string]any{"item_id": w.message, "output_index": 0, "content_index": 0}
		}
		done, ended := place(), place()
		done["text"], done["logprobs"], ended["part"] = w.answer.Content, []any{}, text
		w.event("response.output_text.done", done)
		w.event("response.content_part.done", ended)
		w.event("response.output_item.done", map[string]any{"output_index": 0, "item": item})
	}
	u := w.c.usage
	w.final = w.body(status, []any{item})
	if status == "incomplete" {
		w.final["incomplete_details"] = map[string]any{"reason": "max_output_tokens"}
	} else {
		w.final["completed_at"] = time.Now().Unix()
	}
	w.final["usage"] = map[string]any{
		"input_tokens": u.prompt, "input_tokens_details": map[string]any{"cached_tokens": u.cached},
		"output_tokens": u.written, "output_tokens_details": map[string]any{"reasoning_tokens": 0}, "total_tokens": u.prompt + u.written,
	}
}

func (s *Server) getResponse(c *call) error {
	k, _, err := s.answers.find(c.owner, c.r.PathValue("id"), false)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, k.body)
}

func (s *Server) deleteResponse(c *call) error {
	id := c.r.PathValue("id")
	if err := s.answers.delete(c.owner, id); err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"id": id, "object": "response", "deleted": true})
}
