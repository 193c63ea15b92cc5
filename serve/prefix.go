package serve

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"

	"bitgpu"
)

// prefixes remember beginnings of prompts, so that they are not read again: the rules of a conversation, its earlier turns.
// They are cut where a session cuts what it reads, so that a text is bit for bit the same with and without them. A key only
// finds what it has sent itself: how fast an answer comes must not reveal what others have asked.
type prefixes struct {
	*snapshots[prefixKey]
	model *bitgpu.Model
	size  func(tokens int64) int64 // roughly the size of one
}

type prefixKey struct {
	owner  string
	tokens int
	sum    [32]byte
}

func newPrefixes(model *bitgpu.Model, most int64, size func(tokens int64) int64) *prefixes {
	return &prefixes{newSnapshots[prefixKey](most), model, size}
}

func keyOf(owner string, ids []uint32) prefixKey {
	data, _ := binary.Append(nil, binary.LittleEndian, ids)
	return prefixKey{owner, len(ids), sha256.Sum256(data)}
}

// places returns the lengths of the beginnings of a prompt of n tokens that are kept, longest first: its whole pieces of
// `piece` tokens, and repeated halves of that, so that a long prompt does not push out everything else.
func places(n, piece int) []int {
	var found []int
	whole := (n - 1) / piece // at least one token is read, for its prediction
	if whole < 1 {
		return nil
	}
	for p := whole; p > 0; {
		found = append(found, p*piece)
		next := 1 << (bits.Len(uint(p)) - 1) // the power of two at or below p
		if next == p {
			next = p / 2
		}
		p = next
	}
	return found
}

// take returns a session of the caller's own that has read the first n tokens of a prompt; nil if no beginning is known.
func (p *prefixes) take(owner string, ids []uint32) (session *bitgpu.Session, n int, err error) {
	if p.most <= 0 {
		return nil, 0, nil
	}
	// Look for every whole piece: an earlier prompt may have ended anywhere.
	h := sha256.New()
	var keys []prefixKey
	piece := p.model.PieceTokens()
	for n := piece; n < len(ids); n += piece {
		binary.Write(h, binary.LittleEndian, ids[n-piece:n])
		keys = append(keys, prefixKey{owner, n, [32]byte(h.Sum(nil))})
	}
	for _, key := range slices.Backward(keys) {
		if state := p.get(key); state != nil {
			session, err = restored(p.model, state)
			return session, key.tokens, err
		}
	}
	return nil, 0, nil
}

// offer is given a session that has read the first n tokens of a prompt. The session is copied if it is worth keeping.
func (p *prefixes) offer(owner string, ids []uint32, n int, session *bitgpu.Session) error {
	if p.size(int64(n)) > p.most || !slices.Contains(places(len(ids), p.model.PieceTokens()), n) {
		return nil
	}
	key := keyOf(owner, ids[:n])
	if p.has(key) {
		return nil
	}
	state, err := session.Snapshot()
	if err == nil {
		p.add(key, state)
	}
	return err
}
