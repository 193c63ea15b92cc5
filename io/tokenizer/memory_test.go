package tokenizer

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// allocated is how many bytes f allocates in all, of which what is in use at a time is a part.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// repeated is n values, as list or object.
func repeated(format string, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestMemoryOfFiles: whatever a tokenizer.json is full of, reading it takes a stated number of bytes for each of its own.
func TestMemoryOfFiles(t *testing.T) {
	const n = 50000
	for name, c := range map[string]struct {
		file string
		most int
	}{
		"pieces":       {with("model", `{"type": "BPE", "vocab": {`+repeated(`"%[1]x":%[1]d`, n)+`}, "merges": []}`), 40},
		"merges":       {with("model", `{"type": "BPE", "vocab": {"a": 0, "aa": 1}, "merges": [`+strings.Repeat(`"a a",`, n)+`"a a"]}`), 40},
		"scores":       {with("model", `{"type": "Unigram", "vocab": [`+repeated(`["%x",0]`, n)+`]}`), 60},
		"added tokens": {with("added_tokens", `[`+repeated(`{"id":0,"content":"%x","single_word":false,"lstrip":false,"rstrip":false,"normalized":true,"special":true}`, n)+`]`), 40},
		"unknown":      {with("foo", `{`+repeated(`"%x":0`, n)+`}`), 4},
		"spaces":       {strings.Repeat(" ", 20*n) + with("foo", "0"), 4},
	} {
		took := allocated(func() {
			if _, err := Parse(name, []byte(c.file)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		})
		t.Logf("%s: %.1f bytes for each of %d", name, float64(took)/float64(len(c.file)), len(c.file))
		if took > c.most*len(c.file) {
			t.Errorf("%s: got %d bytes allocated for a file of %d, want at most %d times as many", name, took, len(c.file), c.most)
		}
	}
}

// TestGrowth: a small file whose parts multiply the text is an error that names the part, before memory is taken for it.
func TestGrowth(t *testing.T) {
	replace := func(content string) string {
		return `{"type": "Replace", "pattern": {"String": "a"}, "content": "` + content + `"}`
	}
	chain := func(part string, n int) string { return strings.Repeat(part+",", n-1) + part }
	thousand := replace(strings.Repeat("a", 1000))
	regex := `{"type": "Replace", "pattern": {"Regex": "a??"}, "content": "aa"}`
	for _, c := range []struct{ member, value, want string }{
		{"normalizer", `{"type": "Sequence", "normalizers": [` + chain(thousand, 6) + `]}`, "Replace makes"},
		{"normalizer", `{"type": "Sequence", "normalizers": [` + chain(replace("aa"), 200) + `]}`, "Replace makes"},
		{"normalizer", `{"type": "Sequence", "normalizers": [` + chain(regex, 200) + `]}`, "Replace makes"},
		{"normalizer", `{"type": "Sequence", "normalizers": [` + chain(`{"type": "Prepend", "prepend": "`+strings.Repeat("a", 600)+`"}`, 100) + `]}`, "Prepend makes"},
		{"pre_tokenizer", `{"type": "Sequence", "pretokenizers": [` + chain(`{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": false}`, 100) + `]}`, "ByteLevel makes"},
	} {
		tok, err := Parse("growing.json", []byte(with(c.member, c.value)))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("aé", 200)
		took := allocated(func() {
			if _, err := tok.Encode(text, false); !strings.Contains(errorText(err), "tokenizer: growing.json: "+c.want) {
				t.Errorf("%.100s: got %v, want an error with %q", c.value, err, c.want)
			}
		})
		if took > 400*growthPerByte*len(text)+1<<20 {
			t.Errorf("%.100s: got %d bytes allocated for %d", c.value, took, len(text))
		}
	}
	for _, value := range []string{thousand, `{"type": "Sequence", "decoders": [` + chain(replace("aa"), 200) + `]}`, `{"type": "Sequence", "decoders": [` + chain(regex, 4) + `]}`} {
		if _, err := Parse("growing.json", []byte(with("decoder", value))); !strings.Contains(errorText(err), "of one, want at most 64") {
			t.Errorf("%.100s: got %v, want an error", value, err)
		}
	}
	for _, member := range []struct{ name, list string }{{"normalizer", "normalizers"}, {"pre_tokenizer", "pretokenizers"}, {"decoder", "decoders"}} {
		value := `{"type": "Sequence", "` + member.list + `": [` + chain(`{"type": "Metaspace", "replacement": "_"}`, 257) + `]}`
		if member.name == "normalizer" {
			value = `{"type": "Sequence", "normalizers": [` + chain(`{"type": "NFC"}`, 257) + `]}`
		}
		if _, err := Parse("long.json", []byte(with(member.name, value))); !strings.Contains(errorText(err), "more than 256 are not supported") {
			t.Errorf("%s: got %v, want an error", member.name, err)
		}
	}
	added := with("added_tokens", `[{"id": 3, "content": "aaaa", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]`)
	added = added[:len(added)-1] + `, "normalizer": {"type": "Sequence", "normalizers": [` + chain(thousand, 6) + `]}}`
	if _, err := Parse("growing.json", []byte(added)); !strings.Contains(errorText(err), `added_tokens: "aaaa": Replace makes`) {
		t.Errorf("an added token that grows: got %v, want an error", err)
	}
}

// TestMemoryOfTexts: encoding takes a stated number of bytes for each of the text, also where each is a word.
func TestMemoryOfTexts(t *testing.T) {
	const most = 400
	for _, family := range families {
		tok := load(t, family)
		for _, piece := range []string{"a", " ", "1", ".", "\n", "\xff", "é", "word "} {
			text := strings.Repeat(piece, 200000/len(piece))
			took := allocated(func() { encode(t, tok, text, false) })
			t.Logf("%s: %q: %.1f", family, piece, float64(took)/float64(len(text)))
			if took > most*len(text) {
				t.Errorf("%s: %q…: got %d bytes allocated for a text of %d, want at most %d times as many", family, piece, took, len(text), most)
			}
		}
	}
}

// TestLongestWord: a word that would take gigabytes is an error that shows its beginning.
func TestLongestWord(t *testing.T) {
	long := strings.Repeat("a", maxJoined+1)
	took := allocated(func() {
		if _, err := load(t, "gpt2").Encode(long, false); !strings.Contains(errorText(err), "has 8388609 bytes, want at most 8388608") {
			t.Errorf("got %v, want an error", err)
		}
		if _, err := Train(texts("a few words", long), TrainOptions{VocabSize: 300}); !strings.Contains(errorText(err), `the word that begins with "aaa`) {
			t.Errorf("got %v, want an error", err)
		}
	})
	if took > 8*len(long) {
		t.Errorf("got %d bytes allocated for two texts of %d", took, len(long))
	}
}

// TestMemoryOfTraining: a vocabulary takes a stated number of bytes for each of a text, also where that is one word.
func TestMemoryOfTraining(t *testing.T) {
	const most = 80
	for name, text := range map[string]string{
		"one word": strings.Repeat("abcdefgh", 100000), "one letter": strings.Repeat("a", 800000), "english": english(800000),
	} {
		took := allocated(func() {
			if _, err := Train(texts(text), TrainOptions{VocabSize: LeastVocab + 10}); err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("%s: %.1f", name, float64(took)/float64(len(text)))
		if took > most*len(text) {
			t.Errorf("%s: got %d bytes allocated for a text of %d, want at most %d times as many", name, took, len(text), most)
		}
	}
}
