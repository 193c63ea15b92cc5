package parallel

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// marks counts how often each index was run.
type marks struct {
	counts []atomic.Int32
	grain  int
	bad    atomic.Int32
}

func (m *marks) Run(start, end int) {
	if start >= end || start%m.grain != 0 || (end%m.grain != 0 && end != len(m.counts)) {
		m.bad.Add(1)
	}
	for i := start; i < end; i++ {
		m.counts[i].Add(1)
	}
}

func (m *marks) check(t *testing.T) {
	t.Helper()
	if m.bad.Load() != 0 {
		t.Errorf("n %d, grain %d: %d chunks with bounds off the grain", len(m.counts), m.grain, m.bad.Load())
	}
	for i := range m.counts {
		if c := m.counts[i].Load(); c != 1 {
			t.Fatalf("n %d, grain %d: index %d ran %d times", len(m.counts), m.grain, i, c)
		}
	}
}

func withWorkers(t testing.TB, n int) {
	SetWorkers(n)
	t.Cleanup(func() { SetWorkers(0) })
}

func TestForRunsEachIndexOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		withWorkers(t, workers)
		if Workers() != workers {
			t.Fatalf("%d workers, want %d", Workers(), workers)
		}
		for _, n := range []int{0, 1, 2, 7, 8, 9, 64, 1000} {
			for _, grain := range []int{1, 2, 4, 7, 100, 2000} {
				m := &marks{counts: make([]atomic.Int32, n), grain: grain}
				For(n, grain, m)
				m.check(t)
			}
		}
	}
}

func TestNestedAndConcurrentCallers(t *testing.T) {
	withWorkers(t, 4)
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			for range 200 {
				var total atomic.Int64
				For(20, 1, Func(func(start, end int) {
					for range end - start {
						For(10, 1, Func(func(start, end int) { total.Add(int64(end - start)) }))
					}
				}))
				if total.Load() != 200 {
					t.Errorf("%d inner iterations, want 200", total.Load())
				}
			}
		})
	}
	callers.Wait()
}

func TestWorkersComeBackAfterParking(t *testing.T) {
	withWorkers(t, 3)
	for range 20 {
		time.Sleep(2 * spinTime)
		m := &marks{counts: make([]atomic.Int32, 100), grain: 1}
		For(100, 1, m)
		m.check(t)
	}
}

func TestSlowWorkerIsWaitedFor(t *testing.T) {
	withWorkers(t, 2)
	var done atomic.Int32
	For(2, 1, Func(func(start, end int) {
		time.Sleep(time.Duration(1+start) * 5 * spinTime)
		done.Add(int32(end - start))
	}))
	if done.Load() != 2 {
		t.Errorf("For returned with %d of 2 iterations done", done.Load())
	}
}

func TestResizeWhileLoopsRun(t *testing.T) {
	t.Cleanup(func() { SetWorkers(0) })
	stop := make(chan struct{})
	var caller sync.WaitGroup
	caller.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			m := &marks{counts: make([]atomic.Int32, 64), grain: 1}
			For(64, 1, m)
			m.check(t)
		}
	})
	for i := range 100 {
		SetWorkers(1 + i%5)
	}
	close(stop)
	caller.Wait()
}

func TestPanicInTaskReleasesPool(t *testing.T) {
	// No goroutine stands behind this worker, so the panic is the caller's.
	p := &pool{workers: []*worker{{wake: make(chan struct{}, 1)}}, done: make(chan struct{}, 1)}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not reach the caller")
			}
		}()
		p.run(2, 1, Func(func(int, int) { panic("wanted") }))
	}()
	if p.taken.Load() {
		t.Error("the pool is still taken after a panic")
	}
}

type nothing struct{}

func (*nothing) Run(start, end int) {}

func TestForDoesNotAllocate(t *testing.T) {
	withWorkers(t, 2)
	task := new(nothing)
	if n := testing.AllocsPerRun(100, func() { For(100, 1, task) }); n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}

// BenchmarkFor measures the cost of an empty loop: the time to start it and to
// learn that all workers have left it, right after another loop (spinning) and
// after a pause that has parked the workers.
func BenchmarkFor(b *testing.B) {
	task := new(nothing)
	b.Run("spinning", func(b *testing.B) {
		for b.Loop() {
			For(Workers(), 1, task)
		}
	})
	b.Run("parked", func(b *testing.B) {
		var spent time.Duration
		rounds := 0
		for b.Loop() {
			time.Sleep(3 * spinTime)
			start := time.Now()
			For(Workers(), 1, task)
			spent += time.Since(start)
			rounds++
		}
		b.ReportMetric(float64(spent.Nanoseconds())/float64(rounds), "ns/For")
	})
}

// first records when another goroutine than the caller enters the loop.
type first struct {
	entered atomic.Int64
	begun   time.Time
	waiting sync.Mutex
}

func (f *first) Run(start, end int) {
	if f.waiting.TryLock() {
		// The first goroutine keeps the loop open until the other one is in it.
		for limit := time.Now(); f.entered.Load() == 0 && time.Since(limit) < 10*time.Millisecond; {
		}
		f.waiting.Unlock()
		return
	}
	f.entered.CompareAndSwap(0, int64(time.Since(f.begun)))
}

// BenchmarkWake measures the time from the call of For until both goroutines are
// in the loop.
func BenchmarkWake(b *testing.B) {
	SetWorkers(2)
	defer SetWorkers(0)
	for _, c := range []struct {
		name  string
		pause time.Duration
	}{{"spinning", 10 * time.Microsecond}, {"parked", 5 * spinTime}} {
		b.Run(c.name, func(b *testing.B) {
			var spent time.Duration
			rounds := 0
			f := new(first)
			for b.Loop() {
				for pause := time.Now(); time.Since(pause) < c.pause; {
				}
				f.entered.Store(0)
				f.begun = time.Now()
				For(2, 1, f)
				spent += time.Duration(f.entered.Load())
				rounds++
			}
			b.ReportMetric(float64(spent.Nanoseconds())/float64(rounds), "ns/wake")
		})
	}
}
