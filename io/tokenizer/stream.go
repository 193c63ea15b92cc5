package tokenizer

import "fmt"

// A Stream decodes ids one by one. It is for one goroutine.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	text        *textSink
	first       sink
	steps       *total
	err         error
}

// NewStream begins a text. With skipSpecial, special tokens leave no trace in it.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skipSpecial: skipSpecial, steps: &total{}}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.text = &textSink{steps: s.steps}
	s.first = chain(s.t.decoders, s.text)
}

// Next is the text that id makes certain: whole characters, or nothing while more ids may still change it. With what
// Flush returns, all that Next returned is what Decode makes of the same ids. Unknown ids are ignored.
func (s *Stream) Next(id uint32) string {
	s.push(id)
	return s.take()
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

// Clone is a stream that goes on from here by itself: what its Flush returns can be shown where a text pauses, while
// half a character waits in the first for the ids that follow.
func (s *Stream) Clone() *Stream {
	c := *s
	c.steps = s.steps.clone()
	c.text = &textSink{steps: c.steps} // between two calls it is empty
	c.first = s.first.copy(c.text)
	return &c
}

// Flush ends the text and returns what was left of it, incomplete characters as U+FFFD. The next id begins another text.
func (s *Stream) Flush() string {
	s.first.close()
	rest := s.take()
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
