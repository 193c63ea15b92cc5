package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A sink takes tokens on their way to text. A token comes in one or more chunks, each of whole characters, and then
// end; after the last token comes close. A decoder is a sink that hands what it makes of the tokens to the next one, as
// soon as nothing that follows can change it: so the same code decodes a whole text and a stream.
type sink interface {
	chunk(s string)
	end()
	close()
	clone(last sink) sink // of the whole chain, before last
}

// A decoder puts itself before next.
type decoder func(next sink) sink

// chain is the decoders one after the other, before last.
func chain(decoders []decoder, last sink) sink {
	for i := len(decoders) - 1; i >= 0; i-- {
		last = decoders[i](last)
	}
	return last
}

// textSink collects text.
type textSink struct{ strings.Builder }

func (t *textSink) chunk(s string) { t.WriteString(s) }
func (t *textSink) end()           {}
func (t *textSink) close()         {}

func (t *textSink) clone(last sink) sink { return last }

// take is the text since the last call.
func (t *textSink) take() string {
	s := t.String()
	t.Reset()
	return s
}

// whole collects a token's chunks for sinks that must see it whole.
type whole struct {
	next  sink
	token []byte
}

func (w *whole) chunk(s string) { w.token = append(w.token, s...) }
func (w *whole) close()         { w.next.close() }

func (w *whole) copied(last sink) whole {
	return whole{w.next.clone(last), slices.Clone(w.token)}
}

func (w *whole) take() string {
	s := string(w.token)
	w.token = w.token[:0]
	return s
}

// send hands on a whole token.
func send(next sink, token string) {
	next.chunk(token)
	next.end()
}

// spaced puts a space between two tokens: what a tokenizer without a decoder does.
type spaced struct {
	next  sink
	later bool // not the first token
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

func (d *spaced) clone(last sink) sink {
	c := *d
	c.next = d.next.clone(last)
	return &c
}

// fuse makes one token of all.
type fuse struct{ next sink }

func (d *fuse) chunk(s string) { d.next.chunk(s) }
func (d *fuse) end()           {}

func (d *fuse) close() {
	d.next.end()
	d.next.close()
}

func (d *fuse) clone(last sink) sink {
	c := *d
	c.next = d.next.clone(last)
	return &c
}

// fromBytes undoes byteLevel and makes one token of all. Tokens with other characters stand for their own bytes.
type fromBytes struct {
	whole
	pending []byte // the beginning of a character
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

// flush hands on the characters that are complete, at the end of the text all that is left.
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

func (d *fromBytes) clone(last sink) sink {
	return &fromBytes{whole: d.copied(last), pending: slices.Clone(d.pending)}
}

// byteFallback turns tokens such as <0x0A> into their bytes. Neighbouring ones are one token if together they are
// UTF-8, else each is a U+FFFD: so they wait for the first token that is none of them.
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

func (d *byteFallback) clone(last sink) sink {
	return &byteFallback{whole: d.copied(last), bytes: slices.Clone(d.bytes), long: d.long}
}

// stripToken takes up to start characters off the beginning of each token and up to stop off its end, where they are
// equal to content.
type stripToken struct {
	next        sink
	content     rune
	start, stop int
	taken       int  // off the beginning of this token
	inside      bool // past the beginning
	held        int  // characters equal to content that may be the token's end
}

func (d *stripToken) chunk(s string) {
	for !d.inside && s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if r != d.content || d.taken == d.start {
			d.inside = true
			break
		}
		d.taken++
		s = s[n:]
	}
	if s == "" {
		return
	}
	if d.stop == 0 {
		d.next.chunk(s)
		return
	}
	end := len(s)
	tail := 0
	for tail < d.stop && end > 0 {
		r, n := utf8.DecodeLastRuneInString(s[:end])
		if r != d.content {
			break
		}
		end -= n
		tail++
	}
	if end > 0 {
		d.release(d.held)
		d.next.chunk(s[:end])
		d.held = 0
	}
	d.held += tail
	if d.held > d.stop {
		d.release(d.held - d.stop)
		d.held = d.stop
	}
}

func (d *stripToken) release(n int) {
	if n > 0 {
		d.next.chunk(strings.Repeat(string(d.content), n))
	}
}

func (d *stripToken) end() {
	d.taken, d.inside, d.held = 0, false, 0
	d.next.end()
}

func (d *stripToken) close() { d.next.close() }

func (d *stripToken) clone(last sink) sink {
	c := *d
	c.next = d.next.clone(last)
	return &c
}

// replaceString replaces within each token. What may be the beginning of a match waits.
type replaceString struct {
	next     sink
	old, new string
	held     string // a proper prefix of old
}

func (d *replaceString) chunk(s string) {
	s = d.held + s
	for {
		i := strings.Index(s, d.old)
		if i < 0 {
			break
		}
		d.next.chunk(s[:i])
		d.next.chunk(d.new)
		s = s[i+len(d.old):]
	}
	wait := min(len(s), len(d.old)-1)
	for !strings.HasSuffix(s, d.old[:wait]) {
		wait--
	}
	d.held = s[len(s)-wait:]
	d.next.chunk(s[:len(s)-wait])
}

func (d *replaceString) end() {
	d.next.chunk(d.held)
	d.held = ""
	d.next.end()
}

func (d *replaceString) close() { d.next.close() }

func (d *replaceString) clone(last sink) sink {
	c := *d
	c.next = d.next.clone(last)
	return &c
}

// replaceRegex replaces within each token, which it must see whole.
type replaceRegex struct {
	whole
	replace
}

func (d *replaceRegex) end() {
	token, _ := d.apply(d.take())
	send(d.next, token)
}

func (d *replaceRegex) clone(last sink) sink {
	return &replaceRegex{whole: d.copied(last), replace: d.replace}
}

// fromMetaspace undoes metaspace: the replacement becomes a space, in the first token nothing if one was prepended.
type fromMetaspace struct {
	next        sink
	replacement string
	drop        bool // in this token
}

func (d *fromMetaspace) chunk(s string) {
	space := " "
	if d.drop {
		space = ""
	}
	d.next.chunk(strings.ReplaceAll(s, d.replacement, space))
}

func (d *fromMetaspace) end() {
	d.drop = false
	d.next.end()
}

func (d *fromMetaspace) close() { d.next.close() }

func (d *fromMetaspace) clone(last sink) sink {
	c := *d
	c.next = d.next.clone(last)
	return &c
}

// wordEnds turns the suffix that marks the end of a word into a space, after the last word into nothing.
type wordEnds struct {
	whole
	suffix  string
	waiting []string // the token before, if any
}

func (d *wordEnds) end() {
	d.flush(" ")
	d.waiting = append(d.waiting, d.take())
}

func (d *wordEnds) flush(space string) {
	for _, token := range d.waiting {
		send(d.next, strings.ReplaceAll(token, d.suffix, space))
	}
	d.waiting = d.waiting[:0]
}

func (d *wordEnds) close() {
	d.flush("")
	d.next.close()
}

func (d *wordEnds) clone(last sink) sink {
	return &wordEnds{whole: d.copied(last), suffix: d.suffix, waiting: slices.Clone(d.waiting)}
}
