package serve

import (
	"context"
	"net/http"
	"slices"
	"sync"
)

// gate limits how many requests work and how many wait. The next place goes to the key with the fewest places, in turns if
// several keys have equally few, so that a key with many requests does not keep the others waiting. Within a key, requests
// are served in order.
type gate struct {
	places, queue int
	shared        bool // with several keys none of them may take more than half of the queue

	mu      sync.Mutex
	free    int
	leaving int // places that are about to be free
	closed  bool
	waiting int
	of      map[string][]*waiter
	working map[string]int // places in use by key
	turns   []string       // keys with waiting requests; the next one first
}

type waiter struct {
	answer chan error // nil: at work; has room for one value
}

func newGate(places, queue int, shared bool) *gate {
	return &gate{places: places, queue: queue, shared: shared, free: places, of: map[string][]*waiter{}, working: map[string]int{}}
}

// enter waits for a place. leave, which must be called once, frees it; it is nil if there is an error.
func (g *gate) enter(ctx context.Context, key string) (leave func(), err error) {
	w, err := g.ask(key)
	if err != nil {
		return nil, err
	}
	select {
	case err := <-w.answer:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		if !g.forget(key, w) && <-w.answer == nil {
			g.leave(key) // it got a place at the same moment
		}
		return nil, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		g.leave(key)
		return nil, err
	}
	return func() { g.leave(key) }, nil
}

func (g *gate) ask(key string) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &waiter{make(chan error, 1)}
	switch {
	case g.closed:
		return nil, errDraining()
	case g.free > 0:
		g.free--
		g.working[key]++
		w.answer <- nil
		return w, nil
	case g.waiting >= g.queue+g.leaving:
		return nil, unavailable("queue_full", "the queue is full")
	case g.shared && len(g.of[key]) >= max(g.queue/2, 1):
		return nil, &apiError{status: http.StatusTooManyRequests, code: "too_many_requests", retry: 5,
			message: "this key has as many requests waiting as one key may"}
	}
	if len(g.of[key]) == 0 {
		g.turns = append(g.turns, key)
	}
	g.of[key] = append(g.of[key], w)
	g.waiting++
	return w, nil
}

// forget removes a waiter from the queue, and reports whether it was there.
func (g *gate) forget(key string, w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.of[key], w)
	if i < 0 {
		return false
	}
	g.waiting--
	g.of[key] = slices.Delete(g.of[key], i, i+1)
	if len(g.of[key]) == 0 {
		delete(g.of, key)
		g.turns = slices.DeleteFunc(g.turns, func(k string) bool { return k == key })
	}
	return true
}

// leaveAfter calls leave when what still holds its place has ended, and does not wait for that.
func (g *gate) leaveAfter(ending *sync.WaitGroup, leave func()) {
	g.mu.Lock()
	g.leaving++
	g.mu.Unlock()
	go func() {
		ending.Wait()
		leave()
		g.mu.Lock()
		g.leaving--
		g.mu.Unlock()
	}()
}

func (g *gate) leave(left string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.working[left]--; g.working[left] == 0 {
		delete(g.working, left)
	}
	if len(g.turns) == 0 {
		g.free++
		return
	}
	next := 0
	for i, key := range g.turns {
		if g.working[key] < g.working[g.turns[next]] {
			next = i
		}
	}
	key := g.turns[next]
	w := g.of[key][0]
	g.waiting--
	g.working[key]++
	g.turns = slices.Delete(g.turns, next, next+1)
	if g.of[key] = g.of[key][1:]; len(g.of[key]) > 0 {
		g.turns = append(g.turns, key)
	} else {
		delete(g.of, key)
	}
	w.answer <- nil
}

// close refuses all requests that wait or arrive; those at work continue.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	for _, waiters := range g.of {
		for _, w := range waiters {
			w.answer <- errDraining()
		}
	}
	g.of, g.turns, g.waiting = map[string][]*waiter{}, nil, 0
}

// counts returns how many requests are at work and how many wait.
func (g *gate) counts() (busy, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.places - g.free, g.waiting
}

func errDraining() *apiError {
	return unavailable("draining", "the server is ending and takes no more requests")
}
