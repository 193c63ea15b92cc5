package main

import (
	"fmt"
	"io"
	"time"

	"bitgpu/internal/units"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/train"
	"bitgpu/nn/train/device"
	"bitgpu/nn/train/ranks"
)

const (
	benchmarkVocab = 8000            // without --vocab-size
	benchmarkTime  = 5 * time.Second // for each of the two measurements, without --steps
	fewestSteps    = 3
)

// benchmarkTraining measures steps on random tokens: first whole steps, then operation by operation. It reads no data and
// writes no file.
func (f *trainFlags) benchmarkTraining(r *ranks.Ranks) error {
	if f.given("load") || f.resume {
		return usagef("train: --benchmark draws its weights; --load and --resume have no part in it")
	}
	options, err := f.rankOptions(nil, r)
	if err != nil {
		return err
	}
	vocab := benchmarkVocab
	if f.given("vocab-size") {
		vocab = f.vocabulary.size
	}
	config, err := f.runConfig(nil, chooser{})
	if err != nil {
		return err
	}
	if err := checkConfig(config, vocab); err != nil {
		return err
	}
	config.Vocab = vocab
	backend, err := openDevice(f.computing)
	if err != nil {
		return err
	}
	defer backend.Close()
	r.Share(backend)
	backend.ShardOptimizer = f.shardOptimizer
	shape, err := backend.Plan(config, options)
	if err != nil {
		return withAdvice(err, trainingFlags)
	}
	engine, err := backend.NewTrainer(config, options, shape, train.InitialWeights(config, options.Seed))
	if err != nil {
		return err
	}
	announce(f.log, engine, backend, nil, r)
	shape = engine.Shape()
	tokens := device.NewRandomSteps(shape, vocab)
	tokens.Group, tokens.Least, tokens.Time = r, fewestSteps, benchmarkTime
	if f.given("steps") {
		tokens.Limit = options.Steps
	}
	took, _, err := tokens.Measure(engine)
	measured := backend.PeakBytes()
	engine.Release()
	if err != nil {
		return err
	}
	w := f.out
	fmt.Fprintf(w, "speed   %.0f tokens/s, %v a step of %d × %d × %d tokens\n", float64(shape.TokensPerStep())/took.Seconds(),
		took.Round(time.Microsecond), shape.Accumulate, shape.Batch, shape.Time)
	fmt.Fprintf(w, "memory  %s of tensors", units.Bytes(backend.Bytes(config, shape)))
	if measured > 0 {
		fmt.Fprintf(w, " (%s measured)", units.Bytes(measured))
	}
	if peak := peakMemory(); peak > 0 {
		fmt.Fprintf(w, ", the whole program %s at most", units.Bytes(peak))
	}
	fmt.Fprintln(w)
	if r.Size() > 1 { // the time of an operation that waits for others means nothing
		return nil
	}

	timed, timings, err := backend.TimedLearner(config, shape, train.InitialWeights(config, options.Seed))
	if err != nil {
		return err
	}
	defer timed.Release()
	took, steps, err := tokens.Measure(timed)
	if err != nil {
		return err
	}
	showOperations(w, timings(), device.MatrixWork(config, shape), steps, backend)
	fmt.Fprintf(w, "each operation was waited for: %v a step in this table\n", took.Round(time.Microsecond))
	return nil
}

func showOperations(w io.Writer, timings []train.Timing, work map[string]float64, steps int, b *device.Device) {
	var total time.Duration
	for _, t := range timings {
		total += t.Time
	}
	peak := 0.0
	if b.OnCPU {
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
