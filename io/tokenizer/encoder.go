package tokenizer

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// An Encoder encodes many texts with one budget of steps for patterns, as if they were a single text: a pattern that is just
// fast enough for one line would take hours for a million of them. It is safe for concurrent use.
type Encoder struct {
	t *Tokenizer
	total
	dropout
}

// dropout leaves out merges at random; the zero value none.
type dropout struct {
	share float64
	seed  uint64
}

// NewEncoder begins a series of texts.
func (t *Tokenizer) NewEncoder() *Encoder { return &Encoder{t: t} }

// Expect announces texts of `bytes` bytes. If several goroutines encode at once, whether there is an error does not depend on
// their order, provided that all texts are announced first.
func (e *Encoder) Expect(bytes int) { e.expect(bytes) }

// Dropout leaves out each merge that could be made with probability share, below 1, each time that it could be made, so that a
// model sees the same text in other tokens (BPE-dropout, Provilkov et al., arXiv 1910.13267). Text and seed decide which. Other
// models than BPE are an error.
func (e *Encoder) Dropout(share float64, seed uint64) error {
	if _, ok := e.t.model.(*bpe); !ok {
		return e.t.failed(errors.New("got dropout of merges, want a BPE model, which has merges"))
	}
	if !(share >= 0 && share < 1) {
		return e.t.failed(fmt.Errorf("got dropout %v, want 0 to below 1", share))
	}
	e.dropout = dropout{share, seed}
	return nil
}

// begin prepares a worker for a text.
func (d dropout) begin(w *worker, text string) {
	if w.dropout = d.share; d.share > 0 {
		hash := fnv.New64a()
		hash.Write([]byte(text))
		w.random = rand.New(rand.NewPCG(d.seed, hash.Sum64()))
	}
}

// Encode is [Tokenizer.Encode] for a text that was announced.
func (e *Encoder) Encode(text string, addSpecial bool) ([]uint32, error) {
	ids, _, err := e.t.encode(text, nil, &e.total, e.dropout)
	if err == nil && addSpecial {
		ids = slices.Concat(e.t.prefix, ids, e.t.suffix)
	}
	return ids, err
}

// EncodeBroken is [Tokenizer.EncodeBroken] for a text that was announced.
func (e *Encoder) EncodeBroken(text string, breaks []int) ([]uint32, error) {
	ids, _, err := e.t.encode(text, breaks, &e.total, e.dropout)
	return ids, err
}

// EncodeDocument is Encode without special tokens around the text, for text to learn from or to measure. A character that
// would be left out is an error.
func (e *Encoder) EncodeDocument(text string) ([]uint32, error) {
	ids, dropped, err := e.t.encode(text, nil, &e.total, e.dropout)
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
