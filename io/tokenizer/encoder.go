package tokenizer

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// An Encoder encodes many texts with one budget of steps for patterns, as if they were a single text: a pattern that is just
// fast enough for one line would take hours for a million of them. It is safe for concurrent use.
type Encoder struct {
	t *Tokenizer
	total
}

// NewEncoder begins a series of texts.
func (t *Tokenizer) NewEncoder() *Encoder { return &Encoder{t: t} }

// Expect announces texts of `bytes` bytes. If several goroutines encode at once, whether there is an error does not depend on
// their order, provided that all texts are announced first.
func (e *Encoder) Expect(bytes int) { e.expect(bytes) }

// Encode is [Tokenizer.Encode] for a text that was announced.
func (e *Encoder) Encode(text string, addSpecial bool) ([]uint32, error) {
	ids, _, err := e.t.encode(text, nil, &e.total)
	if err == nil && addSpecial {
		ids = slices.Concat(e.t.prefix, ids, e.t.suffix)
	}
	return ids, err
}

// EncodeBroken is [Tokenizer.EncodeBroken] for a text that was announced.
func (e *Encoder) EncodeBroken(text string, breaks []int) ([]uint32, error) {
	ids, _, err := e.t.encode(text, breaks, &e.total)
	return ids, err
}

// EncodeDocument is Encode without special tokens around the text, for text to learn from or to measure. A character that
// would be left out is an error.
func (e *Encoder) EncodeDocument(text string) ([]uint32, error) {
	ids, dropped, err := e.t.encode(text, nil, &e.total)
	if err == nil && dropped != nil {
		return nil, dropped
	}
	return ids, err
}

// total counts the steps of many texts.
type total struct{ bytes, taken atomic.Int64 }

func (t *total) expect(bytes int) { t.bytes.Add(int64(bytes)) }

// count adds the steps that a worker took for its text, and fails if the sum is too large.
func (t *total) count(w *worker) {
	if bytes := t.bytes.Load(); t.taken.Add(int64(w.taken())) > stepsPerText+stepsPerByte*bytes && w.costly != "" {
		w.fail(fmt.Errorf("regex %.200q goes back and forth too often: it takes more than %d steps and %d for each of the %d bytes of all texts so far",
			w.costly, stepsPerText, stepsPerByte, bytes))
	}
}

func (t *total) clone() *total {
	c := &total{}
	c.bytes.Store(t.bytes.Load())
	c.taken.Store(t.taken.Load())
	return c
}
