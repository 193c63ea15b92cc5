package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"

	"bitgpu/io/internal/jsonscan"
)

// Parse reads a tokenizer.json. Errors begin with name. What this package cannot do exactly as Hugging Face's library does is
// refused by name.
//
// As in that library, added tokens have the ids that their texts have in the model's vocabulary, and new ones the ids that
// follow it; the ids in added_tokens are ignored.
func Parse(name string, data []byte) (*Tokenizer, error) {
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", name, err)
	}
	t.name = name
	return t, nil
}

func parse(data []byte) (*Tokenizer, error) {
	if err := jsonscan.Check(data); err != nil {
		return nil, fmt.Errorf("got %w, want JSON", err)
	}
	if !jsonscan.IsObject(data) {
		return nil, fmt.Errorf("got %.20q, want an object that has a \"model\"", data)
	}
	if err := refuseNull(data); err != nil {
		return nil, err
	}
	f := membersOf(data, "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model")
	var version string
	if err := json.Unmarshal(f["version"], &version); f["version"] != nil && (err != nil || version != "1.0") {
		return nil, fmt.Errorf(`version is %.20s, want "1.0"`, f["version"])
	}
	switch {
	case f["model"] == nil:
		return nil, errors.New(`got no "model", want an object that has one`)
	case !isNull(f["truncation"]):
		return nil, errors.New("truncation is not supported, want null: it would drop text")
	case !isNull(f["padding"]):
		return nil, errors.New("padding is not supported, want null: it would add tokens")
	}

	t := &Tokenizer{}
	t.workers.New = func() any { return newWorker() }
	var err error
	if t.model, err = parseModel(f["model"]); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalizers, err = parseNormalizer(f["normalizer"], 0); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.preTokenizers, err = parsePreTokenizer(f["pre_tokenizer"], 0); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.decoders, err = parseDecoder(f["decoder"], 0); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if isNull(f["decoder"]) {
		t.decoders = []decoder{{make: func(next sink, _ *textSink) sink { return &spaced{next: next} }}}
	}
	added, err := parseAdded(f["added_tokens"])
	if err == nil {
		err = t.add(added)
	}
	if err != nil {
		return nil, fmt.Errorf("added_tokens%w", err)
	}
	if err := t.checkDecoders(); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	templates, err := parsePostProcessor(f["post_processor"], 0)
	if err == nil {
		err = t.surround(templates)
	}
	if err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	return t, nil
}

// add gives the added tokens their ids and makes the tables that depend on them.
func (t *Tokenizer) add(added []addedToken) error {
	w := newWorker()
	v := t.model.vocabulary()
	t.pieces, t.marks = v.pieces, make([]mark, len(v.pieces))
	for id, piece := range v.pieces {
		if piece != "" || v.listed {
			t.marks[id] = known
		}
	}
	if id, ok := v.ids[""]; ok {
		t.marks[id] = known
	}

	t.ids, t.texts = map[string]uint32{}, map[uint32]string{}
	tokens := map[uint32]addedToken{}
	var order []uint32
	skip := map[string]bool{} // by text, as in Hugging Face's library
	next := uint32(v.count)
	for _, a := range added {
		if a.Content == "" {
			continue
		}
		var ok bool
		if a.ID, ok = t.ID(a.Content); !ok {
			a.ID = next
			next++
		}
		if _, again := tokens[a.ID]; !again {
			order = append(order, a.ID)
		}
		t.ids[a.Content], tokens[a.ID] = a.ID, a
		skip[a.Content] = skip[a.Content] || a.Special
	}

	var raw, normalized []addedToken
	var rawTexts, normalizedTexts []string
	for _, id := range order {
		a := tokens[id]
		for int(id) >= len(t.pieces) {
			t.pieces, t.marks = append(t.pieces, ""), append(t.marks, 0)
		}
		t.pieces[id], t.marks[id] = a.Content, known
		if a.Special {
			t.marks[id] |= special
		}
		if !a.Normalized {
			raw, rawTexts = append(raw, a), append(rawTexts, a.Content)
			continue
		}
		w.begin(len(a.Content))
		text := t.normalizers.normalize(w, part{text: a.Content}).text
		if w.err != nil {
			return fmt.Errorf(": %.40q: %w", a.Content, w.err)
		}
		if text != a.Content {
			t.texts[id] = text
		}
		normalized, normalizedTexts = append(normalized, a), append(normalizedTexts, text)
	}
	for id, m := range t.marks {
		if m&known != 0 && skip[t.text(uint32(id))] {
			t.marks[id] |= skipped
		}
	}
	t.raw = newAddedSet(raw, rawTexts)
	t.normalized = newAddedSet(normalized, normalizedTexts)
	return nil
}
