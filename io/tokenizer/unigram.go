package tokenizer

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"bitgpu/io/internal/jsonscan"
)

// unigram finds the most probable way to cut a word into pieces (Kudo, arXiv 1804.10959), by Viterbi's algorithm.
type unigram struct {
	*vocab
	scores       []float64 // log probabilities by id
	trie         *trie
	unknown      int32 // noID without an unknown token
	unknownScore float64
	byteFallback bool
}

// unknownPenalty is how much worse a character without a piece is than the worst piece, as in SentencePiece.
const unknownPenalty = 10

// scored is a piece with its score.
type scored struct {
	piece string
	score float64
}

// parseScored reads [piece, score].
func parseScored(data []byte) (s scored, err error) {
	var fields [2][]byte
	n := 0
	for field := range jsonscan.Elements(data) {
		if n < len(fields) {
			fields[n] = field
		}
		n++
	}
	if n == len(fields) {
		if s.piece, err = jsonscan.String(fields[0]); err == nil {
			s.score, err = strconv.ParseFloat(string(fields[1]), 64)
		}
	}
	if n != len(fields) || err != nil {
		return s, fmt.Errorf("a piece of the vocab is %.60s, want [piece, score]", data)
	}
	return s, nil
}

func newUnigram(pieces []scored, unknown *int64, byteFallback bool) (*unigram, error) {
	m := &unigram{
		vocab:        &vocab{pieces: make([]string, len(pieces)), listed: true, count: len(pieces), ids: make(map[string]uint32, len(pieces))},
		scores:       make([]float64, len(pieces)),
		unknown:      noID,
		byteFallback: byteFallback,
	}
	if len(pieces) > math.MaxInt32 {
		return nil, fmt.Errorf("vocab has %d pieces, want fewer than 2³¹", len(pieces))
	}
	if unknown != nil {
		if *unknown < 0 || *unknown >= int64(len(pieces)) {
			return nil, fmt.Errorf("unk_id is %d, want an id of the vocabulary of %d pieces", *unknown, len(pieces))
		}
		m.unknown = int32(*unknown)
	}
	values := make([]int32, len(pieces))
	lowest := math.Inf(1)
	for i, p := range pieces {
		m.pieces[i], m.scores[i], values[i] = p.piece, p.score, int32(i)
		m.ids[p.piece] = uint32(i)
		lowest = min(lowest, p.score)
	}
	m.unknownScore = lowest - unknownPenalty
	m.trie = newTrie(m.pieces, values)
	m.findBytes()
	return m, nil
}

func (m *unigram) vocabulary() *vocab { return m.vocab }

func (m *unigram) encode(dst []uint32, word string, w *worker) []uint32 {
	return w.remember(dst, word, m.cut)
}

// bestPath is the best way found so far to reach a byte of the word.
type bestPath struct {
	score float64
	start int32 // of the last piece, none if nothing ends here
	id    int32
}

func (m *unigram) cut(dst []uint32, word string, w *worker) []uint32 {
	if !w.bounded(word, maxCut) {
		return dst
	}
	best := w.best[:0]
	for range len(word) + 1 {
		best = append(best, bestPath{start: none})
	}
	w.best = best

	better := func(end, start int, id int32, score float64) bool {
		b := &best[end]
		if b.start == none || score > b.score {
			*b = bestPath{score, int32(start), id}
			return true
		}
		return false
	}
	for start, r := range word {
		here := best[start].score
		width := utf8.RuneLen(r)
		single := false // whether there is a piece for this character alone
		node := uint32(0)
		for end := start; end < len(word); {
			if node = m.trie.child(node, word[end]); node == 0 {
				break
			}
			end++
			if id := m.trie.values[node]; id != noValue {
				better(end, start, id, here+m.scores[id])
				single = single || end-start == width
			}
		}
		// Hugging Face's library also fails here, whether or not the best path comes through this place.
		if !single && better(start+width, start, m.unknown, here+m.unknownScore) && m.unknown == noID {
			w.fail(noToken(r, "unk_id is not set"))
			return dst
		}
	}

	// Follow the path backwards, recording each piece's start at the end of the piece before.
	next := int32(len(word))
	for end := next; end > 0; {
		start := best[end].start
		best[end].start = next
		next, end = end, start
	}
	for start, end := int32(0), next; ; {
		id := best[end].id
		if id == m.unknown {
			for int(end) < len(word) && best[best[end].start].id == m.unknown {
				end = best[end].start // neighbouring unknown characters are joined
			}
		}
		dst = m.appendPiece(dst, word[start:end], id)
		if int(end) == len(word) {
			return dst
		}
		start, end = end, best[end].start
	}
}

// appendPiece appends the id of a piece on the best path. What has no piece becomes its bytes, or else the unknown token.
func (m *unigram) appendPiece(dst []uint32, piece string, id int32) []uint32 {
	if id != m.unknown {
		return append(dst, uint32(id))
	}
	if id, ok := m.ids[piece]; ok {
		return append(dst, id)
	}
	if m.byteFallback {
		if dst, ok := m.appendBytes(dst, piece); ok {
			return dst
		}
	}
	return append(dst, uint32(m.unknown))
}
