package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// bpe is byte pair encoding (Sennrich et al., arXiv 1508.07909): a word's characters are joined pair by pair, always the pair
// that was learned first and, among equal ones, the leftmost.
type bpe struct {
	*vocab
	merges  table // pair of ids → rank<<32 | id of the joined piece
	joints  table // last character of a merge's left piece, first of its right one; empty if words must not be cut
	chars   table // character → id, unless a prefix or suffix interferes
	ascii   [utf8.RuneSelf]int32
	longest int // in bytes

	prefix, suffix string  // of characters that do not begin a word, and of those that end one
	unknown        int32   // noID without an unknown token
	unknownToken   *string // if nil, characters without a piece are dropped
	fuseUnknown    bool
	byteFallback   bool
	ignoreMerges   bool
}

// A symbol is a piece of the word being joined, in a doubly linked list.
type symbol struct {
	id         uint32
	prev, next int32 // none at the ends
}

const (
	none = -1
	dead = math.MaxUint32 // id of a symbol that has been joined to its left neighbour
)

// bpeOptions are the members of a BPE model besides its vocabulary.
type bpeOptions struct {
	Dropout                 *float64
	UnkToken                *string `json:"unk_token"`
	ContinuingSubwordPrefix *string `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string `json:"end_of_word_suffix"`
	FuseUnk                 *bool   `json:"fuse_unk"`
	ByteFallback            *bool   `json:"byte_fallback"`
	IgnoreMerges            *bool   `json:"ignore_merges"`
}

func newBPE(ids map[string]uint32, merges []merge, opt bpeOptions) (*bpe, error) {
	if opt.Dropout != nil && *opt.Dropout != 0 {
		return nil, fmt.Errorf("dropout %v is not supported, want null or 0: the same text must give the same ids", *opt.Dropout)
	}
	v, err := newVocab(ids)
	if err != nil {
		return nil, err
	}
	m := &bpe{
		vocab:        v,
		merges:       newTable(len(merges)),
		unknown:      noID,
		unknownToken: opt.UnkToken,
		prefix:       orZero(opt.ContinuingSubwordPrefix),
		suffix:       orZero(opt.EndOfWordSuffix),
		fuseUnknown:  orZero(opt.FuseUnk),
		byteFallback: orZero(opt.ByteFallback),
		ignoreMerges: orZero(opt.IgnoreMerges),
	}
	if opt.UnkToken != nil {
		if id, ok := ids[*opt.UnkToken]; ok {
			m.unknown = int32(id)
		}
	}
	m.findChars()
	for rank, pieces := range merges {
		if err := m.addMerge(rank, pieces[0], pieces[1]); err != nil {
			return nil, fmt.Errorf("merges[%d]: %w", rank, err)
		}
	}
	if m.prefix == "" && m.suffix == "" {
		m.findJoints(merges)
	}
	return m, nil
}

func orZero[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

func (m *bpe) vocabulary() *vocab { return m.vocab }

func (m *bpe) addMerge(rank int, left, right string) error {
	if len(right) < len(m.prefix) {
		return fmt.Errorf("%q is shorter than the continuing_subword_prefix %q", right, m.prefix)
	}
	l, ok := m.ids[left]
	if !ok {
		return fmt.Errorf("%q is not in the vocabulary", left)
	}
	r, ok := m.ids[right]
	if !ok {
		return fmt.Errorf("%q is not in the vocabulary", right)
	}
	joined, ok := m.ids[left+right[len(m.prefix):]]
	if !ok {
		return fmt.Errorf("%q, joined from %q and %q, is not in the vocabulary", left+right[len(m.prefix):], left, right)
	}
	m.merges.set(pair(l, r), uint64(rank)<<32|uint64(joined))
	return nil
}

// findChars fills the tables of pieces that are single characters.
func (m *bpe) findChars() {
	for i := range m.ascii {
		m.ascii[i] = noID
	}
	singles := 0
	for _, piece := range m.pieces {
		m.longest = max(m.longest, len(piece))
		if r, n := utf8.DecodeRuneInString(piece); n == len(piece) && r >= utf8.RuneSelf {
			singles++
		}
	}
	m.chars = newTable(singles)
	for id, piece := range m.pieces {
		if r, n := utf8.DecodeRuneInString(piece); n > 0 && n == len(piece) {
			if r < utf8.RuneSelf {
				m.ascii[r] = int32(id)
			} else {
				m.chars.set(uint64(r), uint64(id))
			}
		}
	}
}

// findJoints records which characters a merge can bring together. Merges never reach across any other pair, so a long text
// may be cut there into words: SentencePiece's vocabularies, which come without a pre-tokenizer, have no merge from a letter
// to ▁.
func (m *bpe) findJoints(merges []merge) {
	joints := map[uint64]bool{}
	for _, pieces := range merges {
		last, _ := utf8.DecodeLastRuneInString(pieces[0])
		first, _ := utf8.DecodeRuneInString(pieces[1])
		joints[pair(uint32(last), uint32(first))] = true
	}
	m.joints = newTable(len(joints))
	for key := range joints {
		m.joints.set(key, 0)
	}
}

// char returns the id of the piece that is just this character, or noID.
func (m *bpe) char(r rune) int32 {
	if r < utf8.RuneSelf {
		return m.ascii[r]
	}
	if id, ok := m.chars.get(uint64(r)); ok {
		return int32(id)
	}
	return noID
}

func (m *bpe) encode(dst []uint32, word string, w *worker) []uint32 {
	if m.ignoreMerges && len(word) <= m.longest {
		if id, ok := m.ids[word]; ok {
			return append(dst, id)
		}
	}
	if m.joints.slots == nil || len(word) <= cutFromLength {
		return w.remember(dst, word, m.join)
	}
	start, left, known := 0, rune(0), false
	for i, r := range word {
		// Do not cut between characters without a piece, because neighbouring unknown tokens are fused.
		leftKnown := known
		known = m.char(r) != noID
		if leftKnown && known {
			if _, ok := m.joints.get(pair(uint32(left), uint32(r))); !ok {
				dst = w.remember(dst, word[start:i], m.join)
				start = i
			}
		}
		left = r
	}
	return w.remember(dst, word[start:], m.join)
}

// join appends the ids that remain when no more merge applies. A heap of ranks and a linked list make it O(n log n) for n
// characters.
func (m *bpe) join(dst []uint32, word string, w *worker) []uint32 {
	if !w.bounded(word, maxJoined) {
		return dst
	}
	w.ids = m.split(w.ids[:0], word, w)
	symbols := w.symbols[:0]
	for i, id := range w.ids {
		symbols = append(symbols, symbol{id, int32(i) - 1, int32(i) + 1})
	}
	w.symbols = symbols
	if len(symbols) == 0 {
		return dst
	}
	symbols[len(symbols)-1].next = none

	w.heap, w.skipped = w.heap[:0], w.skipped[:0]
	for i := range symbols[:len(symbols)-1] {
		m.push(w, int32(i))
	}
	for len(w.heap) > 0 {
		rank, pos := w.heap.pop()
		left := &symbols[pos]
		if left.id == dead || left.next == none {
			continue
		}
		right := &symbols[left.next]
		merge, ok := m.merges.get(pair(left.id, right.id))
		if !ok || uint32(merge>>32) != rank {
			continue // one of the two has been joined to something else
		}
		if w.dropout > 0 {
			if w.random.Float64() < w.dropout {
				w.skipped.push(rank, pos)
				continue
			}
			for len(w.skipped) > 0 {
				w.heap.push(w.skipped.pop())
			}
		}
		left.id, left.next, right.id = uint32(merge), right.next, dead
		if left.next != none {
			symbols[left.next].prev = pos
			m.push(w, pos)
		}
		if left.prev != none {
			m.push(w, left.prev)
		}
	}
	for i := int32(0); i != none; i = symbols[i].next {
		dst = append(dst, symbols[i].id)
	}
	return dst
}

// push records the possible merge of the symbol at pos with the next one, if there is one.
func (m *bpe) push(w *worker, pos int32) {
	left := &w.symbols[pos]
	if merge, ok := m.merges.get(pair(left.id, w.symbols[left.next].id)); ok {
		w.heap.push(uint32(merge>>32), pos)
	}
}

// split appends the ids of the characters of word.
func (m *bpe) split(dst []uint32, word string, w *worker) []uint32 {
	unknown := false // an unknown token is pending, since it may be fused with the next one
	flush := func() {
		if unknown {
			dst, unknown = append(dst, uint32(m.unknown)), false
		}
	}
	for i, r := range word {
		piece := word[i : i+utf8.RuneLen(r)]
		var id int32
		if m.prefix == "" && m.suffix == "" {
			id = m.char(r)
		} else {
			last := i+len(piece) == len(word)
			if i > 0 {
				piece = m.prefix + piece
			}
			if last {
				piece += m.suffix
			}
			id = m.lookup(piece)
		}
		if id != noID {
			flush()
			dst = append(dst, uint32(id))
			continue
		}
		if m.byteFallback {
			// As in Hugging Face's library, a pending unknown token comes after the bytes.
			var ok bool
			if dst, ok = m.appendBytes(dst, piece); ok {
				continue
			}
		}
		if m.unknown == noID {
			if m.unknownToken == nil {
				w.drop(r)
				continue
			}
			w.fail(noToken(r, fmt.Sprintf("the unknown token %q is not in the vocabulary", *m.unknownToken)))
			return dst
		}
		if !m.fuseUnknown {
			flush()
		}
		unknown = true
	}
	flush()
	return dst
}

func (m *bpe) lookup(piece string) int32 {
	if id, ok := m.ids[piece]; ok {
		return int32(id)
	}
	return noID
}

// rankHeap returns the lowest rank first and, among equal ones, the leftmost position.
type rankHeap []uint64

func (h *rankHeap) push(rank uint32, pos int32) {
	*h = append(*h, uint64(rank)<<32|uint64(uint32(pos)))
	s := *h
	for i := len(s) - 1; i > 0; {
		parent := (i - 1) / 2
		if s[parent] <= s[i] {
			break
		}
		s[parent], s[i] = s[i], s[parent]
		i = parent
	}
}

func (h *rankHeap) pop() (rank uint32, pos int32) {
	s := *h
	top := s[0]
	last := len(s) - 1
	s[0] = s[last]
	s = s[:last]
	*h = s
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && s[child+1] < s[child] {
			child++
		}
		if s[i] <= s[child] {
			break
		}
		s[i], s[child] = s[child], s[i]
		i = child
	}
	return uint32(top >> 32), int32(uint32(top))
}
