package bench

import "time"

const (
	// steadyShare is the part of its best rate that an undisturbed device reaches; two virtual processors
	// that their host runs on one core reach half.
	steadyShare = 0.7
	// pause is how long to wait for a disturbance to pass before looking again.
	pause = 20 * time.Millisecond
	// longestWait is how long a disturbance may last; then the device is taken as it is.
	longestWait = 3 * time.Second
)

// disturbed is what a run has done about a device that is slow for a while.
type disturbed struct {
	left   time.Duration // what may still be spent on waiting and measuring again
	spent  time.Duration
	again  int // measurements thrown away
	gaveUp bool
}

// spend takes time from what may be spent, if there is as much.
func (d *disturbed) spend(t time.Duration) bool {
	if t > d.left {
		d.gaveUp = true
		return false
	}
	d.left -= t
	d.spent += t
	return true
}

// note tells a reader of the report.
func (d *disturbed) note(r *Report) {
	if d.spent == 0 && !d.gaveUp {
		return
	}
	r.note("the processor computed at times at less than %.0f %% of its best rate, as when the host of a virtual machine runs two of its "+
		"processors on one core: %d measurements were repeated, %.1f s spent on that and on waiting", 100*steadyShare, d.again, d.spent.Seconds())
	if d.gaveUp {
		r.note("not all disturbed measurements could be repeated: some rows may be slow")
	}
}

// steady is the clock for measurements before and after which the device does what it can: others are repeated, as
// long as patience lasts.
func (e *Engine[T]) steady(s *suite, clock timer) timer {
	if e.Rate == nil {
		return clock
	}
	return func(record func()) (time.Duration, error) {
		for {
			ready := e.await(s)
			took, err := clock(record)
			if err != nil || !ready || e.undisturbed() || !s.spend(took) {
				return took, err
			}
			s.again++
		}
	}
}

// await reports whether the device is undisturbed, for which it waits.
func (e *Engine[T]) await(s *suite) bool {
	if time.Since(e.seenAt) < pause {
		return true
	}
	for waited := time.Duration(0); !e.undisturbed(); waited += pause {
		if waited >= longestWait || !s.spend(pause) {
			s.gaveUp = true
			return false
		}
		time.Sleep(pause)
	}
	return true
}

func (e *Engine[T]) undisturbed() bool {
	rate := e.Rate()
	e.best = max(e.best, rate)
	e.seenAt = time.Time{}
	if rate < steadyShare*e.best {
		return false
	}
	e.seenAt = time.Now()
	return true
}
