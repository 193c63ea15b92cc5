package train

import (
	"slices"
	"strings"
	"time"

	"bitgpu/nn"
)

// Timed is a backend whose operations are measured one by one. Where operations only record, it
// waits after each, so that the sum is more than an untimed step takes.
type Timed[T any] struct {
	nn.Ops[T]
	spent map[string]time.Duration
	err   error // the first of the waits
}

// NewTimed measures the operations of a backend.
func NewTimed[T any](ops nn.Ops[T]) *Timed[T] {
	return &Timed[T]{Ops: ops, spent: map[string]time.Duration{}}
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

// measure adds what an operation took, begun at start.
func (timed *Timed[T]) measure(name string, start time.Time) {
	if err := timed.Ops.Flush(); err != nil && timed.err == nil {
		timed.err = err
	}
	timed.spent[name] += time.Since(start)
}

func (timed *Timed[T]) Copy(dst T, dstOffset int, src T, srcOffset, n int) {
	start := time.Now()
	timed.Ops.Copy(dst, dstOffset, src, srcOffset, n)
	timed.measure("Copy", start)
}

func (timed *Timed[T]) Zero(t T) {
	start := time.Now()
	timed.Ops.Zero(t)
	timed.measure("Zero", start)
}

func (timed *Timed[T]) Embed(h, table, tokens T) {
	start := time.Now()
	timed.Ops.Embed(h, table, tokens)
	timed.measure("Embed", start)
}

func (timed *Timed[T]) EmbedBackward(dtable, dh, tokens T) {
	start := time.Now()
	timed.Ops.EmbedBackward(dtable, dh, tokens)
	timed.measure("EmbedBackward", start)
}

func (timed *Timed[T]) RMSNormBackward(dh, dgain, dx, h, gain T) {
	start := time.Now()
	timed.Ops.RMSNormBackward(dh, dgain, dx, h, gain)
	timed.measure("RMSNormBackward", start)
}

func (timed *Timed[T]) NormLinear(y, x, h, gain, w T) {
	start := time.Now()
	timed.Ops.NormLinear(y, x, h, gain, w)
	timed.measure("NormLinear", start)
}

func (timed *Timed[T]) LinearAdd(y, r, x, w T) {
	start := time.Now()
	timed.Ops.LinearAdd(y, r, x, w)
	timed.measure("LinearAdd", start)
}

func (timed *Timed[T]) LinearBackward(dx, dw, dy, x, w T) {
	start := time.Now()
	timed.Ops.LinearBackward(dx, dw, dy, x, w)
	timed.measure("LinearBackward", start)
}

func (timed *Timed[T]) NormSwiGLU(a, gu, x, h, gain, w T) {
	start := time.Now()
	timed.Ops.NormSwiGLU(a, gu, x, h, gain, w)
	timed.measure("NormSwiGLU", start)
}

func (timed *Timed[T]) SwiGLUBackward(dgu, da, gu T) {
	start := time.Now()
	timed.Ops.SwiGLUBackward(dgu, da, gu)
	timed.measure("SwiGLUBackward", start)
}

func (timed *Timed[T]) TiedScan(z, f, state, starts T, s nn.Scan) {
	start := time.Now()
	timed.Ops.TiedScan(z, f, state, starts, s)
	timed.measure("TiedScan", start)
}

func (timed *Timed[T]) TiedScanBackward(df, dz, f, starts T, s nn.Scan) {
	start := time.Now()
	timed.Ops.TiedScanBackward(df, dz, f, starts, s)
	timed.measure("TiedScanBackward", start)
}

func (timed *Timed[T]) Step(b, x, w, bias T) {
	start := time.Now()
	timed.Ops.Step(b, x, w, bias)
	timed.measure("Step", start)
}

func (timed *Timed[T]) StepBackward(dx, dw, dbias, db, b, x, w T) {
	start := time.Now()
	timed.Ops.StepBackward(dx, dw, dbias, db, b, x, w)
	timed.measure("StepBackward", start)
}

func (timed *Timed[T]) DeltaScan(o, u, b, conv, gain, state, tail, mixed, read, starts T, chunk int) {
	start := time.Now()
	timed.Ops.DeltaScan(o, u, b, conv, gain, state, tail, mixed, read, starts, chunk)
	timed.measure("DeltaScan", start)
}

func (timed *Timed[T]) DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts T, chunk int) {
	start := time.Now()
	timed.Ops.DeltaScanBackward(du, db, dconv, dgain, do, u, b, conv, gain, mixed, read, starts, chunk)
	timed.measure("DeltaScanBackward", start)
}

func (timed *Timed[T]) NormHead(logits, x, h, gain, head T, from int) {
	start := time.Now()
	timed.Ops.NormHead(logits, x, h, gain, head, from)
	timed.measure("NormHead", start)
}

func (timed *Timed[T]) HeadBackward(dx, dhead, dlogits, x, head T, from int) {
	start := time.Now()
	timed.Ops.HeadBackward(dx, dhead, dlogits, x, head, from)
	timed.measure("HeadBackward", start)
}

func (timed *Timed[T]) CrossEntropy(loss, logits, targets T, from int, scale float32) {
	start := time.Now()
	timed.Ops.CrossEntropy(loss, logits, targets, from, scale)
	timed.measure("CrossEntropy", start)
}

func (timed *Timed[T]) Quantize(q, w T) {
	start := time.Now()
	timed.Ops.Quantize(q, w)
	timed.measure("Quantize", start)
}

func (timed *Timed[T]) SumSquares(sum, g T) {
	start := time.Now()
	timed.Ops.SumSquares(sum, g)
	timed.measure("SumSquares", start)
}

func (timed *Timed[T]) AdamW(w, m, v, g, sumSquares, hyper T) {
	start := time.Now()
	timed.Ops.AdamW(w, m, v, g, sumSquares, hyper)
	timed.measure("AdamW", start)
}
