package chat

import (
	"strings"
	"unicode/utf8"
)

// RenderGuarded renders a conversation and finds control tokens of the model in its strings, with which a user could fake the
// end of a turn and the start of another. breaks gives, in ascending order, the place after the first character of each in
// the rendering; encoding must split there, so that the text does not become the token.
func (t *Template) RenderGuarded(c Conversation, tokens []string) (text string, breaks []int, err error) {
	g := newGuard(tokens)
	values := []*Value{&c.Messages, &c.Tools, &c.Documents, &c.Extra}
	for _, v := range values {
		g.look(v.value())
	}
	if !g.found {
		text, err = t.Render(c)
		return text, nil, err
	}
	g.choose()
	for _, v := range values {
		*v = Value{g.marked(v.value())}
	}
	if text, err = t.Render(c); err != nil {
		return "", nil, err
	}
	var plain strings.Builder
	for i, part := range strings.Split(text, string(g.mark)) {
		if i > 0 {
			breaks = append(breaks, plain.Len())
		}
		plain.WriteString(part)
	}
	return plain.String(), breaks, nil
}

// Private-use characters. One that the conversation does not use marks such places.
const firstMark, lastMark = '\ue000', '\uf8ff'

type guard struct {
	tokens map[byte][]string // by their first byte
	found  bool
	used   map[rune]bool // of the private-use characters
	mark   rune
}

func newGuard(tokens []string) *guard {
	g := &guard{tokens: map[byte][]string{}, used: map[rune]bool{}}
	for _, token := range tokens {
		if utf8.RuneCountInString(token) > 1 {
			g.tokens[token[0]] = append(g.tokens[token[0]], token)
		}
	}
	return g
}

// choose picks a character to mark with. One of the 6400 is free in any text that a person wrote.
func (g *guard) choose() {
	for g.mark = firstMark; g.used[g.mark] && g.mark < lastMark; g.mark++ {
	}
}

// at reports whether a token begins at byte i.
func (g *guard) at(s string, i int) bool {
	for _, token := range g.tokens[s[i]] {
		if strings.HasPrefix(s[i:], token) {
			return true
		}
	}
	return false
}

// look finds out whether there is anything to mark, and which private-use characters occur.
func (g *guard) look(v value) {
	eachString(v, func(s string) string {
		for i, r := range s {
			if r >= firstMark && r <= lastMark {
				g.used[r] = true
			}
			g.found = g.found || g.at(s, i)
		}
		return s
	})
}

// marked returns v with a mark after the first character of each token in its strings.
func (g *guard) marked(v value) value {
	return eachString(v, func(s string) string {
		var b strings.Builder
		for i, r := range s {
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n])
			if g.at(s, i) && r != utf8.RuneError {
				b.WriteRune(g.mark)
			}
		}
		return b.String()
	})
}

// eachString returns a copy of v with f applied to all strings.
func eachString(v value, f func(string) string) value {
	switch v := v.(type) {
	case string:
		return f(v)
	case *list:
		l := &list{items: make([]value, len(v.items))}
		for i, item := range v.items {
			l.items[i] = eachString(item, f)
		}
		return l
	case *dict:
		d := &dict{}
		for i, k := range v.keys {
			d.set(eachString(k, f), eachString(v.vals[i], f))
		}
		return d
	}
	return v
}
