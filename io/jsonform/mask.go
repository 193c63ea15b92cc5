package jsonform

import (
	"bytes"
	"fmt"
	"slices"
)

// Vocabulary holds the tokens of a model by their bytes, sorted so that tokens with a common prefix are neighbours. It is
// immutable, and can be shared by many writers.
type Vocabulary struct {
	size   int
	bytes  [][]byte // by id, nil for a token that no form may contain
	ids    []uint32 // sorted by their bytes
	common []int    // length of the common prefix with the token before
	ends   []uint32
}

// NewVocabulary takes the bytes of each token, nil for tokens that are not text, and the tokens that end a text.
func NewVocabulary(tokens [][]byte, ends []uint32) *Vocabulary {
	v := &Vocabulary{size: len(tokens), bytes: tokens, ends: ends}
	for id, b := range tokens {
		if len(b) > 0 && !slices.Contains(ends, uint32(id)) {
			v.ids = append(v.ids, uint32(id))
		}
	}
	slices.SortFunc(v.ids, func(a, b uint32) int { return bytes.Compare(tokens[a], tokens[b]) })
	v.common = make([]int, len(v.ids))
	for i := 1; i < len(v.ids); i++ {
		a, b := tokens[v.ids[i-1]], tokens[v.ids[i]]
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		v.common[i] = n
	}
	return v
}

// Writer keeps one text within a form. It is for one goroutine.
type Writer struct {
	v     *Vocabulary
	a     *automaton
	at    *state
	masks int
	path  []*state
	err   error
}

// mostMasks limits how many masks are kept: each takes one bit per token.
const mostMasks = 256

// Begin begins a text.
func (f *Form) Begin(v *Vocabulary) *Writer {
	w := &Writer{v: v, a: newAutomaton()}
	w.at, w.err = w.a.start(f)
	return w
}

// Mask returns one bit for each token, set if the token may come next: token i is bit i%64 of word i/64. It must not be
// modified, and is valid until the next call. Tokens that end a text are set if it may end here. The error is [ErrForm] if
// there are no such tokens.
func (w *Writer) Mask() ([]uint64, error) {
	if w.err != nil {
		return nil, w.err
	}
	if w.at.mask != nil {
		return w.at.mask, nil
	}
	if len(w.a.states) > mostStates || len(w.a.stacks) > mostStacks || w.masks > mostMasks {
		w.masks = 0
		if w.a, w.at, w.err = w.a.renew(w.at); w.err != nil {
			return nil, w.err
		}
	}
	mask := make([]uint64, (w.v.size+63)/64)
	some, err := w.fill(mask)
	if err != nil {
		w.err = err
		return nil, err
	}
	if w.at.ends() {
		for _, id := range w.v.ends {
			mask[id/64] |= 1 << (id % 64)
			some = true
		}
	}
	if !some {
		w.err = fmt.Errorf("%w: no token of the model goes on with it", ErrForm)
		return nil, w.err
	}
	w.at.mask = mask
	w.masks++
	return mask, nil
}

// fill finds the tokens that may follow. Bytes that neighbouring tokens share are tried once.
func (w *Writer) fill(mask []uint64) (some bool, err error) {
	w.path = append(w.path[:0], w.at) // states after each accepted byte of the token before
	dead := false                     // the byte after those was refused
	for i, id := range w.v.ids {
		token, common := w.v.bytes[id], w.v.common[i]
		if dead && common >= len(w.path) {
			continue
		}
		w.path, dead = w.path[:min(common+1, len(w.path))], false
		for len(w.path) <= len(token) {
			next, err := w.a.step(w.path[len(w.path)-1], token[len(w.path)-1])
			if err != nil {
				return false, err
			}
			if dead = next == nil; dead {
				break
			}
			w.path = append(w.path, next)
		}
		if !dead {
			mask[id/64] |= 1 << (id % 64)
			some = true
		}
	}
	return some, nil
}

// Add appends a token that was drawn. The error is [ErrForm] for a token that is not in Mask.
func (w *Writer) Add(id uint32) error {
	if w.err != nil {
		return w.err
	}
	if slices.Contains(w.v.ends, id) && w.at.ends() {
		return nil
	}
	at := w.at
	if int(id) >= len(w.v.bytes) || len(w.v.bytes[id]) == 0 {
		at = nil
	} else {
		for _, b := range w.v.bytes[id] {
			if at, w.err = w.a.step(at, b); at == nil {
				break
			}
		}
	}
	if w.err == nil && at == nil {
		w.err = fmt.Errorf("%w: token %d does not go on with it", ErrForm, id)
	}
	w.at = at
	return w.err
}

// Ends reports whether the text may end here.
func (w *Writer) Ends() bool { return w.err == nil && w.at.ends() }
