//go:build cgo

package main

import (
	"fmt"
	"maps"
	"sync"

	"bitgpu"
)

// handles assigns the numbers by which C refers to models, sessions and streams. A number is never reused, so a closed one
// can be told from all others.
type handles struct {
	mu     sync.Mutex
	last   int64
	values map[int64]any
}

var table = handles{values: map[int64]any{}}

// add gives value a number.
func (t *handles) add(value any) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.values[t.last] = value
	return t.last
}

// forget removes the numbers of values that ended together with another.
func (t *handles) forget(ended func(value any) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.values, func(_ int64, value any) bool { return ended(value) })
}

// find returns what h stands for; what, a noun, names it in the error, which is [bitgpu.ErrClosed].
func find[T any](what string, h int64) (T, error) { return get[T](what, h, false) }

// take is find, and removes h.
func take[T any](what string, h int64) (T, error) { return get[T](what, h, true) }

func get[T any](what string, h int64, forget bool) (T, error) {
	table.mu.Lock()
	defer table.mu.Unlock()
	value, ok := table.values[h].(T)
	if !ok {
		return value, fmt.Errorf("%w: there is no %s %d", bitgpu.ErrClosed, what, h)
	}
	if forget {
		delete(table.values, h)
	}
	return value, nil
}
