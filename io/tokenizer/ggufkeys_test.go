package tokenizer

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/gguf"
)

// The keys of whole tokenizers, of byte-level BPE and of SentencePiece's, make tokenizers that give the same ids.
func TestGGUFKeys(t *testing.T) {
	for _, family := range []string{"gpt2", "llama3like", "tinyllama"} {
		data := fileOf(t, family)
		want, err := Parse(family, data)
		if err != nil {
			t.Fatal(err)
		}
		keys, err := GGUFKeys(data, want.Size()+7, map[string]uint32{"eot": 5})
		if err != nil {
			t.Errorf("%s: %v", family, err)
			continue
		}
		var file bytes.Buffer
		if err := gguf.Write(&file, keys, nil); err != nil {
			t.Fatal(err)
		}
		f, err := gguf.Parse(family+".gguf", file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, ends, err := FromGGUF(f)
		if err != nil {
			t.Fatalf("%s: %v", family, err)
		}
		if !slices.Contains(ends, 5) {
			t.Errorf("%s: got the ends %v, want 5 among them", family, ends)
		}
		for _, text := range []string{"", "Hello, world!", "  two  spaces\n\n\tand tabs", "naïve café 12345 — हिन्दी 😀", "don't <|endoftext|> </s> <s>", strings.Repeat("ab ", 99)} {
			a, err1 := got.Encode(text, true)
			b, err2 := want.Encode(text, true)
			if !slices.Equal(a, b) || err1 != nil || err2 != nil {
				t.Errorf("%s: %q: got %v (%v), want %v (%v)", family, text, a, err1, b, err2)
			}
			if x, y := got.Decode(a, false), want.Decode(b, false); x != y {
				t.Errorf("%s: got the text %q, want %q", family, x, y)
			}
		}
	}
}

func TestGGUFKeysRefusals(t *testing.T) {
	const good = `{"added_tokens":[{"id":2,"content":"<e>","special":true}],"pre_tokenizer":` + byteLevelGPT2 + `,"decoder":` + byteLevelGPT2 + `,"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":[]}}`
	if _, err := GGUFKeys([]byte(good), 3, nil); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string][2]string{
		"has no row in the embedding of 3":             {`"id":2`, `"id":3`},
		`got the model "Unigram", want BPE`:            {`"BPE"`, `"Unigram"`},
		"dropout, a prefix or a suffix":                {`"type":"BPE"`, `"type":"BPE","end_of_word_suffix":"</w>"`},
		"the pre-tokenizer is none that GGUF has":      {`"use_regex":true`, `"use_regex":false`},
		"is found only as a word":                      {`"special":true`, `"special":true,"rstrip":true`},
		"the tokens around a text would be other ones": {`"model"`, `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"SpecialToken":{"id":"b"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0,1]}}},"model"`},
		"invalid character":                            {`{"added`, `{added`},
	} {
		_, err := GGUFKeys([]byte(strings.Replace(good, change[0], change[1], 1)), 3, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
