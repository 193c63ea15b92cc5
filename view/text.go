package view

import "bitgpu/io/tokenizer"

// columns and lines are the size of the text panel in glyphs.
const (
	columns = 136
	lines   = 4
)

// letter is one glyph of the text.
type letter struct {
	glyph uint32
	token int32 // which made it
}

// script is the text in lines, as the panel shows it.
type script struct {
	lines  [][]letter
	lineOf []int32 // of the end of each token
}

// newScript breaks the text of tokens into lines. An incomplete character belongs to the token that completes it.
func newScript(tokens []uint32, tok *tokenizer.Tokenizer, a *atlas) *script {
	s := &script{lines: make([][]letter, 1)}
	stream := tok.NewStream(true)
	for i, id := range tokens {
		piece := stream.Next(id)
		if i == len(tokens)-1 {
			piece += stream.Flush()
		}
		for _, r := range piece {
			s.add(r, int32(i), a)
		}
		s.lineOf = append(s.lineOf, int32(len(s.lines)-1))
	}
	return s
}

func (s *script) add(r rune, token int32, a *atlas) {
	last := len(s.lines) - 1
	switch {
	case r == '\r':
		return
	case r == '\n':
		s.lines = append(s.lines, nil)
		return
	case r == '\t':
		r = ' '
	}
	if len(s.lines[last]) == columns {
		s.lines = append(s.lines, nil)
		last++
	}
	s.lines[last] = append(s.lines[last], letter{a.glyph(r), token})
}

// visible returns the lines of the panel after `read` tokens, with the last of these in the middle.
func (s *script) visible(read int) [][]letter {
	top := 0
	if read > 0 {
		top = int(s.lineOf[read-1]) - lines/2
	}
	top = max(min(top, len(s.lines)-lines), 0)
	return s.lines[top:min(top+lines, len(s.lines))]
}
