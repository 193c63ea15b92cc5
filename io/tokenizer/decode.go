package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A sink receives tokens on their way to becoming text. A token arrives in one or more chunks of whole characters, followed
// by end; close comes after the last token. A decoder is a sink that passes its result on to the next sink as soon as nothing
// later can change it, so that the same code decodes whole texts and streams.
type sink interface {
	chunk(s string)
	end()
	close()
	// copy returns a copy of the sink in its current state, before copies of the sinks after it; the last is out.
	copy(out *textSink) sink
}

// A decoder puts a sink before next. Errors are reported to out.
type decoder struct {
	make   func(next sink, out *textSink) sink
	growth int  // how many bytes it may make of one; 0 means 1
	regex  bool // it may fail
}

// chain connects the decoders in order, ending with out.
func chain(decoders []decoder, out *textSink) sink {
	var last sink = out
	for i := len(decoders) - 1; i >= 0; i-- {
		last = decoders[i].make(last, out)
	}
	return last
}

// checkDecoders refuses decoders that multiply the text, and patterns that are too slow for tokens of the vocabulary.
func (t *Tokenizer) checkDecoders() error {
	growth, regex := 1, false
	for _, d := range t.decoders {
		if growth *= max(1, d.growth); growth > growthPerByte {
			return fmt.Errorf("the decoders make up to %d bytes or more of one, want at most %d", growth, growthPerByte)
		}
		regex = regex || d.regex
	}
	if !regex {
		return nil
	}
	s := t.NewStream(false) // counts the steps for all tokens together
	for id := range t.pieces {
		s.Next(uint32(id))
		s.Flush()
		if s.err != nil {
			return fmt.Errorf("id %d: %w", id, s.err)
		}
	}
	return nil
}

// textSink collects text.
type textSink struct {
	strings.Builder
	err   error  // the first
	steps *total // of the stream
}

func (t *textSink) chunk(s string) { t.WriteString(s) }
func (t *textSink) end()           {}
func (t *textSink) close()         {}

func (t *textSink) copy(out *textSink) sink { return out }

// take returns the text since the last call.
func (t *textSink) take() string {
	s := t.String()
	t.Reset()
	return s
}

// whole collects a token's chunks for sinks that need the whole token.
type whole struct {
	next  sink
	token []byte
}

func (w *whole) chunk(s string) { w.token = append(w.token, s...) }
func (w *whole) close()         { w.next.close() }

func (w *whole) take() string {
	s := string(w.token)
	w.token = w.token[:0]
	return s
}

func (w *whole) copy(out *textSink) whole {
	return whole{next: w.next.copy(out), token: slices.Clone(w.token)}
}

// send passes a whole token on.
func send(next sink, token string) {
	next.chunk(token)
	next.end()
}

// spaced puts a space between tokens, which is what a tokenizer without a decoder does.
type spaced struct {
	next  sink
	later bool // past the first token
	open  bool
}

func (d *spaced) chunk(s string) {
	if d.later && !d.open {
		d.next.chunk(" ")
	}
	d.open = true
	d.next.chunk(s)
}

func (d *spaced) end() {
	d.next.end()
	d.later, d.open = true, false
}

func (d *spaced) close() { d.next.close() }

func (d *spaced) copy(out *textSink) sink {
	c := *d
	c.next = d.next.copy(out)
	return &c
}

// fuse joins all tokens into one.
type fuse struct{ next sink }

func (d *fuse) chunk(s string) { d.next.chunk(s) }
func (d *fuse) end()           {}

func (d *fuse) close() {
	d.next.end()
	d.next.close()
}

func (d *fuse) copy(out *textSink) sink { return &fuse{d.next.copy(out)} }

// fromBytes reverses byteLevel and joins all tokens into one. Tokens with other characters stand for their own bytes.
type fromBytes struct {
	whole
	pending []byte // an incomplete character
}

func (d *fromBytes) end() {
	token := d.take()
	start := len(d.pending)
	for _, r := range token {
		b, ok := charBytes[r]
		if !ok {
			d.pending = append(d.pending[:start], token...)
			break
		}
		d.pending = append(d.pending, b)
	}
	d.flush(false)
}

// flush passes complete characters on or, at the end of the text, everything.
func (d *fromBytes) flush(all bool) {
	complete := len(d.pending)
	if !all {
		for back := 1; back < utf8.UTFMax && back <= len(d.pending); back++ {
			if i := len(d.pending) - back; utf8.RuneStart(d.pending[i]) {
				if cutShort(d.pending[i:]) {
					complete = i
				}
				break
			}
		}
	}
	if complete > 0 {
		d.next.chunk(validUTF8(string(d.pending[:complete])))
		d.pending = append(d.pending[:0], d.pending[complete:]...)
	}
}

func (d *fromBytes) close() {
	d.flush(true)
	d.next.end()
	d.next.close()
}

func (d *fromBytes) copy(out *textSink) sink {
	return &fromBytes{whole: d.whole.copy(out), pending: slices.Clone(d.pending)}
}

// byteFallback turns tokens such as <0x0A> into their bytes. Neighbours become text together if they form valid UTF-8,
// otherwise each becomes U+FFFD. They are therefore held back until another kind of token follows.
type byteFallback struct {
	whole
	bytes []byte
	long  bool // the token has begun and is too long for a byte
}

func (d *byteFallback) chunk(s string) {
	if d.long {
		d.next.chunk(s)
		return
	}
	d.whole.chunk(s)
	if len(d.token) > len("<0x00>") {
		d.flush()
		d.next.chunk(d.take())
		d.long = true
	}
}

func (d *byteFallback) end() {
	if d.long {
		d.next.end()
		d.long = false
		return
	}
	token := d.take()
	if b, ok := byteOf(token); ok {
		d.bytes = append(d.bytes, b)
		return
	}
	d.flush()
	send(d.next, token)
}

func (d *byteFallback) flush() {
	if utf8.Valid(d.bytes) {
		if len(d.bytes) > 0 {
			send(d.next, string(d.bytes))
		}
	} else {
		for range d.bytes {
			send(d.next, replacement)
		}
	}
	d.bytes = d.bytes[:0]
}

func (d *byteFallback) close() {
	d.flush()
	d.next.close()
}

func (d *byteFallback) copy(out *textSink) sink {
	return &byteFallback{whole: d.whole.copy(out), bytes: slices.Clone(d.bytes), long: d.long}
}
