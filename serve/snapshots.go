package serve

import (
	"container/list"
	"sync"

	"bitgpu"
)

// snapshots are states in RAM by key. If they take too many bytes, the least recently used go.
type snapshots[K comparable] struct {
	most int64 // bytes

	mu    sync.Mutex
	held  int64 // bytes
	known map[K]*list.Element
	order *list.List // of *snapshot[K]; the last used first
}

type snapshot[K comparable] struct {
	key   K
	state *bitgpu.Snapshot
}

func newSnapshots[K comparable](most int64) *snapshots[K] {
	return &snapshots[K]{most: most, known: map[K]*list.Element{}, order: list.New()}
}

// get returns the state under a key, or nil.
func (s *snapshots[K]) get(key K) *bitgpu.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known[key]
	if e == nil {
		return nil
	}
	s.order.MoveToFront(e)
	return e.Value.(*snapshot[K]).state
}

func (s *snapshots[K]) has(key K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[key] != nil
}

// add stores a state under a key that has none.
func (s *snapshots[K]) add(key K, state *bitgpu.Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[key] != nil { // added meanwhile
		return
	}
	s.known[key] = s.order.PushFront(&snapshot[K]{key, state})
	for s.held += state.Bytes(); s.held > s.most; {
		e := s.order.Back()
		old := s.order.Remove(e).(*snapshot[K])
		delete(s.known, old.key)
		s.held -= old.state.Bytes()
	}
}

// totals returns the number of states and their bytes.
func (s *snapshots[K]) totals() (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order.Len(), s.held
}
