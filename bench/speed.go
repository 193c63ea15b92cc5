package bench

import (
	"errors"
	"strings"
	"time"

	"bitgpu/nn/optest"
)

// suite is one run: what is asked for, and the report as it grows.
type suite struct {
	Options
	preset
	disturbed
	report     *Report
	stopped    func() bool       // nothing more is wanted
	references optest.References // of operations, for all engines and variants
}

// wants reports whether a row is to be measured.
func (s *suite) wants(key string) bool {
	if len(s.Families) > 0 && key != "floor" && !strings.HasPrefix(key, "family/") {
		return false
	}
	return !s.stopped() && (s.Only == nil || s.Only.MatchString(key))
}

// tooLong reports whether a row takes too long for the mode, and keeps that it is left out: longer than
// some repetitions may take. A software adapter gets less time, as its times are of little use.
func (s *suite) tooLong(e EngineInfo, key string, seconds float64, repetitions int) bool {
	longest := s.longest
	if !e.Hardware {
		longest = max(longest/10, min(longest, 300*time.Millisecond))
	}
	if longest == 0 || seconds <= float64(repetitions)*longest.Seconds() {
		return false
	}
	s.report.LeftOut = append(s.report.LeftOut, LeftOut{Engine: e.Name, Key: key, Seconds: seconds})
	return true
}

// maxCopies bounds the copies of an operation's tensors.
const maxCopies = 64

// ops measures every operation on every width.
func (e *Engine[T]) ops(s *suite, f Floor) {
	done := map[string]bool{}
	for _, width := range s.widths {
		for _, w := range workloads[T](width, s.preset) {
			if done[w.key] || !s.wants(w.key) {
				continue
			}
			done[w.key] = true
			if least, _ := f.seconds(w.bytes, w.flops, 0); s.tooLong(e.Info, w.key, 10*least, 1) {
				continue
			}
			s.progress(e.Info.Name + " " + w.key)
			row, err := e.op(s, f, w)
			if err != nil {
				s.report.fail(e.Info.Name, w.key, err)
				continue
			}
			s.report.Ops = append(s.report.Ops, row)
		}
	}
}

// op measures one operation, each call on the next copy of its tensors.
func (e *Engine[T]) op(s *suite, f Floor, w workload[T]) (OpTime, error) {
	b := newFixture(e.Ops)
	defer b.close()
	before := e.Counts().Bytes
	runs := []func(){w.make(b)}
	each := max(e.Counts().Bytes-before, 1)
	for len(runs) < min(maxCopies, int(s.cold/each)) {
		runs = append(runs, w.make(b))
	}
	if err := errors.Join(b.err, e.Ops.Flush()); err != nil {
		return OpTime{}, err
	}
	next := 0
	run := func() {
		runs[next]()
		next = (next + 1) % len(runs)
	}
	start := e.Counts().Dispatches
	run()
	e.Ops.Submit()
	dispatches := float64(e.Counts().Dispatches - start)
	seconds, err := repeated(e.steady(s, e.Time), s.repeats, s.each, run)
	if err != nil {
		return OpTime{}, err
	}
	row := OpTime{
		Engine: e.Info.Name, Key: w.key, Seconds: seconds, Bytes: w.bytes, FLOPs: w.flops, Weights: w.weights, Dispatches: dispatches,
		Cached: each*int64(len(runs)) < 2*e.Cache,
	}
	row.Floor, row.Bound = f.seconds(w.bytes, w.flops, dispatches)
	return row, nil
}
