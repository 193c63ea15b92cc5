package bitgpu

import (
	"strings"
	"unicode/utf8"

	"bitgpu/io/tokenizer"
)

// decoder turns the tokens of a text into pieces of whole characters, over several calls.
type decoder struct {
	stream *tokenizer.Stream
	hidden func(id uint32) bool // tokens that do not belong to the text although the stream would show them, or nil
	shown  string               // was shown at the end of a call although the stream still holds it back
}

func (d *decoder) clone() *decoder { return &decoder{d.stream.Clone(), d.hidden, d.shown} }

// next returns the text that one more token makes certain.
func (d *decoder) next(id uint32) string {
	if d.hidden != nil && d.hidden(id) {
		return ""
	}
	return d.unseen(d.stream.Next(id))
}

// rest returns what can be shown at the end of a call of the text held back: everything but an incomplete character.
func (d *decoder) rest() string {
	held := strings.TrimRight(d.stream.Clone().Flush(), "\ufffd")
	text := d.unseen(held)
	d.shown = held
	return text
}

// unseen returns a piece without what has been shown of it.
func (d *decoder) unseen(piece string) string {
	n := 0
	for n < min(len(piece), len(d.shown)) && piece[n] == d.shown[n] {
		n++
	}
	if n == len(piece) {
		d.shown = d.shown[n:]
		return ""
	}
	for !utf8.RuneStart(piece[n]) {
		n--
	}
	d.shown = ""
	return piece[n:]
}

// stopper holds back text that may begin a stop text.
type stopper struct {
	stops []string
	held  string
}

// next returns the text that can be shown after one more piece, and whether a stop text ended it.
func (s *stopper) next(piece string) (text string, stopped bool) {
	s.held += piece
	end := len(s.held)
	for _, stop := range s.stops {
		if i := strings.Index(s.held, stop); i >= 0 && i < end {
			end, stopped = i, true
		}
	}
	if stopped {
		text, s.held = s.held[:end], ""
		return text, true
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(s.held)); n > keep; n-- {
			if strings.HasSuffix(s.held, stop[:n]) {
				keep = n
			}
		}
	}
	text, s.held = s.held[:len(s.held)-keep], s.held[len(s.held)-keep:]
	return text, false
}
