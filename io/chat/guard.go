package chat

import (
	"strings"
	"unicode/utf8"
)

// RenderGuarded renders and finds where the conversation itself, in any of its strings, says what one of tokens is: the
// control tokens of a model, of which a user could otherwise type the end of a turn and the beginning of another. It returns
// the place in the render behind the first character of each, in ascending order, over which no token may reach.
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

// Private characters of which one that a conversation does not use marks a place in it.
const firstMark, lastMark = '\ue000', '\uf8ff'

type guard struct {
	tokens map[byte][]string // by their first byte
	found  bool
	used   map[rune]bool // of the private characters
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

// choose finds a character to mark with; of 6400 one is free, or the text is none that a person wrote.
func (g *guard) choose() {
	for g.mark = firstMark; g.used[g.mark] && g.mark < lastMark; g.mark++ {
	}
}

// at says whether a token begins at byte i.
func (g *guard) at(s string, i int) bool {
	for _, token := range g.tokens[s[i]] {
		if strings.HasPrefix(s[i:], token) {
			return true
		}
	}
	return false
}

// look finds out whether there is anything to mark, and which private characters are used.
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

// marked is v with a mark behind the first character of each token in its strings.
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

// eachString is a copy of v with all strings put through f.
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
