package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// file is a tokenizer.json.
type file struct {
	Version       *string
	Truncation    json.RawMessage
	Padding       json.RawMessage
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         *modelFile
}

type modelFile struct {
	Type   *string
	Vocab  vocabFile
	Merges *[]mergeFile
	UnkID  *int64 `json:"unk_id"`
	bpeOptions
}

// vocabFile is a map from piece to id, or in a Unigram model a list of pieces with their scores.
type vocabFile struct {
	ids    map[string]uint32
	scored []scored
}

func (v *vocabFile) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, &v.scored)
	}
	return json.Unmarshal(data, &v.ids)
}

// mergeFile is "left right" or ["left", "right"], or empty where the file has the version line of a merges.txt.
type mergeFile [2]string

func (m *mergeFile) UnmarshalJSON(data []byte) error {
	var pieces []string
	if data[0] == '"' {
		var line string
		if err := json.Unmarshal(data, &line); err != nil {
			return err
		}
		if strings.HasPrefix(line, "#version") {
			return nil
		}
		pieces = strings.Split(line, " ")
	} else if err := json.Unmarshal(data, &pieces); err != nil {
		return err
	}
	if len(pieces) != 2 || pieces[0] == "" || pieces[1] == "" {
		return fmt.Errorf("a merge is %.40s, want two pieces", data)
	}
	*m = mergeFile(pieces)
	return nil
}

// Parse reads a tokenizer.json; errors begin with name. What this package cannot do exactly as Hugging Face's library
// does is refused by its name.
//
// As there, the ids of added tokens are those their texts have in the model's vocabulary, and of new ones those that
// follow it: the ids in added_tokens do not count.
func Parse(name string, data []byte) (*Tokenizer, error) {
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", name, err)
	}
	t.name = name
	return t, nil
}

func parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return nil, fmt.Errorf("want JSON, but at byte %d: %w", syntax.Offset, err)
		}
		return nil, err
	}
	switch {
	case f.Model == nil:
		return nil, errors.New(`want an object with a "model", found none`)
	case f.Version != nil && *f.Version != "1.0":
		return nil, fmt.Errorf(`version is %q, want "1.0"`, *f.Version)
	case !isNull(f.Truncation):
		return nil, errors.New("truncation is not supported, want null: it would drop text")
	case !isNull(f.Padding):
		return nil, errors.New("padding is not supported, want null: it would add tokens")
	}

	t := &Tokenizer{}
	t.workers.New = func() any { return newWorker() }
	var err error
	if t.model, err = f.Model.build(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalizers, err = parseNormalizer(f.Normalizer, 0); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.preTokenizers, err = parsePreTokenizer(f.PreTokenizer, 0); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.decoders, err = parseDecoder(f.Decoder, 0); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if isNull(f.Decoder) {
		t.decoders = []decoder{{make: func(next sink, _ *textSink) sink { return &spaced{next: next} }}}
	}
	if err := t.add(f.AddedTokens); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	if err := t.checkDecoders(); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	templates, err := parsePostProcessor(f.PostProcessor, 0)
	if err == nil {
		err = t.surround(templates)
	}
	if err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	return t, nil
}

func (f *modelFile) build() (model, error) {
	kind := orZero(f.Type)
	if f.Type == nil { // in files of the first versions
		switch {
		case f.Vocab.ids != nil && f.Merges != nil:
			kind = "BPE"
		case f.Vocab.scored != nil:
			kind = "Unigram"
		default:
			return nil, errors.New(`"type" is missing, want BPE or Unigram`)
		}
	}
	switch kind {
	case "BPE":
		if f.Vocab.ids == nil {
			return nil, errors.New(`BPE: "vocab" is missing or not an object, want pieces with their ids`)
		}
		if f.Merges == nil {
			return nil, errors.New(`BPE: "merges" is missing, want a list`)
		}
		merges := slices.DeleteFunc(*f.Merges, func(m mergeFile) bool { return m == mergeFile{} })
		m, err := newBPE(f.Vocab.ids, merges, f.bpeOptions)
		if err != nil {
			return nil, fmt.Errorf("BPE: %w", err)
		}
		return m, nil
	case "Unigram":
		if f.Vocab.scored == nil {
			return nil, errors.New(`Unigram: "vocab" is missing or not a list, want pieces with their scores`)
		}
		m, err := newUnigram(f.Vocab.scored, f.UnkID, orZero(f.ByteFallback))
		if err != nil {
			return nil, fmt.Errorf("Unigram: %w", err)
		}
		return m, nil
	}
	return nil, unsupported(kind, "BPE, Unigram")
}

// add gives the added tokens their ids and makes the tables that need them.
func (t *Tokenizer) add(added []addedToken) error {
	w := newWorker()
	v := t.model.vocabulary()
	t.pieces, t.marks = v.pieces, make([]mark, len(v.pieces))
	for id, piece := range v.pieces {
		if piece != "" {
			t.marks[id] = known
		}
	}
	if id, ok := v.ids[""]; ok {
		t.marks[id] = known
	}

	t.ids, t.texts = map[string]uint32{}, map[uint32]string{}
	tokens := map[uint32]addedToken{}
	var order []uint32
	skip := map[string]bool{} // by text, for so does Hugging Face's library
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
			return fmt.Errorf("%.40q: %w", a.Content, w.err)
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
