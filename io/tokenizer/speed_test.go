package tokenizer

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

// english is text of n bytes with about the word lengths and frequencies of English, the same at every call: words
// drawn by Zipf's law from a made-up lexicon.
func english(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	const vowels, consonants = "aeiou", "bcdfghjklmnprstvwy"
	lexicon := make([]string, 20000)
	for i := range lexicon {
		var b strings.Builder
		for range 1 + random.IntN(2+min(i/50, 3)) {
			b.WriteByte(consonants[random.IntN(len(consonants))])
			b.WriteByte(vowels[random.IntN(len(vowels))])
			if random.IntN(3) == 0 {
				b.WriteByte(consonants[random.IntN(len(consonants))])
			}
		}
		lexicon[i] = b.String()
	}
	zipf := rand.NewZipf(random, 1.1, 3, uint64(len(lexicon)-1))
	var b strings.Builder
	for b.Len() < n {
		for i := range 5 + random.IntN(12) {
			word := lexicon[zipf.Uint64()]
			if i == 0 {
				word = strings.ToUpper(word[:1]) + word[1:]
			} else {
				b.WriteByte(' ')
			}
			b.WriteString(word)
		}
		b.WriteString([]string{". ", ".\n", ", ", "? ", "'s 1905. "}[random.IntN(5)])
	}
	return b.String()[:n]
}

func BenchmarkEncode(b *testing.B) {
	text := english(1 << 20)
	for _, family := range families {
		tok := load(b, family)
		b.Run(family, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				encode(b, tok, text, false)
			}
		})
		b.Run(family+"/first", func(b *testing.B) { // nothing remembered yet
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.workers = sync.Pool{New: func() any { return newWorker() }}
				encode(b, tok, text, false)
			}
		})
	}
}

// BenchmarkLongWord is 256 KB of one character: linear time is some milliseconds, quadratic time an hour.
func BenchmarkLongWord(b *testing.B) {
	for _, family := range families {
		tok := load(b, family)
		for _, char := range []string{"a", " ", "1", "\n", "é", "字", "\xff"} {
			text := strings.Repeat(char, 256<<10/len(char))
			b.Run(family+"/"+char, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					encode(b, tok, text, false)
				}
			})
		}
	}
}

func BenchmarkStream(b *testing.B) {
	text := english(1 << 20)
	for _, family := range families {
		tok := load(b, family)
		ids := encode(b, tok, text, false)
		b.Run(family, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s := tok.NewStream(false)
				for _, id := range ids {
					s.Next(id)
				}
				s.Flush()
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, family := range families {
		data := fileOf(b, family)
		b.Run(family, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(family, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestLongWords would not end within the time of go test if anything were quadratic.
func TestLongWords(t *testing.T) {
	for _, family := range families {
		tok := load(t, family)
		for _, char := range []string{"a", " ", "1", "\n", "\xff", "▁"} {
			text := strings.Repeat(char, 256<<10/len(char))
			want := validUTF8(text)
			if family == "tinyllama" {
				want = strings.ReplaceAll(want, "▁", " ")
			}
			if got := tok.Decode(encode(t, tok, text, true), true); got != want {
				t.Errorf("%s: 256 KB of %q came back as %.40q…, %d bytes", family, char, got, len(got))
			}
		}
	}
	for i, g := range goldens(t) {
		if i%3 != 0 {
			continue
		}
		tok, err := Parse(g.Name, g.Tokenizer)
		if err != nil {
			t.Fatal(err)
		}
		for _, char := range []string{"a", " ", "<s>"} {
			ids := encode(t, tok, strings.Repeat(char, 4<<10), true)
			tok.Decode(ids, false)
		}
	}
}
