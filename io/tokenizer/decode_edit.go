package tokenizer

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// stripToken removes up to start characters from the beginning of each token and up to stop from its end, if they equal
// content.
type stripToken struct {
	next        sink
	content     rune
	start, stop int
	taken       int  // removed from the beginning of this token
	inside      bool // past the beginning
	held        int  // characters equal to content that may be at the token's end
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

func (d *stripToken) copy(out *textSink) sink {
	c := *d
	c.next = d.next.copy(out)
	return &c
}

// replaceString replaces within each token. It holds back what may be the beginning of a match.
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

func (d *replaceString) copy(out *textSink) sink {
	c := *d
	c.next = d.next.copy(out)
	return &c
}

// replaceRegex replaces within each token, which it needs as a whole.
type replaceRegex struct {
	whole
	replace
	out *textSink
	w   *worker
}

func (d *replaceRegex) end() {
	token := d.take()
	d.w.begin(len(token))
	replaced, _ := d.apply(d.w, token)
	d.out.steps.expect(len(token))
	d.out.steps.count(d.w)
	if d.w.err == nil {
		token = replaced
	} else if d.out.err == nil {
		d.out.err = d.w.err
	}
	d.w.tidy()
	send(d.next, token)
}

func (d *replaceRegex) copy(out *textSink) sink {
	return &replaceRegex{whole: d.whole.copy(out), replace: d.replace, out: out, w: newWorker()}
}

// fromMetaspace reverses metaspace: the replacement character becomes a space, except that a prepended one is dropped from
// the first token.
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

func (d *fromMetaspace) copy(out *textSink) sink {
	c := *d
	c.next = d.next.copy(out)
	return &c
}

// wordEnds turns the suffix that marks the end of a word into a space, or into nothing after the last word.
type wordEnds struct {
	whole
	suffix  string
	waiting []string // the previous token, if any
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

func (d *wordEnds) copy(out *textSink) sink {
	return &wordEnds{whole: d.whole.copy(out), suffix: d.suffix, waiting: slices.Clone(d.waiting)}
}
