package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"bitgpu/io/gguf"
)

// Types of tokens in GGUF files. The others are 1, normal, and 6, fallback bytes.
const (
	ggufNormal  = 1
	ggufUnknown = 2 // stands for characters without a piece
	ggufControl = 3 // controls the model, and is matched in the text before the model sees it
	ggufUser    = 4 // is also matched in the text, and is part of it
	ggufUnused  = 5 // pads the vocabulary
)

// A split is the meaning of a pre-tokenizer's name in a GGUF file: the components that the model's tokenizer.json has.
type split struct {
	normalizer, preTokenizer json.RawMessage
	ignoreMerges             bool
	bos                      bool // whether the first token is added if the file does not say
}

const (
	byteLevelOnly = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	byteLevelGPT2 = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	nfc           = `{"type":"NFC"}`

	// Qwen 3.5's pattern is Qwen 2's with marks counted as letters.
	qwen35Pattern = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// splits maps the names of tokenizer.ggml.pre. Falcon 3's is the one of its tokenizer.json; llama.cpp takes the same name for
// Llama 3's pattern, which cuts numbers and punctuation differently.
var splits = func() map[string]split {
	llama3 := split{preTokenizer: splitBy(llama3Pattern), ignoreMerges: true, bos: true}
	neox := split{normalizer: json.RawMessage(nfc), preTokenizer: json.RawMessage(byteLevelGPT2)}
	falcon3 := split{preTokenizer: inSequence(`{"type":"Punctuation","behavior":"Contiguous"}`, byteLevelGPT2, `{"type":"Digits","individual_digits":false}`,
		`{"type":"Split","pattern":{"Regex":"[0-9][0-9][0-9]"},"behavior":"Isolated","invert":false}`)}
	return map[string]split{
		"gpt-2": {preTokenizer: json.RawMessage(byteLevelGPT2)}, "gpt-neox": neox, "olmo": neox,
		"llama-bpe": llama3, "llama3": llama3, "llama-v3": llama3,
		"qwen2":   {normalizer: json.RawMessage(nfc), preTokenizer: splitBy(qwen2Pattern)},
		"qwen35":  {normalizer: json.RawMessage(nfc), preTokenizer: splitBy(qwen35Pattern)},
		"falcon3": falcon3, "falcon_e": falcon3,
	}
}()

func inSequence(parts ...string) json.RawMessage {
	return json.RawMessage(`{"type":"Sequence","pretokenizers":[` + strings.Join(parts, ",") + `]}`)
}

// splitBy cuts at matches of a pattern, then writes bytes as characters.
func splitBy(pattern string) json.RawMessage {
	quoted, err := marshal(pattern)
	if err != nil {
		panic(err) // the pattern is a constant of this file
	}
	return inSequence(`{"type":"Split","pattern":{"Regex":`+string(quoted)+`},"behavior":"Isolated","invert":false}`, byteLevelOnly)
}

// FromGGUF makes a tokenizer from a GGUF file: byte-level BPE with the split that tokenizer.ggml.pre names, or
// SentencePiece's BPE by scores. It gives the ids that the model's tokenizer.json gives. An unknown name is refused, because
// a wrong split silently gives wrong ids. If there is no name, as in Microsoft's files, Llama 3's vocabulary is recognised by
// its tokens.
//
// ends are the ids that end a text or an answer: those that the file names (eos, eot, eom), then those of
// [Tokenizer.EndOfText]. If a required key is missing, for example because the file has no tokenizer, the error is
// [gguf.ErrMissing].
func FromGGUF(f *gguf.File) (t *Tokenizer, ends []uint32, err error) {
	data, named, err := ConvertGGUF(f)
	if err != nil {
		return nil, nil, err
	}
	if t, err = Parse(f.Name(), data); err != nil {
		return nil, nil, err
	}
	return t, t.Ends(named), nil
}

// Ends returns the ids that end a text, without duplicates: the named ones, then those of [Tokenizer.EndOfText].
func (t *Tokenizer) Ends(named []uint32) (ends []uint32) {
	for _, id := range slices.Concat(named, t.EndOfText()) {
		if !slices.Contains(ends, id) {
			ends = append(ends, id)
		}
	}
	return ends
}

// ConvertGGUF returns the tokenizer.json that [FromGGUF] parses, and the ending tokens that the file names. Errors are as for
// FromGGUF.
func ConvertGGUF(f *gguf.File) (data []byte, ends []uint32, err error) {
	g := ggufFile{File: f}
	if data, err = g.convert(); err != nil {
		return nil, nil, fmt.Errorf("tokenizer: %w", err)
	}
	return data, g.ends, nil
}

// ggufFile is a GGUF file being converted to a tokenizer.json.
type ggufFile struct {
	*gguf.File
	tokens []string
	types  []int
	ends   []uint32
}

// converted is the resulting tokenizer.json, with all members that such files have.
type converted struct {
	Version       string           `json:"version"`
	Truncation    *struct{}        `json:"truncation"`
	Padding       *struct{}        `json:"padding"`
	AddedTokens   []convertedToken `json:"added_tokens"`
	Normalizer    json.RawMessage  `json:"normalizer"`
	PreTokenizer  json.RawMessage  `json:"pre_tokenizer"`
	PostProcessor json.RawMessage  `json:"post_processor"`
	Decoder       json.RawMessage  `json:"decoder"`
	Model         convertedModel   `json:"model"`
}

type convertedToken struct {
	ID         uint32 `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type convertedModel struct {
	Type         string            `json:"type"`
	Dropout      *float64          `json:"dropout"`
	Unknown      *string           `json:"unk_token"`
	Prefix       *string           `json:"continuing_subword_prefix"`
	Suffix       *string           `json:"end_of_word_suffix"`
	FuseUnknown  bool              `json:"fuse_unk"`
	ByteFallback bool              `json:"byte_fallback"`
	IgnoreMerges bool              `json:"ignore_merges"`
	Vocab        map[string]uint32 `json:"vocab"`
	Merges       [][2]string       `json:"merges"`
}

// errorf returns an error that names the file.
func (g *ggufFile) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: "+format, append([]any{g.Name()}, args...)...)
}

func (g *ggufFile) convert() ([]byte, error) {
	model, err := g.Text("tokenizer.ggml.model")
	if err != nil {
		return nil, err
	}
	c := converted{Version: "1.0", AddedTokens: []convertedToken{}}
	if err := g.readTokens(&c); err != nil {
		return nil, err
	}
	bos := false
	switch model {
	case "gpt2":
		bos, err = g.byteLevel(&c)
	case "llama":
		bos, err = true, g.sentencePiece(&c)
	default:
		err = g.errorf("tokenizer.ggml.model is %q, want gpt2 (byte-level BPE) or llama (SentencePiece's BPE)", model)
	}
	if err == nil {
		c.PostProcessor, err = g.template(bos)
	}
	for _, key := range []string{"eos", "eot", "eom"} {
		if err == nil {
			_, err = g.special(key, func(id uint32) { g.ends = append(g.ends, id) })
		}
	}
	if err != nil {
		return nil, err
	}
	return marshal(c)
}

// readTokens fills in the vocabulary and the added tokens. Padding tokens are left out: no text contains them.
func (g *ggufFile) readTokens(c *converted) (err error) {
	if g.tokens, err = g.Texts("tokenizer.ggml.tokens"); err != nil {
		return err
	}
	if g.types, err = g.Ints("tokenizer.ggml.token_type"); errors.Is(err, gguf.ErrMissing) {
		g.types, err = slices.Repeat([]int{ggufNormal}, len(g.tokens)), nil
	}
	if err != nil {
		return err
	}
	if len(g.types) != len(g.tokens) {
		return g.errorf("tokenizer.ggml.token_type has %d entries, want one for each of %d tokens", len(g.types), len(g.tokens))
	}
	c.Model = convertedModel{Type: "BPE", Vocab: make(map[string]uint32, len(g.tokens)), Merges: [][2]string{}}
	for i, token := range g.tokens {
		if g.types[i] == ggufUnused {
			continue
		}
		id := uint32(i)
		if !utf8.ValidString(token) {
			return g.errorf("token %d, %.40q, is not UTF-8", id, token)
		}
		if other, twice := c.Model.Vocab[token]; twice {
			return g.errorf("tokens %d and %d are both %.40q", other, id, token)
		}
		c.Model.Vocab[token] = id
		switch g.types[i] {
		case ggufControl, ggufUser:
			c.AddedTokens = append(c.AddedTokens, convertedToken{ID: id, Content: token, Special: g.types[i] == ggufControl})
		}
	}
	return nil
}

// byteLevel fills in the parts of byte-level BPE, and reports whether the first token is added by default.
func (g *ggufFile) byteLevel(c *converted) (bos bool, err error) {
	name, err := g.Text("tokenizer.ggml.pre")
	if errors.Is(err, gguf.ErrMissing) {
		if _, llama := c.Model.Vocab["<|begin_of_text|>"]; llama {
			name, err = "llama-bpe", nil
		}
	}
	if err != nil {
		return false, err
	}
	s, ok := splits[name]
	if !ok {
		return false, g.errorf("tokenizer.ggml.pre is %q, want one of %s", name, strings.Join(slices.Sorted(maps.Keys(splits)), ", "))
	}
	merges, err := g.Texts("tokenizer.ggml.merges")
	if err != nil {
		return false, err
	}
	for i, merge := range merges {
		left, right, ok := strings.Cut(merge, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") || !utf8.ValidString(merge) {
			return false, g.errorf("tokenizer.ggml.merges[%d] is %.40q, want two pieces", i, merge)
		}
		c.Model.Merges = append(c.Model.Merges, [2]string{left, right})
	}
	c.Normalizer, c.PreTokenizer, c.Model.IgnoreMerges = s.normalizer, s.preTokenizer, s.ignoreMerges
	c.Decoder = json.RawMessage(byteLevelGPT2)
	return s.bos, nil
}

// longestPiece is far above any piece of a SentencePiece model, and limits the search for merges.
const longestPiece = 512

// sentencePiece fills in the parts of SentencePiece's BPE, which joins any two pieces that make the piece with the highest
// score. Hugging Face's library needs a list of such pairs. It is made here in the order of its converter at the time of
// Llama's conversion.
func (g *ggufFile) sentencePiece(c *converted) error {
	scores, err := g.Floats("tokenizer.ggml.scores")
	if err != nil {
		return err
	}
	if len(scores) != len(g.tokens) {
		return g.errorf("tokenizer.ggml.scores has %d entries, want one for each of %d tokens", len(scores), len(g.tokens))
	}
	type merge struct {
		pieces [2]string
		score  float64
	}
	var merges []merge
	for id, piece := range g.tokens {
		switch g.types[id] {
		case ggufUnknown:
			c.Model.Unknown = &g.tokens[id]
			c.AddedTokens = append(c.AddedTokens, convertedToken{ID: uint32(id), Content: piece, Special: true})
		case ggufNormal:
			if len(piece) > longestPiece {
				return g.errorf("token %d has %d bytes, want at most %d in a SentencePiece model", id, len(piece), longestPiece)
			}
			if scores[id] != scores[id] {
				return g.errorf("token %d has a score that is no number", id)
			}
			for cut := range piece {
				left, right := piece[:cut], piece[cut:]
				_, ok := c.Model.Vocab[left]
				if _, both := c.Model.Vocab[right]; ok && both && cut > 0 {
					merges = append(merges, merge{[2]string{left, right}, scores[id]})
				}
			}
		}
	}
	vocab := c.Model.Vocab
	slices.SortStableFunc(merges, func(a, b merge) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(vocab[a.pieces[0]], vocab[b.pieces[0]]), cmp.Compare(vocab[a.pieces[1]], vocab[b.pieces[1]]))
	})
	for _, m := range merges {
		c.Model.Merges = append(c.Model.Merges, m.pieces)
	}
	_, c.Model.ByteFallback = vocab[byteToken(0)]
	c.Model.FuseUnknown = true
	prefix, err := g.boolOr("tokenizer.ggml.add_space_prefix", true)
	if err != nil {
		return err
	}
	const visible = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	const spaces = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
	c.Normalizer = json.RawMessage(visible)
	c.Decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + spaces + `]}`)
	if prefix {
		c.Normalizer = json.RawMessage(`{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + visible + `]}`)
		c.Decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + spaces + `,{"type":"Strip","content":" ","start":1,"stop":0}]}`)
	}
	return nil
}

func (g *ggufFile) boolOr(key string, otherwise bool) (bool, error) {
	b, err := g.Bool(key)
	if errors.Is(err, gguf.ErrMissing) {
		return otherwise, nil
	}
	return b, err
}

// special calls with with the id of a special token, if the file names it.
func (g *ggufFile) special(name string, with func(id uint32)) (found bool, err error) {
	key := "tokenizer.ggml." + name + "_token_id"
	id, err := g.Int(key)
	switch {
	case errors.Is(err, gguf.ErrMissing):
		return false, nil
	case err != nil:
		return false, err
	case id < 0 || id >= len(g.tokens) || g.types[id] == ggufUnused:
		return false, g.errorf("%s is %d, which is none of the %d tokens", key, id, len(g.tokens))
	}
	with(uint32(id))
	return true, nil
}

// template returns the post-processor that adds the first and the last token to a text, as the file says; null if there are
// none.
func (g *ggufFile) template(bos bool) (json.RawMessage, error) {
	type part map[string]map[string]any
	around := map[string][]part{}
	tokens := map[string]any{}
	for _, token := range []struct {
		name   string
		wanted bool
	}{{"bos", bos}, {"eos", false}} {
		wanted, err := g.boolOr("tokenizer.ggml.add_"+token.name+"_token", token.wanted)
		if err != nil {
			return nil, err
		}
		if !wanted {
			continue
		}
		found, err := g.special(token.name, func(id uint32) {
			piece := g.tokens[id]
			around[token.name] = []part{{"SpecialToken": {"id": piece, "type_id": 0}}}
			tokens[piece] = map[string]any{"id": piece, "ids": []uint32{id}, "tokens": []string{piece}}
		})
		if err == nil && !found {
			err = g.errorf("tokenizer.ggml.%s_token_id is missing, want one: the tokenizer adds that token to a text", token.name)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(tokens) == 0 {
		return nil, nil
	}
	text := func(id string) []part {
		return slices.Concat(around["bos"], []part{{"Sequence": {"id": id, "type_id": 0}}}, around["eos"])
	}
	return marshal(map[string]any{
		"type": "TemplateProcessing", "single": text("A"), "pair": slices.Concat(text("A"), text("B")), "special_tokens": tokens,
	})
}
