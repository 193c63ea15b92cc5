package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	cachedLength  = 48      // in bytes; words up to this length, nearly all words of any text, are cached
	cachedWords   = 1 << 15 // a few megabytes at most
	keptCapacity  = 1 << 14 // larger buffers are freed after a text
	cutFromLength = 24      // looking for cuts in shorter words does not pay
)

// A worker holds what an Encode needs besides the tokenizer; a pool of them makes the tokenizer safe for concurrent use
// without a lock. It caches the ids of short words, which recur.
type worker struct {
	words   map[string][]uint32
	symbols []symbol
	heap    rankHeap
	ids     []uint32
	best    []bestPath
	spans   []span
	parts   [2][]part
	machine machine
	size    int    // bytes of the text
	costly  string // the pattern that took the most steps for it, most
	most    int
	err     error // the first one; what is encoded later does not count
	dropped error // names the first character that was left out
	dropout float64
	random  *rand.Rand // where dropout is not 0
	skipped rankHeap   // merges left out until another one is made
}

func newWorker() *worker { return &worker{words: map[string][]uint32{}} }

// begin prepares for a text of size bytes.
func (w *worker) begin(size int) {
	w.size, w.err, w.dropped = size, nil, nil
	w.costly, w.most = "", 0
	w.machine.steps = stepsPerText + stepsPerByte*size
}

// taken returns how many steps the text has taken.
func (w *worker) taken() int { return stepsPerText + stepsPerByte*w.size - w.machine.steps }

func (w *worker) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Limits for the bytes of a word: joining it takes a hundred times its memory, cutting it twenty times.
const (
	maxJoined = 1 << 23
	maxCut    = 1 << 26
)

// bounded fails for a word longer than most.
func (w *worker) bounded(word string, most int) bool {
	if len(word) > most {
		w.fail(tooLong(word, most))
		return false
	}
	return true
}

func tooLong(word string, most int) error {
	return fmt.Errorf("the word that begins with %.40q has %d bytes, want at most %d", word, len(word), most)
}

// drop leaves out a character.
func (w *worker) drop(r rune) {
	if w.dropped == nil {
		w.dropped = noToken(r, "no unknown token either")
	}
}

func noToken(r rune, why string) error {
	return fmt.Errorf("the vocabulary has no token for the character %q (%U), and %s", r, r, why)
}

// Limits for how long a text may become on its way to the model. Unicode's forms turn a byte into 11 at most, and a space
// written as a visible character takes 3.
const (
	growthPerText = 1 << 10
	growthPerByte = 64
)

// fits reports whether a text of before bytes may become one of after bytes, and records an error if not.
func (w *worker) fits(step any, before, after int) bool {
	if limit := growthPerText + growthPerByte*before; after > limit {
		w.fail(fmt.Errorf("%s makes %d bytes of %d, want at most %d", stepName(step), after, before, limit))
		return false
	}
	return true
}

// stepName returns the name of a normalizer or pre-tokenizer, which is that of its type.
func stepName(step any) string {
	name := strings.TrimPrefix(fmt.Sprintf("%T", step), "tokenizer.")
	return strings.ToUpper(name[:1]) + name[1:]
}

// remember appends the ids of word, from the cache if possible, otherwise those from encode.
func (w *worker) remember(dst []uint32, word string, encode func([]uint32, string, *worker) []uint32) []uint32 {
	if len(word) > cachedLength || w.dropout > 0 {
		return encode(dst, word, w)
	}
	if ids, ok := w.words[word]; ok {
		return append(dst, ids...)
	}
	before := len(dst)
	dst = encode(dst, word, w)
	if w.err != nil || w.dropped != nil {
		return dst
	}
	if len(w.words) >= cachedWords {
		clear(w.words)
	}
	// Clone both, so that neither the text nor the result is kept in memory.
	w.words[strings.Clone(word)] = append([]uint32(nil), dst[before:]...)
	return dst
}

// tidy releases the text just encoded.
func (w *worker) tidy() {
	w.symbols = reusable(w.symbols)
	w.heap = reusable(w.heap)
	w.skipped = reusable(w.skipped)
	w.ids = reusable(w.ids)
	w.best = reusable(w.best)
	w.spans = reusable(w.spans)
	w.machine.text, w.machine.stack = "", reusable(w.machine.stack)
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
