package serve

import (
	"net/http"
	"time"
)

func (s *Server) ollamaDetails() map[string]any {
	return map[string]any{"format": "bitt", "family": "bitgpu", "families": []string{"bitgpu"}, "parameter_size": "", "quantization_level": "ternary", "parent_model": ""}
}

func (s *Server) ollamaTags(c *call) error {
	return c.answer(http.StatusOK, map[string]any{"models": []any{map[string]any{
		"name": s.o.Name, "model": s.o.Name, "modified_at": s.created.UTC().Format(time.RFC3339Nano), "size": s.model.WeightBytes(),
		"digest": s.model.ID(), "details": s.ollamaDetails(),
	}}})
}

func (s *Server) ollamaShow(c *call) error {
	var in struct {
		Model   string `json:"model"`
		Name    string `json:"name"`
		Verbose bool   `json:"verbose"`
	}
	if err := c.decode(&in, nil, true); err != nil {
		return err
	}
	if in.Model == "" {
		in.Model = in.Name
	}
	if err := c.checkModel(in.Model); err != nil {
		return err
	}
	can := []string{"completion"}
	if s.features.Tools {
		can = append(can, "tools")
	}
	if s.features.Thinking {
		can = append(can, "thinking")
	}
	config := s.model.Config()
	return c.answer(http.StatusOK, map[string]any{
		"modelfile": "", "parameters": "", "template": "", "details": s.ollamaDetails(), "capabilities": can,
		"modified_at": s.created.UTC().Format(time.RFC3339Nano),
		"model_info": map[string]any{
			"general.architecture": "bitgpu", "bitgpu.embedding_length": config.Width, "bitgpu.block_count": config.Layers, "bitgpu.vocab_size": config.Vocab,
		},
	})
}

func (s *Server) ollamaVersion(c *call) error {
	return c.answer(http.StatusOK, map[string]any{"version": s.o.Version})
}
