package serve

import (
	"context"
	"time"
)

// totals counts again if the last count is old.
func (s *sharedMemories) totals() (memories int, bytes int64) {
	ctx, cancel := within(countEvery)
	defer cancel()
	if err := s.recount(ctx, countEvery); err != nil {
		s.log.Error("memory store", "error", err.Error())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total.Memories, s.total.Bytes
}

// recount counts the memories of all servers, unless the last count is recent enough.
func (s *sharedMemories) recount(ctx context.Context, old time.Duration) error {
	s.mu.Lock()
	fresh, before := time.Since(s.counted) < old, s.grown
	s.mu.Unlock()
	if fresh {
		return nil
	}
	t, err := s.records.Total(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t.Bytes += s.grown - before // the list may be older
	s.total, s.counted = t, time.Now()
	return nil
}

// room reserves bytes, deleting the least recently used memories as needed. It does not see what other servers are writing at
// this moment.
func (s *sharedMemories) room(ctx context.Context, bytes int64) error {
	s.making.Lock()
	defer s.making.Unlock()
	if err := s.recount(ctx, countEvery); err != nil {
		return err
	}
	if s.reserve(bytes) {
		return nil
	}
	s.mu.Lock()
	most := s.limit - s.reserved - bytes
	s.mu.Unlock()
	if ok, err := s.records.Evict(ctx, most, s.broken); err != nil {
		return err
	} else if !ok {
		return errNoRoom()
	}
	if err := s.recount(ctx, 0); err != nil {
		return err
	}
	if !s.reserve(bytes) {
		return errNoRoom()
	}
	return nil
}

// reserve reserves bytes if there is room.
func (s *sharedMemories) reserve(bytes int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.total.Bytes+s.reserved+bytes > s.limit {
		return false
	}
	s.reserved += bytes
	return true
}
