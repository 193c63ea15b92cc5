package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
)

// with is a small tokenizer.json with one member set.
func with(member, value string) string {
	members := map[string]json.RawMessage{
		"model": json.RawMessage(`{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}`),
	}
	members[member] = json.RawMessage(value)
	data, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func nested(kind, member string, depth int) string {
	return strings.Repeat(`{"type": "`+kind+`", "`+member+`": [`, depth) + strings.Repeat("]}", depth)
}

// TestRefusals gives Parse files that it must not take. Errors name the file and what is wrong with it.
func TestRefusals(t *testing.T) {
	const (
		norm, pre, post, dec = "normalizer", "pre_tokenizer", "post_processor", "decoder"
	)
	for _, c := range []struct{ file, want string }{
		{``, "JSON"},
		{`{`, "at byte 1"},
		{`{"model": nonsense}`, "at byte 12"},
		{`[]`, `got "[]", want an object that has a "model"`},
		{`{}`, `"model"`},
		{`{"model": null}`, `"model"`},
		{with("version", `"2.0"`), `version is "2.0", want "1.0"`},
		{with("truncation", `{"max_length": 5}`), "truncation is not supported"},
		{with("padding", `{}`), "padding is not supported"},

		{with("model", `{}`), `"type" is missing`},
		{with("model", `{"type": "WordPiece", "vocab": {}}`), `type "WordPiece" is not supported`},
		{with("model", `{"type": "WordLevel", "vocab": {}}`), `type "WordLevel" is not supported`},
		{with("model", `{"type": "BPE", "merges": []}`), `"vocab" is missing`},
		{with("model", `{"type": "BPE", "vocab": [], "merges": []}`), `"vocab" is missing or not an object`},
		{with("model", `{"type": "BPE", "vocab": {}}`), `"merges" is missing`},
		{with("model", `{"type": "BPE", "vocab": {"a": -1}, "merges": []}`), "-1"},
		{with("model", `{"type": "BPE", "vocab": {"a": 4294967295}, "merges": []}`), "id 4294967295, want an id below"},
		{with("model", `{"type": "BPE", "vocab": {"a": 4294967296}, "merges": []}`), "4294967296"},
		{with("model", `{"type": "BPE", "vocab": {"a": 1, "b": 1}, "merges": []}`), `"a" and "b" both have id 1`},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": ["a c"]}`), `merges[0]: "c" is not in the vocabulary`},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": [["c", "a"]]}`), `"c" is not in the vocabulary`},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": ["a a"]}`), `"aa", joined from "a" and "a"`},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": ["a a a"]}`), "want two pieces"},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": [["a"]]}`), "want two pieces"},
		{with("model", `{"type": "BPE", "vocab": {"": 1, "a": 2}, "merges": [["", "a"]]}`), "want two pieces"},
		{with("model", `{"type": "BPE", "vocab": {"a": 1}, "merges": ["a a"], "continuing_subword_prefix": "##"}`), "continuing_subword_prefix"},
		{with("model", `{"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1}`), "dropout 0.1 is not supported"},
		{with("model", `{"type": "Unigram", "vocab": {}}`), "not a list"},
		{with("model", `{"type": "Unigram", "vocab": [["a"]]}`), "want [piece, score]"},
		{with("model", `{"type": "Unigram", "vocab": [["a", null]]}`), "null stands in a list"},
		{with("model", `{"type": "Unigram", "vocab": [[1, 2]]}`), "want [piece, score]"},
		{with("model", `{"type": "Unigram", "vocab": [["a", 0]], "unk_id": 1}`), "unk_id is 1"},
		{with("model", `{"type": "Unigram", "vocab": [["a", 0]], "unk_id": -1}`), "unk_id is -1"},

		{with(norm, `{"type": "BertNormalizer"}`), `type "BertNormalizer" is not supported`},
		{with(norm, `{"type": "Precompiled"}`), `type "Precompiled" is not supported`},
		{with(norm, `{"type": "Nmt"}`), `type "Nmt" is not supported`},
		{with(norm, `{"type": "StripAccents"}`), `type "StripAccents" is not supported`},
		{with(norm, `{"type": "ByteLevel"}`), `type "ByteLevel" is not supported`},
		{with(norm, `{}`), `"type" is missing`},
		{with(norm, `[]`), "cannot unmarshal"},
		{with(norm, `{"type": "Prepend"}`), `"prepend" is missing`},
		{with(norm, `{"type": "Strip"}`), `"strip_left" is missing`},
		{with(norm, `{"type": "Sequence"}`), `"normalizers" is missing`},
		{with(norm, `{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "X"}]}`), `normalizers[1]: type "X"`},
		{with(norm, `{"type": "Replace", "content": ""}`), `"pattern" is missing`},
		{with(norm, `{"type": "Replace", "content": "", "pattern": {"Glob": "*"}}`), `neither {"String": …} nor {"Regex": …}`},
		{with(norm, `{"type": "Replace", "content": "", "pattern": {"Regex": "("}}`), `regex "("`},
		{with(norm, nested("Sequence", "normalizers", 100)), "deep"},

		{with(pre, `{"type": "BertPreTokenizer"}`), `type "BertPreTokenizer" is not supported`},
		{with(pre, `{"type": "CharDelimiterSplit"}`), `type "CharDelimiterSplit" is not supported`},
		{with(pre, `{"type": "UnicodeScripts"}`), `type "UnicodeScripts" is not supported`},
		{with(pre, `{"type": "FixedLength"}`), `type "FixedLength" is not supported`},
		{with(pre, `{"type": "ByteLevel"}`), `"add_prefix_space" is missing`},
		{with(pre, `{"type": "Digits"}`), `"individual_digits" is missing`},
		{with(pre, `{"type": "Punctuation", "behavior": "Gone"}`), `behavior "Gone" is not supported`},
		{with(pre, `{"type": "Split", "pattern": {"String": "a"}, "behavior": "x", "invert": false}`), `behavior "x" is not supported`},
		{with(pre, `{"type": "Metaspace", "replacement": "ab"}`), `replacement is "ab", want one character`},
		{with(pre, `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"}`), `prepend_scheme "x" is not supported`},
		{with(pre, `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "add_prefix_space": false}`), "add_prefix_space is false"},
		{with(pre, nested("Sequence", "pretokenizers", 100)), "deep"},

		{with(post, `{"type": "Fancy"}`), `type "Fancy" is not supported`},
		{with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "B", "type_id": 0}}]}`), `the sequence "B"`},
		{with(post, `{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}], "special_tokens": {}}`), `"<s>", which special_tokens lacks`},
		{with(post, `{"type": "TemplateProcessing", "single": []}`), "0 times, want once"},
		{with(post, `{"type": "TemplateProcessing", "single": [{}]}`), "neither a Sequence nor a SpecialToken"},
		{with(post, `{"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", 3]}`), "id 3, want one below 3"},
		{with(post, `{"type": "BertProcessing", "sep": ["a"], "cls": ["b", 3]}`), "want [piece, id]"},
		{with(post, `{"type": "Sequence", "processors": [`+strings.Repeat(`{"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", 1]},`, 2)+`{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}]}`), "2 processors"},
		{with(post, nested("Sequence", "processors", 100)), "deep"},

		{with(dec, `{"type": "WordPiece"}`), `type "WordPiece" is not supported`},
		{with(dec, `{"type": "CTC"}`), `type "CTC" is not supported`},
		{with(dec, `{"type": "Strip", "content": "ab", "start": 1, "stop": 0}`), `content is "ab", want one character`},
		{with(dec, `{"type": "Strip", "content": "a", "start": -1, "stop": 0}`), "-1"},
		{with(dec, `{"type": "BPEDecoder"}`), `"suffix" is missing`},
		{with(dec, nested("Sequence", "decoders", 100)), "deep"},
	} {
		tok, err := Parse("bad.json", []byte(c.file))
		switch {
		case err == nil:
			t.Errorf("%.200s was taken, want an error with %q", c.file, c.want)
		case tok != nil:
			t.Errorf("%.200s gave a tokenizer and an error", c.file)
		case !strings.HasPrefix(err.Error(), "tokenizer: bad.json: ") || !strings.Contains(err.Error(), c.want):
			t.Errorf("%.200s\n got %v\nwant an error with %q", c.file, err, c.want)
		}
	}
}

// TestWhatIsMissing refuses null and missing members where Hugging Face's library 0.23.3 does, and takes them where that does.
func TestWhatIsMissing(t *testing.T) {
	const (
		token = `{"id": 3, "content": "x", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`
		bpe   = `"type": "BPE", "vocab": {"a": 0}, "merges": []`
		norm  = "normalizer"
		pre   = "pre_tokenizer"
		post  = "post_processor"
		dec   = "decoder"
	)
	without := func(object, member string) string {
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(object), &all); err != nil {
			t.Fatal(err)
		}
		delete(all, member)
		data, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	refused := []string{
		with("version", "null"), with("version", `""`), with("model", "null"),
		with("added_tokens", "null"), with("added_tokens", "[null]"), with("added_tokens", "[5]"), with("added_tokens", "{}"),
		with("added_tokens", `[{"content": "x"}]`), with("added_tokens", `[`+strings.Replace(token, `"id": 3`, `"id": 3, "id": 3`, 1)+`]`),
		with("model", `{"type": null, "vocab": {"a": 0}, "merges": []}`), with("model", `{"type": "BPE", "vocab": null, "merges": []}`),
		with("model", `{"type": "BPE", "vocab": {"a": 0}, "merges": null}`), with("model", `{"type": "BPE", "vocab": {"a": null}, "merges": []}`),
		with("model", `{"type": "BPE", "vocab": {"a": 0.0}, "merges": []}`), with("model", `{"type": "BPE", "vocab": {"a": "0"}, "merges": []}`),
		with("model", `{"type": "BPE", "Vocab": {"a": 0}, "merges": []}`), with("model", `{"type": "bpe", "vocab": {"a": 0}, "merges": []}`),
		with("model", `{"type": "BPE", "vocab": {"a": 0}, "merges": [null]}`), with("model", `{"type": "BPE", "vocab": {"a": 0}, "merges": [["a", null]]}`),
		with("model", `{"type": "BPE", "vocab": {"a": 0}, "merges": [""]}`),
		with("model", `{"type": "Unigram", "vocab": [null]}`), with("model", `{"type": "Unigram", "vocab": [[null, 0]]}`),
		with("model", `{"type": "Unigram", "vocab": [["a", -1]], "byte_fallback": null}`),
		with(norm, `{"type": null}`), with(norm, `{"type": "Sequence", "normalizers": [null]}`), with(norm, `{"type": "Sequence", "normalizers": null}`),
		with(norm, `{"type": "Prepend", "prepend": null}`), with(norm, `{"type": "Strip", "strip_left": null, "strip_right": true}`),
		with(norm, `{"type": "Replace", "pattern": {"String": null}, "content": "b"}`), with(norm, `{"type": "Replace", "pattern": {"String": "a"}, "content": null}`),
		with(pre, `{"type": "ByteLevel", "add_prefix_space": true}`), with(pre, `{"type": "ByteLevel", "add_prefix_space": null, "trim_offsets": true}`),
		with(pre, `{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": null}`),
		with(pre, `{"type": "Punctuation", "behavior": null}`), with(pre, `{"type": "Split", "pattern": {"String": "a"}, "behavior": "Removed", "invert": null}`),
		with(pre, `{"type": "Metaspace", "replacement": "_", "prepend_scheme": null}`),
		with(dec, `{"type": "Strip", "content": " ", "start": null, "stop": 1}`), with(dec, `{"type": "BPEDecoder", "suffix": null}`), with(dec, `{"type": "ByteLevel"}`),
		with(post, `{"type": "ByteLevel"}`), with(post, `{"type": "BertProcessing", "sep": ["a", null], "cls": ["a", 0]}`),
		with(post, `{"type": "BertProcessing", "sep": [null, 0], "cls": ["a", 0]}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}], "pair": [], "special_tokens": {}}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": null}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": []}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {}}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"x": null}}`),
		with(post, `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"x": {"id": "x", "ids": [0]}}}`),
	}
	for _, member := range []string{"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"} {
		missing := without(token, member)
		refused = append(refused, with("added_tokens", "["+missing+"]"), with("added_tokens", "["+missing[:len(missing)-1]+`, "`+member+`": null}]`))
	}
	for _, file := range refused {
		_, err := Parse("bad.json", []byte(file))
		if got := errorText(err); !strings.HasPrefix(got, "tokenizer: bad.json: ") || strings.Contains(got, "\n") {
			t.Errorf("%s\n got %v\nwant an error", file, err)
		}
	}
	for _, file := range []string{
		without(with("model", "{"+bpe+"}"), "added_tokens"), with("truncation", "null"), with("padding", "null"), with(norm, "null"), with(pre, "null"),
		with(post, "null"), with(dec, "null"), with("foo", "null"), with("added_tokens", `[`+token+`]`),
		with("added_tokens", `[`+strings.Replace(token, `"id": 3`, `"id": 3, "foo": null`, 1)+`]`),
		with("model", `{`+bpe+`, "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": null,
			"byte_fallback": null, "ignore_merges": null, "cache_capacity": null}`),
		with("model", `{`+bpe+`, "unk_token": "", "continuing_subword_prefix": "", "end_of_word_suffix": ""}`),
		with("model", `{"vocab": {"a": 0}, "merges": []}`), with("model", `{"vocab": [["a", 0]], "unk_id": null}`),
		with("model", `{"type": "BPE", "vocab": {"a": 0, "n\"ull\\": 1, "true": 2, "null": 3, "false": 4}, "merges": []}`),
		with(pre, `{"type": "Punctuation"}`), with(pre, `{"type": "Whitespace", "x": null}`), with(dec, `{"type": "Fuse"}`),
		with(pre, `{"type": "Metaspace", "replacement": "_", "split": null, "add_prefix_space": null}`),
		with(post, `{"type": "RobertaProcessing", "sep": ["a", 0], "cls": ["a", 0]}`),
	} {
		if _, err := Parse("good.json", []byte(file)); err != nil {
			t.Errorf("%s\n got %v, want no error", file, err)
		}
	}
}

func TestAccessors(t *testing.T) {
	tok := load(t, "llama3like")
	if tok.Size() != 50259 {
		t.Errorf("Size() = %d, want 50259", tok.Size())
	}
	for _, c := range []struct {
		id      uint32
		piece   string
		special bool
	}{{0, "!", false}, {262, "Ġthe", false}, {50256, "<|endoftext|>", true}, {50258, "<|eot_id|>", true}} {
		if piece, ok := tok.Token(c.id); piece != c.piece || !ok {
			t.Errorf("Token(%d) = %q, %v, want %q", c.id, piece, ok, c.piece)
		}
		if id, ok := tok.ID(c.piece); id != c.id || !ok {
			t.Errorf("ID(%q) = %d, %v, want %d", c.piece, id, ok, c.id)
		}
		if tok.IsSpecial(c.id) != c.special {
			t.Errorf("IsSpecial(%d) = %v", c.id, !c.special)
		}
	}
	if piece, ok := tok.Token(50259); ok {
		t.Errorf("Token(50259) = %q", piece)
	}
	if id, ok := tok.ID("no such piece"); ok {
		t.Errorf("ID(no such piece) = %d", id)
	}
	if tok.IsSpecial(1 << 31) {
		t.Error("IsSpecial(1<<31)")
	}
	if got := tok.EndOfText(); !slices.Equal(got, []uint32{50256, 50258}) {
		t.Errorf("EndOfText() = %v, want [50256 50258]", got)
	}
	if got := load(t, "tinyllama").EndOfText(); !slices.Equal(got, []uint32{2}) {
		t.Errorf("EndOfText() = %v, want [2]", got)
	}
}

// TestHoles reads a vocabulary in which ids are missing.
func TestHoles(t *testing.T) {
	tok, err := Parse("holes", []byte(with("model", `{"type": "BPE", "vocab": {"a": 0, "b": 7}, "merges": []}`)))
	if err != nil {
		t.Fatal(err)
	}
	if tok.Size() != 8 {
		t.Errorf("Size() = %d, want 8", tok.Size())
	}
	if _, ok := tok.Token(3); ok {
		t.Error("Token(3) is a piece, want a hole")
	}
	if got := tok.Decode([]uint32{0, 3, 7, 99}, false); got != "a b" {
		t.Errorf("Decode = %q, want %q", got, "a b")
	}
}

func TestInvalidUTF8(t *testing.T) {
	for text, want := range map[string]string{
		"a\xffb":                   "a\uFFFDb",
		"\xe6\x97":                 "\uFFFD",
		"\xe6\x97\xe6\x97\xa5":     "\uFFFD日",
		"\xf0\x9f\x98":             "\uFFFD",
		"\xf0\x80\x80":             "\uFFFD\uFFFD\uFFFD",
		"\xed\xa0\x80":             "\uFFFD\uFFFD\uFFFD",
		"\xc0\xaf\xe0\x80":         "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf4\x8f\xbf\xbf\xf4\x90": "\U0010FFFF\uFFFD\uFFFD",
		"\xe6\x97\xa5":             "日",
	} {
		if got := validUTF8(text); got != want {
			t.Errorf("validUTF8(%q) = %q, want %q", text, got, want)
		}
	}
	for _, family := range families {
		tok := load(t, family)
		if got, want := encode(t, tok, "ab\xffc\xe6\x97", false), encode(t, tok, "ab\uFFFDc\uFFFD", false); !slices.Equal(got, want) {
			t.Errorf("%s: ids %v, want %v", family, got, want)
		}
	}
}

func TestConcurrent(t *testing.T) {
	for _, family := range families {
		tok := load(t, family)
		text := english(20000)
		want := encode(t, tok, text, true)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				if !slices.Equal(encode(t, tok, text, true), want) || tok.Decode(want, true) != text {
					t.Errorf("%s: another result in another goroutine", family)
				}
			})
		}
		group.Wait()
	}
}
