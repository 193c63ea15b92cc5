// Package parallel spreads loops over the processor's cores. It keeps a pool of
// worker goroutines that live as long as the program, so that a loop of twenty
// microseconds is worth splitting and no call allocates.
//
// It is not a task scheduler: there are no queues, futures or cancellation. A
// loop's iterations must be independent of each other; a result that depends on
// how the range was cut is the caller's bug.
//
// # Why
//
// Why not a goroutine per chunk? Starting and joining goroutines allocates, and
// costs several microseconds; decoding one token runs dozens of loops of that
// length.
//
// Why do idle workers spin before they park? Waking a parked thread costs up to
// tens of microseconds. A worker looks for the next loop for a short while, then
// parks; an idle program uses no processor time.
//
// Why does a second caller run alone? The pool serves one loop at a time. A
// caller that finds it taken, be it another session or a loop inside a loop,
// runs its own range by itself: it cannot deadlock, and the cores are busy anyway.
//
// Why are chunks claimed and not assigned? A worker that wakes late, or whose
// core is shared with another process, then takes less of the work instead of
// keeping everybody waiting.
package parallel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is the body of a loop: Run does the iterations start ≤ i < end. It is
// called from several goroutines at once with ranges that do not overlap.
type Task interface {
	Run(start, end int)
}

// Func makes a Task of a function. Creating the closure may allocate; a Task
// with a pointer receiver does not.
type Func func(start, end int)

// Run calls f.
func (f Func) Run(start, end int) { f(start, end) }

var (
	current atomic.Pointer[pool]
	resize  sync.Mutex
)

// For runs t over [0, n) on all workers and the caller, and returns when all of
// it is done. The bounds of the chunks are multiples of grain, and n. If
// n ≤ grain, if there is one worker, or if the pool is in use, the caller runs
// the whole range in one call.
func For(n, grain int, t Task) {
	if n <= 0 {
		return
	}
	if n <= grain {
		t.Run(0, n)
		return
	}
	shared().run(n, max(grain, 1), t)
}

// Workers returns the number of goroutines that take part in a loop, including
// the caller: GOMAXPROCS at the first use, or the number given to SetWorkers.
func Workers() int { return len(shared().workers) + 1 }

// SetWorkers makes n goroutines, including the caller, take part in the loops
// that start from now on; n < 1 means GOMAXPROCS. Loops under way are not
// affected.
func SetWorkers(n int) {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	resize.Lock()
	defer resize.Unlock()
	if old := current.Swap(newPool(n - 1)); old != nil {
		old.retire()
	}
}

func shared() *pool {
	if p := current.Load(); p != nil {
		return p
	}
	resize.Lock()
	defer resize.Unlock()
	if current.Load() == nil {
		current.Store(newPool(runtime.GOMAXPROCS(0) - 1))
	}
	return current.Load()
}
