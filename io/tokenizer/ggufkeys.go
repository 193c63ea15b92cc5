package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"bitgpu/io/gguf"
)

// splitNames are the names that [GGUFKeys] writes: of several names for a split, the one that llama.cpp knows.
var splitNames = []string{"gpt-2", "olmo", "llama-bpe", "qwen2", "qwen35", "falcon3"}

// given are the parts of a tokenizer.json that matter here.
type given struct {
	AddedTokens   []convertedToken `json:"added_tokens"`
	Normalizer    json.RawMessage  `json:"normalizer"`
	PreTokenizer  json.RawMessage  `json:"pre_tokenizer"`
	PostProcessor json.RawMessage  `json:"post_processor"`
	Decoder       json.RawMessage  `json:"decoder"`
	Model         struct {
		Type         string            `json:"type"`
		Dropout      *float64          `json:"dropout"`
		Unknown      *string           `json:"unk_token"`
		Prefix       *string           `json:"continuing_subword_prefix"`
		Suffix       *string           `json:"end_of_word_suffix"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Vocab        map[string]uint32 `json:"vocab"`
		Merges       []mergePair       `json:"merges"`
	} `json:"model"`
}

// mergePair is a merge, given as one string or two.
type mergePair [2]string

// UnmarshalJSON reads both forms.
func (p *mergePair) UnmarshalJSON(data []byte) error {
	var both [2]string
	if json.Unmarshal(data, &both) == nil {
		*p = both
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	p[0], p[1], _ = strings.Cut(text, " ")
	return nil
}

// GGUFKeys returns the keys below tokenizer.ggml for a tokenizer.json and an embedding with `rows` rows. special are ids by
// their names in such keys, "eos", "eot" and the like; "bos" is what the tokenizer adds. A tokenizer that the keys cannot
// describe is refused: the result is converted back with [ConvertGGUF] and compared.
func GGUFKeys(data []byte, rows int, special map[string]uint32) ([]gguf.Key, error) {
	keys, err := ggufKeys(data, rows, special)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return keys, nil
}

func ggufKeys(data []byte, rows int, special map[string]uint32) ([]gguf.Key, error) {
	var t given
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	m := &t.Model
	switch {
	case m.Type != "BPE" && m.Type != "":
		return nil, fmt.Errorf("got the model %q, want BPE: GGUF has no other here", m.Type)
	case m.Dropout != nil && *m.Dropout != 0, m.Prefix != nil && *m.Prefix != "", m.Suffix != nil && *m.Suffix != "":
		return nil, errors.New("got a BPE model with dropout, a prefix or a suffix, which GGUF cannot say")
	}
	tokens, types, err := t.tokens(rows)
	if err != nil {
		return nil, err
	}
	special = maps.Clone(special)
	if special == nil {
		special = map[string]uint32{}
	}
	first, last := t.surround()
	if first != nil {
		special["bos"] = *first
	}
	if last != nil {
		special["eos"] = *last
	}
	keys := []gguf.Key{{Name: "tokenizer.ggml.model", Value: "gpt2"}}
	if m.ByteFallback {
		keys[0].Value = "llama"
	} else {
		pre, err := t.split()
		if err != nil {
			return nil, err
		}
		keys = append(keys, gguf.Key{Name: "tokenizer.ggml.pre", Value: pre})
	}
	keys = append(keys, gguf.Key{Name: "tokenizer.ggml.tokens", Value: tokens})
	if m.ByteFallback {
		keys = append(keys, gguf.Key{Name: "tokenizer.ggml.scores", Value: t.scores(tokens)},
			gguf.Key{Name: "tokenizer.ggml.add_space_prefix", Value: bytes.Contains(t.Normalizer, []byte(`"Prepend"`))})
	} else {
		merges := make([]string, len(m.Merges))
		for i, p := range m.Merges {
			merges[i] = p[0] + " " + p[1]
		}
		keys = append(keys, gguf.Key{Name: "tokenizer.ggml.merges", Value: merges})
	}
	keys = append(keys, gguf.Key{Name: "tokenizer.ggml.token_type", Value: types})
	for _, name := range slices.Sorted(maps.Keys(special)) {
		keys = append(keys, gguf.Key{Name: "tokenizer.ggml." + name + "_token_id", Value: special[name]})
	}
	keys = append(keys, gguf.Key{Name: "tokenizer.ggml.add_bos_token", Value: first != nil}, gguf.Key{Name: "tokenizer.ggml.add_eos_token", Value: last != nil})
	return keys, t.compare(keys)
}

// tokens lists all tokens by id, with their types. Ids without a token pad the vocabulary.
func (t *given) tokens(rows int) (tokens []string, types []int32, err error) {
	tokens, types = make([]string, rows), slices.Repeat([]int32{ggufUnused}, rows)
	for i := range tokens {
		tokens[i] = fmt.Sprintf("[PAD%d]", i)
	}
	set := func(id uint32, token string, kind int32) {
		if int64(id) >= int64(rows) {
			err = fmt.Errorf("token %d, %.40q, has no row in the embedding of %d", id, token, rows)
			return
		}
		tokens[id], types[id] = token, kind
	}
	isByte := map[string]bool{}
	for b := range 256 {
		isByte[byteToken(byte(b))] = t.Model.ByteFallback
	}
	for token, id := range t.Model.Vocab {
		kind := int32(ggufNormal)
		if isByte[token] {
			kind = 6
		}
		set(id, token, kind)
	}
	for _, a := range t.AddedTokens {
		kind := int32(ggufUser)
		switch {
		case t.Model.Unknown != nil && a.Content == *t.Model.Unknown && t.Model.ByteFallback:
			kind = ggufUnknown
		case a.Special:
			kind = ggufControl
		}
		set(a.ID, a.Content, kind)
	}
	return tokens, types, err
}

// scores returns scores that order the pieces as the merges make them.
func (t *given) scores(tokens []string) []float32 {
	rank := map[string]int{}
	for _, p := range t.Model.Merges {
		if _, ok := rank[p[0]+p[1]]; !ok {
			rank[p[0]+p[1]] = len(rank)
		}
	}
	scores := make([]float32, len(tokens))
	for i, token := range tokens {
		r, ok := rank[token]
		if !ok {
			r = len(rank)
		}
		scores[i] = -float32(r)
	}
	return scores
}

// split returns the name of the split.
func (t *given) split() (string, error) {
	for _, name := range splitNames {
		if s := splits[name]; s.ignoreMerges == t.Model.IgnoreMerges && sameJSON(s.normalizer, t.Normalizer) && sameJSON(s.preTokenizer, t.PreTokenizer) {
			return name, nil
		}
	}
	return "", fmt.Errorf("the pre-tokenizer is none that GGUF has a name for here, want that of %s", strings.Join(splitNames, ", "))
}

// theText stands for the text among the ids around it.
const theText = -1

// around returns the ids that the tokenizer puts before and after a text.
func (t *given) around() (ids []int64) {
	var p struct {
		Type       string
		Processors []json.RawMessage
		Single     []struct {
			Special *struct{ ID string } `json:"SpecialToken"`
		}
		Tokens map[string]struct{ IDs []uint32 } `json:"special_tokens"`
	}
	if json.Unmarshal(t.PostProcessor, &p) == nil && p.Type == "Sequence" {
		for _, part := range p.Processors {
			inner := given{PostProcessor: part}
			if ids = inner.around(); len(ids) > 1 {
				return ids
			}
		}
	}
	for _, s := range p.Single {
		if s.Special == nil {
			ids = append(ids, theText)
			continue
		}
		for _, id := range p.Tokens[s.Special.ID].IDs {
			ids = append(ids, int64(id))
		}
	}
	if ids == nil {
		ids = []int64{theText}
	}
	return ids
}

// surround returns the first and the last of the ids around a text, nil for none.
func (t *given) surround() (first, last *uint32) {
	ids := t.around()
	at := slices.Index(ids, theText)
	if at > 0 {
		id := uint32(ids[0])
		first = &id
	}
	if at >= 0 && at < len(ids)-1 {
		id := uint32(ids[len(ids)-1])
		last = &id
	}
	return first, last
}

// compare returns an error unless the keys give the same tokenizer again.
func (t *given) compare(keys []gguf.Key) error {
	var file bytes.Buffer
	if err := gguf.Write(&file, keys, nil); err != nil {
		return err
	}
	f, err := gguf.Parse("the keys of GGUF", file.Bytes())
	if err != nil {
		return err
	}
	data, _, err := ConvertGGUF(f)
	if err != nil {
		return err
	}
	var again given
	if err := json.Unmarshal(data, &again); err != nil {
		return err
	}
	vocab := maps.Clone(t.Model.Vocab)
	for _, a := range t.AddedTokens {
		vocab[a.Content] = a.ID
		if a.SingleWord || a.LStrip || a.RStrip {
			return fmt.Errorf("GGUF cannot say that the added token %.40q is found only as a word, or with the spaces beside it", a.Content)
		}
	}
	added := func(all []convertedToken) map[uint32]bool {
		special := map[uint32]bool{}
		for _, a := range all {
			special[a.ID] = a.Special
		}
		return special
	}
	for _, part := range []struct {
		name string
		same bool
	}{
		{"the vocabulary", maps.Equal(vocab, again.Model.Vocab)},
		{"the merges", slices.Equal(t.Model.Merges, again.Model.Merges)},
		{"the added tokens", maps.Equal(added(t.AddedTokens), added(again.AddedTokens))},
		{"the tokens around a text", slices.Equal(t.around(), again.around())},
		{"the normalizer", sameJSON(t.Normalizer, again.Normalizer)},
		{"the pre-tokenizer", sameJSON(t.PreTokenizer, again.PreTokenizer)},
		{"the decoder", sameJSON(t.Decoder, again.Decoder) || bytes.Contains(t.Decoder, []byte(`"ByteLevel"`)) && bytes.Contains(again.Decoder, []byte(`"ByteLevel"`))},
	} {
		if !part.same {
			return fmt.Errorf("GGUF cannot say this tokenizer: %s would be other ones", part.name)
		}
	}
	return nil
}

// sameJSON compares components, ignoring differences that do not affect ids.
func sameJSON(a, b json.RawMessage) bool { return reflect.DeepEqual(canonical(a), canonical(b)) }

func canonical(raw json.RawMessage) any {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return plain(v)
}

func plain(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	delete(m, "trim_offsets")
	if m["invert"] == false {
		delete(m, "invert")
	}
	for _, list := range []string{"pretokenizers", "normalizers", "decoders"} {
		parts, ok := m[list].([]any)
		if !ok {
			continue
		}
		for i := range parts {
			parts[i] = plain(parts[i])
		}
		if len(parts) == 1 {
			return parts[0]
		}
	}
	return m
}
