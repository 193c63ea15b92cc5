package serve

import (
	"encoding/json"
	"errors"
	"math"
	"sync"

	"bitgpu"
	"bitgpu/io/jsonform"
)

// responseFormat is the form that an OpenAI client wants the answer to have.
type responseFormat struct {
	Type   string `json:"type"`
	Schema *struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Schema      json.RawMessage `json:"schema"`
		Strict      *bool           `json:"strict"` // always true in effect
	} `json:"json_schema"`
}

// form returns the form that was asked for, nil for any text. field is its place in the request.
func (f *responseFormat) form(field string) (*jsonform.Form, error) {
	switch {
	case f == nil || f.Type == "text":
		return nil, nil
	case f.Type == "json_object":
		return jsonform.Object(), nil
	case f.Type != "json_schema":
		return nil, invalid(field+".type", "got %.40q, want text, json_object or json_schema", f.Type)
	case f.Schema == nil || f.Schema.Schema == nil:
		return nil, invalid(field+".json_schema.schema", "got none, want a JSON schema")
	}
	return schemaForm(f.Schema.Schema, field+".json_schema.schema")
}

func schemaForm(schema json.RawMessage, field string) (*jsonform.Form, error) {
	form, err := jsonform.Schema(schema)
	if err != nil {
		return nil, schemaError(err, field)
	}
	return form, nil
}

func schemaError(err error, field string) error {
	return &apiError{status: 400, code: "invalid_schema", param: field, message: field + ": " + err.Error()}
}

// thought returns whether an answer may begin with a thought. opened: its prompt ends inside one.
func (s *Server) thought(opened bool, enabled *bool) jsonform.Thought {
	switch {
	case opened:
		return jsonform.IsThinking
	case s.features.Thinking && (enabled == nil || *enabled):
		return jsonform.MayThink
	}
	return jsonform.NoThought
}

// vocabulary prepares the tokens of a model for forms, on first use.
func vocabulary(m *bitgpu.Model) func() (*jsonform.Vocabulary, error) {
	return sync.OnceValues(func() (*jsonform.Vocabulary, error) {
		tokens, err := m.TokenBytes()
		if err != nil {
			return nil, err
		}
		return jsonform.NewVocabulary(tokens, m.EndOfText()), nil
	})
}

// hold allows only tokens that keep the text within a form, nil for any text; others get a probability of 0.
func (s *Server) hold(o *bitgpu.TokenOptions, form *jsonform.Form, thought jsonform.Thought) error {
	if form == nil {
		return nil
	}
	form = form.After(thought)
	v, err := s.vocabulary()
	if err != nil {
		return err
	}
	before := o.Adjust
	var writer *jsonform.Writer
	taken := 0
	o.Adjust = func(logits []float32, written []uint32) error {
		if before != nil {
			if err := before(logits, written); err != nil {
				return err
			}
		}
		if writer == nil || len(written) < taken { // another text begins
			writer, taken = form.Begin(v), 0
		}
		for ; taken < len(written); taken++ {
			if err := writer.Add(written[taken]); err != nil {
				return err
			}
		}
		mask, err := writer.Mask()
		if err != nil {
			return err
		}
		for i := range logits {
			if i/64 >= len(mask) || mask[i/64]&(1<<(i%64)) == 0 {
				logits[i] = -math.MaxFloat32
			}
		}
		return nil
	}
	return nil
}

// formError returns the client's error for a form that cannot be written, nil for any other error.
func formError(err error) *apiError {
	if !errors.Is(err, jsonform.ErrForm) {
		return nil
	}
	return &apiError{status: 422, code: "form", param: "response_format", message: "response_format: " + err.Error()}
}
