package bench

import (
	"runtime/debug"
	"time"

	"bitgpu/bench/family"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// learnRank is the rank of the adapters that are trained, one beside every matrix.
const learnRank = 8

// learn measures a step of an adapter on one row of random tokens.
func (r *familyRun[T]) learn(row familyRow) error {
	c := r.m.Config(row.time)
	c.Adapter = train.NewAdapter(c, learnRank, 2*learnRank, func(string) bool { return true }, 1)
	shape := train.Shape{Batch: 1, Time: row.time, Accumulate: 1, Clip: 1}
	need := train.DeviceBytes(c, shape)
	if free, ok := r.fits(need); !ok {
		r.s.report.LeftOut = append(r.s.report.LeftOut, LeftOut{Engine: r.Info.Name, Key: row.key, Memory: r.bytes + need, Free: free + r.bytes})
		return nil
	}
	// A training loads its own weights, as a program that only trains does.
	r.Ops.Release(*r.weights...)
	*r.weights = nil
	defer func() { r.weights = family.Load(r.m, r.Ops.Load) }()
	debug.FreeOSMemory()
	l, err := train.NewLearner(r.Ops, c, shape, family.Load(r.m, func(h op.HostTensor) op.HostTensor { return h }))
	if err != nil {
		return err
	}
	defer l.Release()
	result := r.begin(row)
	ids := randomTokens(r.r, r.m.Decoder.Vocab, row.time+1)
	var failed error
	calls, counts := 0, Counts{}
	seconds, err := repeated(r.steady(r.s, func(record func()) (time.Duration, error) {
		if r.s.stopped() {
			return 0, errStopped
		}
		return r.wall(record)
	}), r.s.repeats, 0, func() {
		before := r.Counts()
		l.Step(1e-4, ids[:row.time], ids[1:])
		if _, err := l.Results(); err != nil && failed == nil {
			failed = err
		}
		after := r.Counts()
		calls++
		counts.Dispatches += after.Dispatches - before.Dispatches
		counts.Submits += after.Submits - before.Submits
	})
	return r.end(result, row, seconds, calls, counts, failed, err)
}
