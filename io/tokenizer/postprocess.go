package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template holds the special tokens that a post-processor puts before and after the ids of a text.
type template struct{ prefix, suffix []uint32 }

// surround adopts what the post-processors put around a text.
func (t *Tokenizer) surround(templates []template) error {
	if len(templates) > 1 {
		return fmt.Errorf("%d processors that add tokens are not supported, want one at most", len(templates))
	}
	for _, around := range templates {
		t.prefix, t.suffix = around.prefix, around.suffix
		for _, ids := range [][]uint32{t.prefix, t.suffix} {
			for _, id := range ids {
				if uint64(id) >= uint64(t.Size()) {
					return fmt.Errorf("a special token has id %d, want one below %d", id, t.Size())
				}
			}
		}
	}
	return nil
}

func parsePostProcessor(raw json.RawMessage, depth int) ([]template, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := kindOf(raw)
	if err != nil {
		return nil, err
	}
	var t template
	switch kind {
	case "Sequence":
		return parseSequence(raw, "processors", depth, parsePostProcessor)
	case "ByteLevel":
		// It only changes offsets, which are not supported.
		return nil, unmarshal(raw, &struct{}{}, "add_prefix_space", "trim_offsets")
	case "TemplateProcessing":
		t, err = parseTemplate(raw)
	case "RobertaProcessing", "BertProcessing":
		var c struct{ Cls, Sep taggedID }
		err = unmarshal(raw, &c, "cls", "sep")
		t = template{[]uint32{c.Cls.id}, []uint32{c.Sep.id}}
	default:
		return nil, unsupported(kind, "Sequence, ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return []template{t}, nil
}

// taggedID is ["piece", id].
type taggedID struct{ id uint32 }

func (p *taggedID) UnmarshalJSON(data []byte) error {
	var fields []json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	if len(fields) != 2 {
		return fmt.Errorf("a special token is %.40s, want [piece, id]", data)
	}
	var piece string
	if err := json.Unmarshal(fields[0], &piece); err != nil {
		return err
	}
	return json.Unmarshal(fields[1], &p.id)
}

func parseTemplate(raw json.RawMessage) (template, error) {
	var t template
	type piece struct {
		ID     string
		TypeID *uint32 `json:"type_id"`
	}
	var c struct {
		Single        []struct{ Sequence, SpecialToken *piece }
		SpecialTokens map[string]struct {
			ID     *string
			IDs    *[]uint32
			Tokens *[]string
		} `json:"special_tokens"`
	}
	if err := unmarshal(raw, &c, "single"); err != nil {
		return t, err
	}
	texts := 0
	for i, p := range c.Single {
		for _, piece := range []*piece{p.Sequence, p.SpecialToken} {
			if piece != nil && piece.TypeID == nil {
				return t, fmt.Errorf("single[%d] has no type_id", i)
			}
		}
		switch {
		case p.Sequence != nil:
			if p.Sequence.ID != "A" {
				return t, fmt.Errorf("single[%d] is the sequence %q, want \"A\"", i, p.Sequence.ID)
			}
			texts++
		case p.SpecialToken != nil:
			s, ok := c.SpecialTokens[p.SpecialToken.ID]
			if !ok {
				return t, fmt.Errorf("single[%d] is %q, which special_tokens lacks", i, p.SpecialToken.ID)
			}
			if texts == 0 {
				t.prefix = append(t.prefix, orZero(s.IDs)...)
			} else {
				t.suffix = append(t.suffix, orZero(s.IDs)...)
			}
		default:
			return t, fmt.Errorf("single[%d] is neither a Sequence nor a SpecialToken", i)
		}
	}
	if texts != 1 {
		return t, fmt.Errorf("single has the sequence A %d times, want once", texts)
	}
	for name, s := range c.SpecialTokens {
		if s.ID == nil || s.IDs == nil || s.Tokens == nil {
			return t, fmt.Errorf("special_tokens: %.40q lacks one of id, ids and tokens", name)
		}
	}
	return t, unmarshal(raw, &struct{}{}, "pair", "special_tokens")
}
