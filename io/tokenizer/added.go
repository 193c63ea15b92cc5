package tokenizer

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before the model sees it.
type addedToken struct {
	ID         uint32
	Content    string
	SingleWord bool `json:"single_word"` // only where no word character touches it
	LStrip     bool `json:"lstrip"`      // takes the white space before it
	RStrip     bool `json:"rstrip"`      // takes the white space after it
	Normalized bool // is looked for in the normalized text, and is normalized itself
	Special    bool // is left out of decoded text on demand
}

// An addedSet finds added tokens: where several match, the leftmost, of these the longest.
type addedSet struct {
	tokens []addedToken
	trie   *trie // of what is looked for; values are indices into tokens
}

// newAddedSet looks for texts[i] to find tokens[i].
func newAddedSet(tokens []addedToken, texts []string) (*addedSet, error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	values := make([]int32, len(tokens))
	seen := make(map[string]int, len(tokens))
	for i, text := range texts {
		if other, ok := seen[text]; ok {
			return nil, fmt.Errorf("added_tokens: %q and %q are both %q once normalized", tokens[other].Content, tokens[i].Content, text)
		}
		seen[text], values[i] = i, int32(i)
	}
	return &addedSet{tokens, newTrie(texts, values)}, nil
}

// split calls token and between in the order of the text: with each token found, and with what lies between two, which
// is not empty.
func (a *addedSet) split(text string, token func(id uint32), between func(start, end int)) {
	if text == "" {
		return
	}
	if a == nil {
		between(0, len(text))
		return
	}
	done := 0                     // the text before is given away
	spaces := span{-1, -1, false} // the last run of white space measured, lest a long one be measured again and again
	for pos := 0; pos < len(text); {
		if !a.trie.starts[text[pos]] {
			pos++
			continue
		}
		length, value := a.trie.longest(text[pos:])
		if length == 0 {
			pos++
			continue
		}
		t := &a.tokens[value]
		start, end := pos, pos+length
		pos = end
		if t.SingleWord && (endsWithWord(text[:start]) || startsWithWord(text[end:])) {
			continue
		}
		if t.LStrip {
			for start > done {
				r, n := utf8.DecodeLastRuneInString(text[done:start])
				if !unicode.IsSpace(r) {
					break
				}
				start -= n
			}
			start = max(start, done)
		}
		if t.RStrip {
			if end < spaces.start || end > spaces.end {
				spaces = span{start: end, end: end}
				for _, r := range text[end:] {
					if !unicode.IsSpace(r) {
						break
					}
					spaces.end += utf8.RuneLen(r)
				}
			}
			end = spaces.end
		}
		if done < start {
			between(done, start)
		}
		token(t.ID)
		done = end
	}
	if done < len(text) {
		between(done, len(text))
	}
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode's regular expressions (UTS #18, annex C).
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
