package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"bitgpu/io/internal/jsonscan"
)

// addedToken is a token that is matched in the text before the model sees it.
type addedToken struct {
	ID         uint32
	Content    string
	SingleWord bool `json:"single_word"` // not next to a word character
	LStrip     bool `json:"lstrip"`      // includes the white space before it
	RStrip     bool `json:"rstrip"`      // includes the white space after it
	Normalized bool // is matched in the normalized text, and is itself normalized
	Special    bool // can be left out of decoded text
}

// parseAdded reads the list of added tokens. As in Hugging Face's library, no member may be missing.
func parseAdded(raw json.RawMessage) ([]addedToken, error) {
	if raw != nil && !jsonscan.IsArray(raw) {
		return nil, fmt.Errorf(": got %.20q, want a list", raw)
	}
	var all []addedToken
	names := []string{"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}
	for element := range jsonscan.Elements(raw) {
		found := 0
		for m := range jsonscan.Members(element) {
			if slices.Contains(names, string(m.Name[1:len(m.Name)-1])) {
				found++
			}
		}
		var a addedToken
		if err := json.Unmarshal(element, &a); err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(all), err)
		}
		if found != len(names) || len(membersOf(element, names...)) != len(names) {
			return nil, fmt.Errorf("[%d]: got %.80s, want each of %s once", len(all), element, strings.Join(names, ", "))
		}
		all = append(all, a)
	}
	return all, nil
}

// An addedSet finds added tokens: of several matches the leftmost, and of these the longest.
type addedSet struct {
	tokens []addedToken
	trie   *trie // of the texts to match; values are indices into tokens
}

// newAddedSet matches texts[i] for tokens[i]. Of tokens with equal texts it finds the first.
func newAddedSet(tokens []addedToken, texts []string) *addedSet {
	if len(tokens) == 0 {
		return nil
	}
	values := make([]int32, len(tokens))
	for i := range values {
		values[i] = int32(len(tokens) - 1 - i) // the trie keeps the last of equal keys
	}
	reversed := slices.Clone(texts)
	slices.Reverse(reversed)
	return &addedSet{tokens, newTrie(reversed, values)}
}

// split calls token and between in the order of the text: token for each token found, between for each text between two,
// unless it is empty. A match that extends over a break is not a token.
func (a *addedSet) split(text string, breaks []int, token func(id uint32), between func(start, end int)) {
	if text == "" {
		return
	}
	if a == nil {
		between(0, len(text))
		return
	}
	done := 0                           // the text up to here has been passed on
	var spaces struct{ start, end int } // the last run of white space, remembered so that a long run is not measured repeatedly
	for pos := 0; pos < len(text); {
		if !a.trie.starts[text[pos]] {
			pos++
			continue
		}
		length, value := a.trie.longest(text[pos:])
		if length == 0 || broken(breaks, pos, pos+length) {
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
			before := text[done:max(done, start)]
			start = done + len(strings.TrimRightFunc(before, unicode.IsSpace))
		}
		if t.RStrip {
			if end < spaces.start || end > spaces.end {
				spaces.start, spaces.end = end, len(text)-len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			}
			end = spaces.end
		}
		if start >= end {
			continue // the token before includes this white space
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

// broken reports whether one of the breaks, in ascending order, is strictly between start and end.
func broken(breaks []int, start, end int) bool {
	i, _ := slices.BinarySearch(breaks, start+1)
	return i < len(breaks) && breaks[i] < end
}

func startsWithWord(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n > 0 && isWord(r)
}

func endsWithWord(s string) bool {
	r, n := utf8.DecodeLastRuneInString(s)
	return n > 0 && isWord(r)
}

// isWord is \w of Unicode regular expressions (UTS #18, annex C).
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
}
