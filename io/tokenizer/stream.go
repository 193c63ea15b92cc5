package tokenizer

import (
	"fmt"
	"strings"
)

// A Stream decodes ids one by one. It is for one goroutine.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	text        *textSink
	first       sink
	shown       string // of what is not certain yet, Pause has returned this
	err         error
}

// NewStream begins a text. With skipSpecial, special tokens leave no trace in it.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skipSpecial: skipSpecial}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.text = &textSink{}
	s.first = chain(s.t.decoders, s.text)
	s.shown = ""
}

// Next is the text that id makes certain: whole characters, or nothing while more ids may still change it. With what
// Flush returns, all that Next returned is what Decode makes of the same ids. Unknown ids are ignored.
func (s *Stream) Next(id uint32) string {
	s.push(id)
	return s.fresh(s.take())
}

func (s *Stream) push(id uint32) {
	if s.t.has(id, known) && !(s.skipSpecial && s.t.has(id, skipped)) {
		send(s.first, s.t.text(id))
	}
}

func (s *Stream) take() string {
	if s.err == nil && s.text.err != nil {
		s.err = s.text.err
	}
	return s.text.take()
}

// Pause is for a text of which a part is shown now and that may go on: it returns what Flush would return, but for a
// character that is cut off, which waits for the ids that follow. What Next, Pause and Flush return from then on goes on
// where this ended; joined, it is the text without pauses, unless an id that follows changes what is shown already.
func (s *Stream) Pause() string {
	text := &textSink{}
	s.first.copy(text).close()
	rest := strings.TrimRight(text.take(), replacement)
	n := commonPrefix(rest, s.shown)
	if n < len(rest) {
		s.shown = rest
	}
	return rest[n:]
}

// fresh is what of text, which is certain, was not shown at a pause.
func (s *Stream) fresh(text string) string {
	n := commonPrefix(text, s.shown)
	if s.shown = s.shown[n:]; n < len(text) {
		s.shown = ""
	}
	return text[n:]
}

// commonPrefix is the length of the whole characters with which both begin.
func commonPrefix(a, b string) int {
	for i, r := range a {
		if !strings.HasPrefix(b[i:], string(r)) {
			return i
		}
	}
	return len(a)
}

// Flush ends the text and returns what was left of it, incomplete characters as U+FFFD. The next id begins another text.
func (s *Stream) Flush() string {
	s.first.close()
	rest := s.fresh(s.take())
	s.begin()
	return rest
}

// Err is the first error, if there was one: a decoder's pattern that takes too many steps for a text leaves it as it is.
func (s *Stream) Err() error {
	if s.err == nil {
		return nil
	}
	return s.t.failed(fmt.Errorf("decoder: %w", s.err))
}
