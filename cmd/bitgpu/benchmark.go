package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/train"

	"github.com/urfave/cli/v2"
)

const (
	benchmarkVocab = 8000            // where no --vocab-size is given
	benchmarkTime  = 5 * time.Second // of each of the two measurements, where no --steps is given
	fewestSteps    = 3
)

// benchmarkTraining measures steps on random tokens: first as they are, then operation by
// operation. It reads no data and writes no file.
func benchmarkTraining(c *cli.Context, r *ranks) error {
	if c.IsSet("load") || c.Bool("resume") {
		return usagef("train: --benchmark draws its weights; --load and --resume have no part in it")
	}
	options, err := r.options(c, nil)
	if err != nil {
		return err
	}
	vocab := benchmarkVocab
	if c.IsSet("vocab-size") {
		vocab = c.Int("vocab-size")
	}
	config, err := runConfig(c, nil, chooser{})
	if err != nil {
		return err
	}
	if err := checkConfig(config, vocab); err != nil {
		return err
	}
	config.Vocab = vocab
	backend, err := openTrainer(c)
	if err != nil {
		return err
	}
	defer backend.close()
	r.share(c, backend)
	shape, err := backend.plan(config, options)
	if err != nil {
		return err
	}
	engine, err := backend.newEngine(config, options, shape, train.InitialWeights(config, options.Seed))
	if err != nil {
		return err
	}
	announce(c.App.ErrWriter, engine, backend, nil, r)
	shape = engine.Shape()
	tokens := newRandomSteps(shape, vocab)
	tokens.group = r
	if c.IsSet("steps") {
		tokens.limit = options.Steps
	}
	took, _, err := tokens.measure(engine)
	device := backend.memory()
	engine.Release()
	if err != nil {
		return err
	}
	w := c.App.Writer
	fmt.Fprintf(w, "speed   %.0f tokens/s, %v a step of %d × %d × %d tokens\n", float64(shape.TokensPerStep())/took.Seconds(),
		took.Round(time.Microsecond), shape.Accumulate, shape.Batch, shape.Time)
	fmt.Fprintf(w, "memory  %s of tensors", byteCount(backend.memoryOf(config, shape)))
	if device > 0 {
		fmt.Fprintf(w, " (%s measured)", byteCount(device))
	}
	if peak := peakMemory(); peak > 0 {
		fmt.Fprintf(w, ", the whole program %s at most", byteCount(peak))
	}
	fmt.Fprintln(w)
	if r.Size() > 1 { // an operation that is waited for is nobody's share of a step
		return nil
	}

	timed, watch, err := backend.timed(config, shape, train.InitialWeights(config, options.Seed))
	if err != nil {
		return err
	}
	defer timed.Release()
	took, steps, err := tokens.measure(timed)
	if err != nil {
		return err
	}
	showOperations(w, watch.Timings(), matrixWork(config, shape), steps, backend)
	fmt.Fprintf(w, "each operation was waited for: %v a step in this table\n", took.Round(time.Microsecond))
	return nil
}

// randomSteps are the same random tokens, step for step.
type randomSteps struct {
	inputs, targets []uint32
	limit           int // steps to take, 0 = as many as benchmarkTime holds
	group           train.Group
}

func newRandomSteps(s train.Shape, vocab int) randomSteps {
	random := rand.New(rand.NewPCG(1, 1))
	ids := make([]uint32, s.OwnTokens()+1)
	for i := range ids {
		ids[i] = random.Uint32N(uint32(vocab))
	}
	return randomSteps{inputs: ids[:len(ids)-1], targets: ids[1:], group: train.Alone{}}
}

// step takes a step whose learning rate changes nothing: weights of noise would otherwise run away.
func (r randomSteps) step(e train.Trainer) { e.Step(0, r.inputs, r.targets) }

// measure is the mean time of a step after the first, and the number of all steps taken.
func (r randomSteps) measure(e train.Trainer) (mean time.Duration, taken int, err error) {
	r.step(e)
	if _, err := e.Results(); err != nil {
		return 0, 1, err
	}
	start := time.Now()
	steps := 0
	for ; ; steps++ {
		more := steps < r.limit || r.limit == 0 && (steps < fewestSteps || time.Since(start) < benchmarkTime)
		if more, err = train.Any(r.group, more && r.group.Rank() == 0); err != nil || !more {
			break
		}
		r.step(e)
		if _, full := e.Pending(); full {
			if _, err := e.Results(); err != nil {
				return 0, steps, err
			}
		}
	}
	if err == nil {
		_, err = e.Results()
	}
	return time.Since(start) / time.Duration(max(steps, 1)), steps + 1, err
}

// matrixWork is the floating-point operations of each operation's matrix products in one step, two
// for a multiply-add. Backward takes a product for the input and one for the weight.
func matrixWork(c nn.Config, s train.Shape) map[string]float64 {
	n := float64(s.TokensPerStep())
	D, d, H, mix := float64(c.Width), float64(c.MemoryWidth), float64(c.MLPWidth), float64(c.MixWidth())
	layers := float64(c.Layers)
	forward := layers
	if s.Recompute {
		forward = 2*layers - 1
	}
	head := 2 * n * D * float64(c.Vocab)
	return map[string]float64{
		"Linear":         forward * 2 * n * D * (mix + d + 3*H),
		"LinearBackward": layers * 4 * n * D * (mix + d + 3*H),
		"Head":           head,
		"HeadBackward":   2 * head,
	}
}

func showOperations(w io.Writer, timings []train.Timing, work map[string]float64, steps int, b *trainer) {
	var total time.Duration
	for _, t := range timings {
		total += t.Time
	}
	peak := 0.0
	if b.onCPU {
		peak = simd.MeasurePeakFMA()
		fmt.Fprintf(w, "peak    %.0f GFLOP/s of multiply-adds, measured now\n", peak/1e9)
	}
	fmt.Fprintf(w, "%-18s %7s  %s\n", "operation", "share", "matrix products")
	for _, t := range timings {
		fmt.Fprintf(w, "%-18s %6.1f%%", t.Name, 100*t.Time.Seconds()/total.Seconds())
		if flops := work[t.Name]; flops > 0 {
			rate := flops * float64(steps) / t.Time.Seconds()
			fmt.Fprintf(w, "  %.3g GFLOP/s", rate/1e9)
			if peak > 0 {
				fmt.Fprintf(w, ", %.0f %% of the peak", 100*rate/peak)
			}
		}
		fmt.Fprintln(w)
	}
}
