package serve

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
	"sync"

	"bitgpu"
)

// prefixes remember what prompts began with, so that it is not read again: the rules of a conversation, its earlier turns.
// They are cut where a session cuts what it reads, so that a text is the same bit by bit with and without them, and a key
// finds only what it has itself sent: how fast an answer comes must not tell what others have asked.
type prefixes struct {
	model *bitgpu.Model
	most  int64                    // bytes
	size  func(tokens int64) int64 // about as much as one takes

	mu    sync.Mutex
	held  int64 // bytes
	known map[prefixKey]*list.Element
	order *list.List // of *prefix; the last used first
}

type prefixKey struct {
	owner  string
	tokens int
	sum    [32]byte
}

type prefix struct {
	key   prefixKey
	state *bitgpu.Snapshot
}

func newPrefixes(model *bitgpu.Model, most int64, size func(tokens int64) int64) *prefixes {
	return &prefixes{model: model, most: most, size: size, known: map[prefixKey]*list.Element{}, order: list.New()}
}

func keyOf(owner string, ids []uint32) prefixKey {
	data, _ := binary.Append(nil, binary.LittleEndian, ids)
	return prefixKey{owner, len(ids), sha256.Sum256(data)}
}

// places are the lengths of the beginnings of a prompt of n tokens that are kept, the longest first: its whole
// pieces, and halves of that, so that a long prompt does not push out everything else.
func places(n int) []int {
	var found []int
	whole := (n - 1) / bitgpu.PieceTokens // one token at least is read, for what follows it
	if whole < 1 {
		return nil
	}
	for p := whole; p > 0; {
		found = append(found, p*bitgpu.PieceTokens)
		next := 1 << (bits.Len(uint(p)) - 1) // the power of two at or below p
		if next == p {
			next = p / 2
		}
		p = next
	}
	return found
}

// take gives a session of the caller's own that has read the first n tokens of a prompt; nil where no beginning is known.
func (p *prefixes) take(owner string, ids []uint32) (session *bitgpu.Session, n int, err error) {
	if p.most <= 0 {
		return nil, 0, nil
	}
	// Every whole piece is looked for: the end of an earlier prompt lies anywhere.
	h := sha256.New()
	var keys []prefixKey
	for n := bitgpu.PieceTokens; n < len(ids); n += bitgpu.PieceTokens {
		binary.Write(h, binary.LittleEndian, ids[n-bitgpu.PieceTokens:n])
		keys = append(keys, prefixKey{owner, n, [32]byte(h.Sum(nil))})
	}
	for _, key := range slices.Backward(keys) {
		if session, err := p.find(key); session != nil || err != nil {
			return session, key.tokens, err
		}
	}
	return nil, 0, nil
}

func (p *prefixes) find(key prefixKey) (*bitgpu.Session, error) {
	p.mu.Lock()
	e := p.known[key]
	if e == nil {
		p.mu.Unlock()
		return nil, nil
	}
	p.order.MoveToFront(e)
	state := e.Value.(*prefix).state
	p.mu.Unlock()
	return restored(p.model, state)
}

// offer shows a session that has read the first n tokens of a prompt; a copy is kept where that is worth it.
func (p *prefixes) offer(owner string, ids []uint32, n int, session *bitgpu.Session) error {
	if p.size(int64(n)) > p.most || !slices.Contains(places(len(ids)), n) {
		return nil
	}
	key := keyOf(owner, ids[:n])
	p.mu.Lock()
	known := p.known[key] != nil
	p.mu.Unlock()
	if known {
		return nil
	}
	state, err := session.Snapshot()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known[key] != nil { // meanwhile
		return nil
	}
	p.known[key] = p.order.PushFront(&prefix{key, state})
	for p.held += state.Bytes(); p.held > p.most; {
		p.drop(p.order.Back())
	}
	return nil
}

func (p *prefixes) drop(e *list.Element) {
	entry := p.order.Remove(e).(*prefix)
	delete(p.known, entry.key)
	p.held -= entry.state.Bytes()
}

// totals are the beginnings and the bytes that they take.
func (p *prefixes) totals() (n int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order.Len(), p.held
}
