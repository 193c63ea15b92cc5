package tokenizer

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// An Encoder encodes many texts, of which the patterns may take as many steps together as of one text that is as long as all:
// a pattern that is just quick enough for each of a million lines would else take hours. It is safe for concurrent use.
type Encoder struct {
	t *Tokenizer
	total
}

// NewEncoder begins a series of texts.
func (t *Tokenizer) NewEncoder() *Encoder { return &Encoder{t: t} }

// Expect says that texts of so many bytes follow. Where several goroutines encode at the same time, whether there is an error
// does not depend on their order if all of their texts are announced before.
func (e *Encoder) Expect(bytes int) { e.expect(bytes) }

// Encode is [Tokenizer.Encode] of a text that was announced.
func (e *Encoder) Encode(text string, addSpecial bool) ([]uint32, error) {
	ids, _, err := e.t.encode(text, nil, &e.total)
	if err == nil && addSpecial {
		ids = slices.Concat(e.t.prefix, ids, e.t.suffix)
	}
	return ids, err
}

// EncodeBroken is [Tokenizer.EncodeBroken] of a text that was announced.
func (e *Encoder) EncodeBroken(text string, breaks []int) ([]uint32, error) {
	ids, _, err := e.t.encode(text, breaks, &e.total)
	return ids, err
}

// EncodeDocument is Encode without special tokens around it, for text to learn from or to measure: here every character
// that would be left out is an error.
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

// count adds what the worker took of its text, and fails where that is too much of all.
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
