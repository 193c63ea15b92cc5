package bitgpu

import (
	"strings"
	"unicode/utf8"

	"bitgpu/io/tokenizer"
)

// decoder turns the tokens of one text into pieces of it, in whole characters, call after call.
type decoder struct {
	stream *tokenizer.Stream
	hidden func(id uint32) bool // tokens that do not belong to the text but that the stream would show, or nil
	shown  string               // went out at the end of a call, though the stream holds it back
}

func (d *decoder) clone() *decoder { return &decoder{d.stream.Clone(), d.hidden, d.shown} }

// next is the text that is certain with one more token.
func (d *decoder) next(id uint32) string {
	if d.hidden != nil && d.hidden(id) {
		return ""
	}
	return d.unseen(d.stream.Next(id))
}

// rest is what a call can show at its end of what the stream holds back: all but a character that is not complete.
func (d *decoder) rest() string {
	held := strings.TrimRight(d.stream.Clone().Flush(), "\ufffd")
	text := d.unseen(held)
	d.shown = held
	return text
}

// unseen is a piece without what was shown of it.
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

// stopper holds back what a stop text may begin with.
type stopper struct {
	stops []string
	held  string
}

// next is the text that may leave with one more piece, and whether a stop text ended it.
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
