package tokenizer

import "strings"

const (
	cachedLength  = 48      // words up to this many bytes are remembered: nearly all words of any text
	cachedWords   = 1 << 15 // a few megabytes at most
	keptCapacity  = 1 << 14 // larger buffers are given back after a text
	cutFromLength = 24      // shorter words are not worth the search for cuts
)

// A worker holds what one Encode needs besides the tokenizer; a pool of them makes the tokenizer safe for concurrent
// use without a lock. Short words come again and again, so it remembers their ids.
type worker struct {
	words   map[string][]uint32
	symbols []symbol
	heap    rankHeap
	ids     []uint32
	best    []bestPath
	spans   []span
	parts   [2][]part
}

func newWorker() *worker { return &worker{words: map[string][]uint32{}} }

// remember appends the ids of word, from memory where possible, else as encode gives them.
func (w *worker) remember(dst []uint32, word string, encode func([]uint32, string, *worker) []uint32) []uint32 {
	if len(word) > cachedLength {
		return encode(dst, word, w)
	}
	if ids, ok := w.words[word]; ok {
		return append(dst, ids...)
	}
	before := len(dst)
	dst = encode(dst, word, w)
	if len(w.words) >= cachedWords {
		clear(w.words)
	}
	// Clones, so that neither the text nor the result stays in memory.
	w.words[strings.Clone(word)] = append([]uint32(nil), dst[before:]...)
	return dst
}

// tidy lets go of the text just encoded.
func (w *worker) tidy() {
	w.symbols = reusable(w.symbols)
	w.heap = reusable(w.heap)
	w.ids = reusable(w.ids)
	w.best = reusable(w.best)
	w.spans = reusable(w.spans)
	for i := range w.parts {
		clear(w.parts[i][:cap(w.parts[i])])
		w.parts[i] = reusable(w.parts[i])
	}
}

func reusable[S ~[]E, E any](s S) S {
	if cap(s) > keptCapacity {
		return nil
	}
	return s[:0]
}
