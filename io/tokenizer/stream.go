package tokenizer

// A Stream decodes ids one by one. It is for one goroutine.
type Stream struct {
	t           *Tokenizer
	skipSpecial bool
	text        *textSink
	first       sink
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
}

// Next is the text that id makes certain: whole characters, or nothing while more ids may still change it. With what
// Flush returns, all that Next returned is what Decode makes of the same ids. Unknown ids are ignored.
func (s *Stream) Next(id uint32) string {
	s.push(id)
	return s.text.take()
}

func (s *Stream) push(id uint32) {
	if s.t.has(id, known) && !(s.skipSpecial && s.t.has(id, skipped)) {
		send(s.first, s.t.text(id))
	}
}

// Clone is a stream that goes on from here independently.
func (s *Stream) Clone() *Stream {
	c := *s
	c.text = &textSink{} // between two calls it is empty
	c.first = s.first.clone(c.text)
	return &c
}

// Flush ends the text and returns what was left of it, incomplete characters as U+FFFD. The next id begins another text.
func (s *Stream) Flush() string {
	s.first.close()
	rest := s.text.take()
	s.begin()
	return rest
}
