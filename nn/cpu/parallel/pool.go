package parallel

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/cpu"
)

const (
	// spinTime is how long a worker looks for the next loop, and a caller for the
	// end of this one, before it parks. It covers the serial work between two
	// matrix products, sampling included.
	spinTime = 200 * time.Microsecond
	// spinLooks is the number of looks between two readings of the clock.
	spinLooks = 100
	// yieldTime is how long a spinning goroutine keeps its processor from others.
	yieldTime = 10 * time.Microsecond
	// shareOfRest is the part of its fair share of the rest that a worker claims at once. Chunks are long at first, so that they
	// are few, and short at the end, so that all workers finish together (guided self-scheduling, Polychronopoulos and Kuck, 1987).
	shareOfRest = 2
)

// pool runs one loop at a time. The fields task, n and grain are written by the
// caller that holds the pool while open is false and active is 0, and read by
// workers that have counted themselves in active and then seen open: the two
// sides cannot miss each other, whichever order they come in.
type pool struct {
	workers []*worker
	retired atomic.Bool

	taken atomic.Bool   // a caller holds the pool
	open  atomic.Bool   // the loop may be joined
	loops atomic.Uint32 // loops opened so far; workers wait for it to change

	// On another cache line, so that counting does not slow down those who check whether a loop is open.
	_      cpu.CacheLinePad
	active atomic.Int32 // workers inside the loop
	_      cpu.CacheLinePad
	next   atomic.Int64 // first index not yet claimed
	_      cpu.CacheLinePad

	callerWaits atomic.Bool // the caller has parked on done
	done        chan struct{}

	task     Task
	n, grain int
}

// worker is where one goroutine parks.
type worker struct {
	parked atomic.Bool
	wake   chan struct{} // capacity 1: the goroutine that clears parked can send without waiting
}

func newPool(workers int) *pool {
	p := &pool{workers: make([]*worker, workers), done: make(chan struct{}, 1)}
	for i := range p.workers {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers[i] = w
		go p.work(w)
	}
	return p
}

// retire ends the workers. A loop under way is finished by its caller and the
// workers in it.
func (p *pool) retire() {
	p.retired.Store(true)
	p.loops.Add(1)
	p.wakeWorkers(len(p.workers))
}

func (p *pool) run(n, grain int, t Task) {
	if len(p.workers) == 0 || !p.taken.CompareAndSwap(false, true) {
		t.Run(0, n)
		return
	}
	p.task, p.n, p.grain = t, n, grain
	p.next.Store(0)
	p.open.Store(true)
	p.loops.Add(1)
	defer p.finish() // also when the task panics in this goroutine
	p.wakeWorkers(min(len(p.workers), (n-1)/grain))
	p.claimChunks()
}

// finish waits for the workers inside the loop and gives the pool back.
func (p *pool) finish() {
	p.open.Store(false)
	if !spin(func() bool { return p.active.Load() == 0 }) {
		p.callerWaits.Store(true)
		if p.active.Load() != 0 || !p.callerWaits.CompareAndSwap(true, false) {
			<-p.done
		}
	}
	p.task = nil
	p.taken.Store(false)
}

func (p *pool) claimChunks() {
	parts := (len(p.workers) + 1) * shareOfRest
	for {
		start := int(p.next.Load())
		left := p.n - start
		if left <= 0 {
			return
		}
		end := start + roundUp((left+parts-1)/parts, p.grain)
		if p.next.CompareAndSwap(int64(start), int64(end)) {
			p.task.Run(start, min(end, p.n))
		}
	}
}

func (p *pool) wakeWorkers(count int) {
	for _, w := range p.workers[:count] {
		if w.parked.Load() && w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
}

func (p *pool) work(w *worker) {
	seen := p.loops.Load()
	for !p.retired.Load() {
		if !spin(func() bool { return p.loops.Load() != seen }) {
			w.parked.Store(true)
			if p.loops.Load() == seen || !w.parked.CompareAndSwap(true, false) {
				<-w.wake
			}
		}
		seen = p.loops.Load()
		p.active.Add(1)
		if p.open.Load() {
			p.claimChunks()
		}
		if p.active.Add(-1) == 0 && p.callerWaits.CompareAndSwap(true, false) {
			p.done <- struct{}{}
		}
	}
}

// spin looks at done until it is true or spinTime has passed, and returns what
// it saw last. It lets other goroutines run now and then.
func spin(done func() bool) bool {
	for range spinLooks {
		if done() {
			return true
		}
	}
	start := time.Now()
	yielded := start
	for {
		for range spinLooks {
			if done() {
				return true
			}
		}
		now := time.Now()
		if now.Sub(start) > spinTime {
			return done()
		}
		if now.Sub(yielded) > yieldTime {
			runtime.Gosched()
			yielded = now
		}
	}
}

// roundUp returns the smallest multiple of m that is at least n.
func roundUp(n, m int) int { return (n + m - 1) / m * m }
