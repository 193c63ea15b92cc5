package train

import (
	"slices"
	"strings"
	"time"

	"bitgpu/nn"
)

// Clock runs what record records, and says how long that took once it is done.
type Clock func(record func()) (time.Duration, error)

// WallClock is the clock of backends whose operations run when they are called.
func WallClock(record func()) (time.Duration, error) {
	start := time.Now()
	record()
	return time.Since(start), nil
}

// Timed is a backend whose operations are measured one by one. Where they only record, the clock
// waits for each, so that a step takes longer than otherwise.
type Timed[T any] struct {
	nn.Ops[T]
	clock Clock
	spent map[string]time.Duration
	err   error // the first of the clock's
}

// NewTimed measures the operations of a backend.
func NewTimed[T any](ops nn.Ops[T], clock Clock) *Timed[T] {
	return &Timed[T]{Ops: ops, clock: clock, spent: map[string]time.Duration{}}
}

// Timing is the time that all calls of an operation took.
type Timing struct {
	Name string
	Time time.Duration
}

// Timings are the times so far, the longest first.
func (timed *Timed[T]) Timings() []Timing {
	var all []Timing
	for name, spent := range timed.spent {
		all = append(all, Timing{name, spent})
	}
	slices.SortFunc(all, func(a, b Timing) int {
		if a.Time != b.Time {
			return int(b.Time - a.Time)
		}
		return strings.Compare(a.Name, b.Name)
	})
	return all
}

// Flush waits, and gives the first error of any wait before.
func (timed *Timed[T]) Flush() error {
	err := timed.Ops.Flush()
	if timed.err != nil {
		err, timed.err = timed.err, nil
	}
	return err
}

// Read gives the clock's error first.
func (timed *Timed[T]) Read(t T, offset int, dst []float32) error {
	if timed.err != nil {
		return timed.Flush()
	}
	return timed.Ops.Read(t, offset, dst)
}

// measure adds what an operation takes.
func (timed *Timed[T]) measure(name string, record func()) {
	took, err := timed.clock(record)
	if err != nil && timed.err == nil {
		timed.err = err
	}
	timed.spent[name] += took
}

func (timed *Timed[T]) Copy(dst T, dstOffset int, src T, srcOffset, n int) {
	timed.measure("Copy", func() { timed.Ops.Copy(dst, dstOffset, src, srcOffset, n) })
}

func (timed *Timed[T]) CopySet(dst, src []T, n int) {
	timed.measure("Copy", func() { timed.Ops.CopySet(dst, src, n) })
}

func (timed *Timed[T]) Zero(t T) {
	timed.measure("Zero", func() { timed.Ops.Zero(t) })
}

func (timed *Timed[T]) Dropout(x, seed T, site uint32, rate float32) {
	timed.measure("Dropout", func() { timed.Ops.Dropout(x, seed, site, rate) })
}

func (timed *Timed[T]) Embed(h, table, tokens T) {
	timed.measure("Embed", func() { timed.Ops.Embed(h, table, tokens) })
}

func (timed *Timed[T]) EmbedBackward(dtable, dh, tokens T) {
	timed.measure("EmbedBackward", func() { timed.Ops.EmbedBackward(dtable, dh, tokens) })
}

func (timed *Timed[T]) RMSNormBackward(dh, dgain, dx, h, gain T) {
	timed.measure("RMSNormBackward", func() { timed.Ops.RMSNormBackward(dh, dgain, dx, h, gain) })
}

func (timed *Timed[T]) NormLinear(y, x, h, gain, w T) {
	timed.measure("NormLinear", func() { timed.Ops.NormLinear(y, x, h, gain, w) })
}

func (timed *Timed[T]) LinearAdd(y, r, x, w T) {
	timed.measure("LinearAdd", func() { timed.Ops.LinearAdd(y, r, x, w) })
}

func (timed *Timed[T]) LinearBackward(dx, dw, dy, x, w T) {
	timed.measure("LinearBackward", func() { timed.Ops.LinearBackward(dx, dw, dy, x, w) })
}

func (timed *Timed[T]) NormSwiGLU(a, gu, x, h, gain, w T) {
	timed.measure("NormSwiGLU", func() { timed.Ops.NormSwiGLU(a, gu, x, h, gain, w) })
}

func (timed *Timed[T]) SwiGLUBackward(dgu, da, gu T) {
	timed.measure("SwiGLUBackward", func() { timed.Ops.SwiGLUBackward(dgu, da, gu) })
}

func (timed *Timed[T]) TiedScan(z, f, state, starts T, s nn.Scan) {
	timed.measure("TiedScan", func() { timed.Ops.TiedScan(z, f, state, starts, s) })
}

func (timed *Timed[T]) TiedScanBackward(df, dz, f, starts T, s nn.Scan) {
	timed.measure("TiedScanBackward", func() { timed.Ops.TiedScanBackward(df, dz, f, starts, s) })
}

func (timed *Timed[T]) Step(b, x, w, bias T) {
	timed.measure("Step", func() { timed.Ops.Step(b, x, w, bias) })
}

func (timed *Timed[T]) StepBackward(dx, dw, dbias, db, b, x, w T) {
	timed.measure("StepBackward", func() { timed.Ops.StepBackward(dx, dw, dbias, db, b, x, w) })
}

func (timed *Timed[T]) DeltaScan(o, u, b, conv, gain, state, tail, mixed, read, starts T, chunk int) {
	timed.measure("DeltaScan", func() { timed.Ops.DeltaScan(o, u, b, conv, gain, state, tail, mixed, read, starts, chunk) })
}

func (timed *Timed[T]) DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts T, chunk int) {
	timed.measure("DeltaScanBackward", func() {
		timed.Ops.DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts, chunk)
	})
}

func (timed *Timed[T]) NormHead(logits, x, h, gain, head T, from int) {
	timed.measure("NormHead", func() { timed.Ops.NormHead(logits, x, h, gain, head, from) })
}

func (timed *Timed[T]) HeadBackward(dx, dhead, dlogits, x, head T, from int) {
	timed.measure("HeadBackward", func() { timed.Ops.HeadBackward(dx, dhead, dlogits, x, head, from) })
}

func (timed *Timed[T]) CrossEntropy(loss, logits, targets T, from int, scale float32) {
	timed.measure("CrossEntropy", func() { timed.Ops.CrossEntropy(loss, logits, targets, from, scale) })
}

func (timed *Timed[T]) Quantize(q, w T) {
	timed.measure("Quantize", func() { timed.Ops.Quantize(q, w) })
}

func (timed *Timed[T]) SumSquares(sum, g T) {
	timed.measure("SumSquares", func() { timed.Ops.SumSquares(sum, g) })
}

func (timed *Timed[T]) AdamW(w, m, v, g, sumSquares, hyper T) {
	timed.measure("AdamW", func() { timed.Ops.AdamW(w, m, v, g, sumSquares, hyper) })
}
