package serve

import (
	"fmt"
	"net/http"
)

func (s *Server) health(c *call) error {
	status, word := http.StatusOK, "ok"
	if s.draining() {
		status, word = http.StatusServiceUnavailable, "draining"
		c.w.Header().Set("Retry-After", "5")
	}
	busy, waiting := s.gate.counts()
	return c.answer(status, map[string]any{"status": word, "busy": busy, "queued": waiting})
}

// Loading returns a handler for the time while a model is loading. It answers everything with 503.
func Loading() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{w: &recorder{ResponseWriter: w, pace: pace{stall: defaultStall}}, r: r}
		c.refuse(unavailable("loading", "the model is being loaded"))
	})
}

func (s *Server) modelBody() map[string]any {
	c := s.model.Config()
	return map[string]any{
		"id": s.o.Name, "object": "model", "created": s.created.Unix(), "owned_by": "bitgpu",
		"bitgpu": map[string]any{
			"model": s.model.ID(), "width": c.Width, "layers": c.Layers, "vocabulary": c.Vocab, "mixer": c.Mixer, "device": s.model.Device(),
			"context": s.model.Context(), "weight_bytes": s.model.WeightBytes(), "memory_bytes": s.store.measured().largest(),
			"chat": s.o.Template != nil, "tools": s.features.Tools, "thinking": s.features.Thinking, "system": s.features.System, "picture": c.Decoder == nil,
		},
	}
}

func (s *Server) models(c *call) error {
	return c.answer(http.StatusOK, map[string]any{"object": "list", "data": []any{s.modelBody()}})
}

func (s *Server) oneModel(c *call) error {
	if err := c.checkModel(c.r.PathValue("id")); err != nil {
		return err
	}
	return c.answer(http.StatusOK, s.modelBody())
}

func (s *Server) embeddings(c *call) error {
	return unsupported("embeddings", "the model predicts tokens, and none of its numbers was trained to be a text's place")
}

// tokenize returns the ids of a text, like vLLM and llama.cpp, which use different fields.
func (s *Server) tokenize(c *call) error {
	var in struct {
		Model      string  `json:"model"`
		Prompt     *string `json:"prompt"`
		Content    *string `json:"content"`
		Special    *bool   `json:"add_special_tokens"`
		Special2   *bool   `json:"add_special"`
		WithPieces bool    `json:"with_pieces"`
		Strings    bool    `json:"return_token_strs"`
	}
	if err := c.decode(&in, map[string]string{"messages": "give the text itself as prompt"}, false); err != nil {
		return err
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	text := in.Prompt
	if text == nil {
		text = in.Content
	}
	if text == nil || in.Prompt != nil && in.Content != nil {
		return invalid("prompt", "got both or none of prompt and content, want one of them")
	}
	special := in.Special
	if special == nil {
		special = in.Special2
	}
	ids, err := s.model.Encode(*text, special == nil || *special)
	if err != nil {
		return err
	}
	if ids == nil {
		ids = []uint32{}
	}
	body := map[string]any{"tokens": ids, "count": len(ids)}
	if in.WithPieces || in.Strings {
		pieces, texts := []any{}, []string{}
		for _, id := range ids {
			texts = append(texts, c.tokenText(id))
			pieces = append(pieces, map[string]any{"id": id, "piece": c.tokenText(id)})
		}
		if in.WithPieces {
			body["tokens"] = pieces
		}
		if in.Strings {
			body["token_strs"] = texts
		}
	}
	return c.answer(http.StatusOK, body)
}

func (s *Server) detokenize(c *call) error {
	var in struct {
		Model  string `json:"model"`
		Tokens ids    `json:"tokens"`
	}
	if err := c.decode(&in, nil, false); err != nil {
		return err
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	text, err := s.model.Decode(in.Tokens)
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"prompt": text, "content": text})
}

func (s *Server) tokenizerInfo(c *call) error {
	if err := c.needText(); err != nil {
		return err
	}
	ends := []any{}
	for _, id := range s.model.EndOfText() {
		ends = append(ends, map[string]any{"id": id, "token": c.tokenText(id)})
	}
	// vLLM's names, which let clients encode as the server does.
	body := map[string]any{"vocabulary": s.model.Config().Vocab, "end_of_text": ends, "eos_token": nil, "bos_token": nil, "chat_template": nil}
	if len(ends) > 0 {
		body["eos_token"] = ends[0].(map[string]any)["token"]
	}
	if prefix, err := s.model.Encode("", true); err == nil && len(prefix) > 0 {
		body["bos_token"] = c.tokenText(prefix[0])
	}
	if s.o.Template != nil {
		body["chat_template"] = s.o.Template.Text()
	}
	return c.answer(http.StatusOK, body)
}

func (s *Server) logPanic(c *call, x any) {
	s.o.Log.Error("panic", "request", c.id, "path", c.r.URL.Path, "panic", fmt.Sprint(x), "stack", stack())
}
