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

// NewStream begins a text. With skipSpecial, special tokens are left out.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skipSpecial: skipSpecial, steps: &total{}}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.text = &textSink{steps: s.steps}
	s.first = chain(s.t.decoders, s.text)
}

// Next returns the text that id makes certain: whole characters, or nothing while later ids may still change it. All results
// of Next and the result of Flush, joined, are the Decode of the ids. Unknown ids are ignored.
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

// Clone returns an independent stream in the same state. Its Flush returns what can be shown where a text pauses, while an
// incomplete character in the original waits for more ids.
func (s *Stream) Clone() *Stream {
	c := *s
	c.steps = s.steps.clone()
	c.text = &textSink{steps: c.steps} // it is empty between two calls
	c.first = s.first.copy(c.text)
	return &c
}

// Flush ends the text and returns the rest of it, with incomplete characters as U+FFFD. The next id begins another text.
func (s *Stream) Flush() string {
	s.first.close()
	rest := s.take()
	s.begin()
	return rest
}

// Err returns the first error: a decoder's pattern took too many steps for a text, which was then left unchanged.
func (s *Stream) Err() error {
	if s.err == nil {
		return nil
	}
	return s.t.failed(fmt.Errorf("decoder: %w", s.err))
}
