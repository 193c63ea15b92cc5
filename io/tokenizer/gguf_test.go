package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/gguf"
)

// keysOf are the keys that a converter would write for a tokenizer.json.
func keysOf(t testing.TB, data []byte) []gguf.Key {
	t.Helper()
	var f struct {
		AddedTokens []struct {
			Content string
			Special bool
		} `json:"added_tokens"`
		Model struct {
			Vocab  map[string]uint32
			Merges []any // "left right" or ["left", "right"]
		}
	}
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	tokens, types := make([]string, len(f.Model.Vocab)), make([]int32, len(f.Model.Vocab))
	for piece, id := range f.Model.Vocab {
		tokens[id], types[id] = piece, ggufNormal
	}
	for _, added := range f.AddedTokens {
		id, ok := f.Model.Vocab[added.Content]
		if !ok {
			id = uint32(len(tokens))
			tokens, types = append(tokens, added.Content), append(types, 0)
		}
		types[id] = map[bool]int32{true: ggufControl, false: ggufUser}[added.Special]
	}
	for len(tokens)%64 != 0 { // vocabularies are often filled up
		tokens, types = append(tokens, fmt.Sprintf("[PAD%d]", len(tokens))), append(types, ggufUnused)
	}
	var merges []string
	for _, m := range f.Model.Merges {
		merge, ok := m.(string)
		if pair, two := m.([]any); two {
			merge, ok = fmt.Sprintf("%s %s", pair...), true
		}
		if ok && !strings.HasPrefix(merge, "#version") {
			merges = append(merges, merge)
		}
	}
	return []gguf.Key{key("tokenizer.ggml.tokens", tokens), key("tokenizer.ggml.token_type", types), key("tokenizer.ggml.merges", merges)}
}

func key(name string, value any) gguf.Key { return gguf.Key{Name: name, Value: value} }

func fileWith(t testing.TB, keys ...gguf.Key) *gguf.File {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, keys, nil); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Parse("m.gguf", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fromKeys(t testing.TB, keys ...gguf.Key) (*Tokenizer, []uint32) {
	t.Helper()
	tok, ends, err := FromGGUF(fileWith(t, keys...))
	if err != nil {
		t.Fatal(err)
	}
	return tok, ends
}

func idsOf(tok *Tokenizer, text string, addSpecial bool) []uint32 {
	ids, err := tok.Encode(text, addSpecial)
	if err != nil {
		panic(err)
	}
	return ids
}

// set replaces the value of a key, or takes it away where there is none.
func set(keys []gguf.Key, name string, value any) []gguf.Key {
	keys = slices.DeleteFunc(slices.Clone(keys), func(k gguf.Key) bool { return k.Name == name })
	if value == nil {
		return keys
	}
	return append(keys, key(name, value))
}

// sentencePieceKeys are those of TinyLlama. The scores of a SentencePiece model are the order in which it learned its
// pieces, which the list of merges keeps.
func sentencePieceKeys(t testing.TB) []gguf.Key {
	keys := keysOf(t, fileOf(t, "tinyllama"))
	tokens, types := keys[0].Value.([]string), keys[1].Value.([]int32)
	ranks := map[string]int{}
	for rank, merge := range keys[2].Value.([]string) {
		if piece := strings.Replace(merge, " ", "", 1); ranks[piece] == 0 {
			ranks[piece] = rank + 1
		}
	}
	scores := make([]float32, len(tokens))
	for id, token := range tokens {
		if _, ok := byteOf(token); ok {
			types[id] = 6
		}
		scores[id] = -float32(ranks[token])
	}
	types[0] = ggufUnknown
	return append(keys[:2:2], key("tokenizer.ggml.model", "llama"), key("tokenizer.ggml.scores", scores),
		key("tokenizer.ggml.bos_token_id", uint32(1)), key("tokenizer.ggml.eos_token_id", uint32(2)))
}

// From the scores alone come the merges of the tokenizer.json, in its order.
func TestGGUFMerges(t *testing.T) {
	g := ggufFile{File: fileWith(t, sentencePieceKeys(t)...)}
	data, err := g.convert()
	if err != nil {
		t.Fatal(err)
	}
	got, want := keysOf(t, data)[2].Value.([]string), keysOf(t, fileOf(t, "tinyllama"))[2].Value.([]string)
	if len(got) != len(want) {
		t.Errorf("%d merges, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("merge %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// A GGUF file's tokenizer gives what Hugging Face's library gives with the tokenizer.json.
func TestGGUFFamilies(t *testing.T) {
	bpe := func(family, pre string) []gguf.Key {
		return append(keysOf(t, fileOf(t, family)), key("tokenizer.ggml.model", "gpt2"), key("tokenizer.ggml.pre", pre))
	}
	id := func(family, piece string) uint32 {
		id, ok := load(t, family).ID(piece)
		if !ok {
			t.Fatalf("%s has no %s", family, piece)
		}
		return id
	}
	llama3 := bpe("llama3like", "llama-bpe")
	var first uint32
	if first = load(t, "llama3like").prefix[0]; len(load(t, "llama3like").prefix) != 1 {
		t.Fatal("want one first token")
	}
	for family, c := range map[string]struct {
		keys []gguf.Key
		ends []uint32
	}{
		"gpt2":       {append(bpe("gpt2", "gpt-2"), key("tokenizer.ggml.eos_token_id", id("gpt2", "<|endoftext|>"))), []uint32{id("gpt2", "<|endoftext|>")}},
		"llama3like": {append(llama3, key("tokenizer.ggml.bos_token_id", first)), nil},
		"tinyllama":  {sentencePieceKeys(t), []uint32{2}},
	} {
		t.Run(family, func(t *testing.T) {
			tok, ends := fromKeys(t, c.keys...)
			for _, c := range lines[tokenizerCase](t, family, "cases.jsonl") {
				c.check(t, tok)
			}
			if c.ends != nil && !slices.Equal(ends, c.ends) {
				t.Errorf("ends %v, want %v", ends, c.ends)
			}
			if want := load(t, family).Size(); tok.Size() != want {
				t.Errorf("%d tokens, want %d", tok.Size(), want)
			}
		})
	}
}

// small is a byte-level vocabulary of all bytes, a few merges and special tokens.
func small() []gguf.Key {
	tokens := append(slices.Clone(byteChars[:]), "Ġa", "12", "123", "<|begin_of_text|>", "<|end|>", "<tool>", "[PAD]")
	types := slices.Repeat([]int32{ggufNormal}, len(tokens))
	copy(types[259:], []int32{ggufControl, ggufControl, ggufUser, ggufUnused})
	return []gguf.Key{
		key("tokenizer.ggml.model", "gpt2"), key("tokenizer.ggml.pre", "qwen2"), key("tokenizer.ggml.tokens", tokens), key("tokenizer.ggml.token_type", types),
		key("tokenizer.ggml.merges", []string{"Ġ a", "1 2", "12 3"}), key("tokenizer.ggml.bos_token_id", uint32(259)), key("tokenizer.ggml.eos_token_id", int32(260)),
	}
}

func TestGGUFSplits(t *testing.T) {
	for pre, want := range map[string]string{"gpt-2": "123", "llama-bpe": "123", "falcon3": "123", "qwen2": "1 2 3", "qwen35": "1 2 3"} {
		tok, _ := fromKeys(t, set(small(), "tokenizer.ggml.pre", pre)...)
		c := tokenizerCase{Text: "123 a<tool>", Decoded: "123 a<tool>", DecodedSkipSpecial: "123 a<tool>"}
		for _, piece := range append(strings.Fields(want), "Ġa", "<tool>") {
			id, _ := tok.ID(piece)
			c.IDs = append(c.IDs, id)
		}
		c.IDsSpecial = c.IDs
		if pre == "llama-bpe" {
			c.IDsSpecial = append([]uint32{259}, c.IDs...)
		}
		c.check(t, tok)
	}
	// Marks are letters to qwen35 alone: there, a letter and the first byte of its mark are one word and can be merged.
	pair := "x" + byteChars["\u0301"[0]]
	keys := set(small(), "tokenizer.ggml.tokens", append(small()[2].Value.([]string), pair))
	keys = set(keys, "tokenizer.ggml.token_type", append(small()[3].Value.([]int32), ggufNormal))
	keys = set(keys, "tokenizer.ggml.merges", []string{"x " + pair[1:]})
	for pre, want := range map[string]int{"qwen2": 3, "qwen35": 2} {
		tok, _ := fromKeys(t, set(keys, "tokenizer.ggml.pre", pre)...)
		if got := idsOf(tok, "x\u0301", false); len(got) != want {
			t.Errorf("%s: %v, want %d tokens", pre, got, want)
		}
	}
}

func TestGGUFSpecialTokens(t *testing.T) {
	keys := append(small(), key("tokenizer.ggml.add_bos_token", true), key("tokenizer.ggml.add_eos_token", true),
		key("tokenizer.ggml.eot_token_id", uint32(261)), key("tokenizer.ggml.eom_token_id", uint32(260)))
	tok, ends := fromKeys(t, keys...)
	if !slices.Equal(tok.prefix, []uint32{259}) || !slices.Equal(tok.suffix, []uint32{260}) || !slices.Equal(ends, []uint32{260, 261}) {
		t.Errorf("prefix %v, suffix %v, ends %v", tok.prefix, tok.suffix, ends)
	}
	if !tok.IsSpecial(259) || tok.IsSpecial(261) || tok.IsSpecial(262) {
		t.Error("want control tokens special and no others")
	}
	if _, ok := tok.Token(262); ok {
		t.Error("an unused token stands for text")
	}
	// Without a name of the split, Llama 3's vocabulary is known by its first token.
	tok, _ = fromKeys(t, set(small(), "tokenizer.ggml.pre", nil)...)
	if !slices.Equal(tok.prefix, []uint32{259}) {
		t.Errorf("prefix %v, want Llama 3's", tok.prefix)
	}
	tok, _ = fromKeys(t, append(set(small(), "tokenizer.ggml.pre", nil), key("tokenizer.ggml.add_bos_token", false))...)
	if tok.prefix != nil {
		t.Errorf("prefix %v, want none", tok.prefix)
	}
	tok, _ = fromKeys(t, append(sentencePieceKeys(t), key("tokenizer.ggml.add_space_prefix", false), key("tokenizer.ggml.add_bos_token", false))...)
	b, _ := tok.ID("b")
	(&tokenizerCase{Text: "b", IDs: []uint32{b}, IDsSpecial: []uint32{b}, Decoded: "b", DecodedSkipSpecial: "b"}).check(t, tok)
}

func TestGGUFRefusals(t *testing.T) {
	spm := sentencePieceKeys(t)
	long := set(spm, "tokenizer.ggml.tokens", append([]string{strings.Repeat("a", 600)}, spm[0].Value.([]string)[1:]...))
	long = set(long, "tokenizer.ggml.token_type", slices.Repeat([]int32{ggufNormal}, len(spm[0].Value.([]string))))
	tokens := func(change func([]string)) []gguf.Key {
		list := slices.Clone(small()[2].Value.([]string))
		change(list)
		return set(small(), "tokenizer.ggml.tokens", list)
	}
	for want, keys := range map[string][]gguf.Key{
		"tokenizer: gguf: m.gguf: key tokenizer.ggml.model is missing, want a string":                  {},
		`tokenizer: m.gguf: tokenizer.ggml.model is "bert", want gpt2 (byte-level BPE) or llama`:       set(small(), "tokenizer.ggml.model", "bert"),
		"key tokenizer.ggml.tokens is missing":                                                         set(small(), "tokenizer.ggml.tokens", nil),
		"key tokenizer.ggml.merges is missing":                                                         set(small(), "tokenizer.ggml.merges", nil),
		"key tokenizer.ggml.pre is missing":                                                            set(tokens(func(l []string) { l[259] = "<s>" }), "tokenizer.ggml.pre", nil),
		`tokenizer: m.gguf: tokenizer.ggml.pre is "chatglm-bpe", want one of falcon3, falcon_e, gpt-2`: set(small(), "tokenizer.ggml.pre", "chatglm-bpe"),
		"tokenizer.ggml.token_type has 1 entries, want one for each of 263 tokens":                     set(small(), "tokenizer.ggml.token_type", []int32{1}),
		`tokens 5 and 9 are both "x"`:                                                                  tokens(func(l []string) { l[5], l[9] = "x", "x"; l[0x78] = "y" }),
		`token 7, "\xff", is not UTF-8`:                                                                tokens(func(l []string) { l[7] = "\xff" }),
		`tokenizer.ggml.merges[1] is "ab", want two pieces`:                                            set(small(), "tokenizer.ggml.merges", []string{"1 2", "ab"}),
		`tokenizer.ggml.merges[0] is "a b c", want two pieces`:                                         set(small(), "tokenizer.ggml.merges", []string{"a b c"}),
		`tokenizer: m.gguf: model: BPE: merges[0]: "zz" is not in the vocabulary`:                      set(small(), "tokenizer.ggml.merges", []string{"zz a"}),
		"tokenizer.ggml.bos_token_id is missing, want one: the tokenizer adds that token to a text":    append(set(small(), "tokenizer.ggml.bos_token_id", nil), key("tokenizer.ggml.add_bos_token", true)),
		"tokenizer.ggml.eos_token_id is 263, which is none of the 263 tokens":                          set(small(), "tokenizer.ggml.eos_token_id", uint32(263)),
		"tokenizer.ggml.eos_token_id is 262, which is none of the 263 tokens":                          set(small(), "tokenizer.ggml.eos_token_id", uint32(262)),
		"key tokenizer.ggml.eos_token_id is string, want an integer":                                   set(small(), "tokenizer.ggml.eos_token_id", "x"),
		"key tokenizer.ggml.add_bos_token is the uint8 1, want a bool":                                 set(small(), "tokenizer.ggml.add_bos_token", uint8(1)),
		"key tokenizer.ggml.scores is missing, want an array of floats":                                set(spm, "tokenizer.ggml.scores", nil),
		"tokenizer.ggml.scores has 1 entries, want one for each of 32000 tokens":                       set(spm, "tokenizer.ggml.scores", []float32{1}),
		"token 0 has 600 bytes, want at most 512 in a SentencePiece model":                             long,
	} {
		_, _, err := FromGGUF(fileWith(t, keys...))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "m.gguf") != 1 {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

var ggufTexts = []string{
	"The quick brown fox isn't lazy: 12345 dogs,\n\n  and café — ok!", "", " ", "a", "  two", "don't WE'LL you'Ve", "1 22 333 4444 55555",
	"na\u0308ive \u0939\u093f\u0928\u094d\u0926\u0940", "tabs\t\tand\r\nlines\n\n\n", "日本語、テキスト。", "<|im_start|>user\nhi<|im_end|>\n", "<|end_of_text|><|begin_of_text|>",
	"fn main() { println!(\"hello\"); } // x+=1", "😀 emoji", "[PAD383] <think>", "\x00\x01\xff", "Don’t “quote”…", "٣٤٥ ½ ²",
}

// Small public models, where BITGPU_PUBLIC_MODELS names a folder of them: each GGUF file gives the ids of the
// tokenizer.json beside it, and those that were written down.
func TestPublicTokenizers(t *testing.T) {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.gguf"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files (%v)", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path))+"∕"+filepath.Base(path), func(t *testing.T) {
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tok, ends, err := FromGGUF(f)
			if err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(filepath.Dir(path), "tokenizer.json")
			if base := filepath.Base(path); strings.HasPrefix(base, "qwen3_") {
				other = filepath.Join(filepath.Dir(path), "qwen.tokenizer.json")
			} else if strings.HasSuffix(filepath.Dir(path), "f_gguf") {
				other = filepath.Join(filepath.Dir(path), "llama.tokenizer.json")
			}
			data, err := os.ReadFile(other)
			if err != nil {
				t.Fatal(err)
			}
			twin, err := Parse(other, data)
			if err != nil {
				t.Fatal(err)
			}
			texts := ggufTexts
			for _, text := range texts {
				c := tokenizerCase{Text: text, IDs: idsOf(twin, text, false), IDsSpecial: idsOf(twin, text, true)}
				c.Decoded, c.DecodedSkipSpecial = twin.Decode(c.IDs, false), twin.Decode(c.IDsSpecial, true)
				c.check(t, tok)
			}
			if eos, err := f.Int("tokenizer.ggml.eos_token_id"); err != nil || ends[0] != uint32(eos) {
				t.Errorf("ends %v, want %d first (%v)", ends, eos, err)
			}
			var expected tokenizerCase
			if data, err := os.ReadFile(filepath.Join(filepath.Dir(path), "tokenizer_expected.json")); err == nil {
				if err := json.Unmarshal(data, &expected); err != nil {
					t.Fatal(err)
				}
				if got := idsOf(tok, expected.Text, true); !slices.Equal(got, expected.IDs) {
					t.Errorf("%v, want %v", got, expected.IDs)
				}
			}
		})
	}
	// The chains of the other folders have no GGUF file beside them: it is made of their tokenizer.json.
	for folder, pre := range map[string]string{
		"a_bitnet_packed": "llama-bpe", "b_bitnet_bf16_online": "llama-bpe", "c_llama_bitlinear_packed": "falcon3", "d_trilm_unpacked": "gpt-neox",
		"e_falcon_e_packed": "falcon3", "e_falcon_e_prequantized": "falcon3", "b_qwen35": "qwen35", "a_qwen3": "qwen2",
	} {
		data, err := os.ReadFile(filepath.Join(dir, folder, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		twin, err := Parse(folder, data)
		if err != nil {
			t.Fatal(err)
		}
		keys := append(keysOf(t, data), key("tokenizer.ggml.model", "gpt2"), key("tokenizer.ggml.pre", pre))
		if pre == "llama-bpe" {
			keys = append(keys, key("tokenizer.ggml.bos_token_id", twin.prefix[0]))
		}
		tok, _ := fromKeys(t, keys...)
		var expected struct {
			Text      string
			IDs       []uint32
			NoSpecial []uint32 `json:"ids_no_special"`
		}
		if data, err = os.ReadFile(filepath.Join(dir, folder, "tokenizer_expected.json")); err != nil || json.Unmarshal(data, &expected) != nil {
			t.Fatal(err)
		}
		if expected.NoSpecial == nil {
			expected.NoSpecial = expected.IDs
		}
		for _, text := range append(ggufTexts, expected.Text) {
			c := tokenizerCase{Text: text, IDs: idsOf(twin, text, false), IDsSpecial: idsOf(twin, text, true)}
			if text == expected.Text {
				c.IDs, c.IDsSpecial = expected.NoSpecial, expected.IDs
			}
			c.Decoded, c.DecodedSkipSpecial = twin.Decode(c.IDs, false), twin.Decode(c.IDsSpecial, true)
			c.check(t, tok)
		}
	}
}
