package train_test

import (
	"fmt"
	"testing"
	"time"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// BenchmarkStep takes training steps of 16 × 128 tokens: their speed, the memory of all tensors,
// and the share of each operation that takes more than one percent.
func BenchmarkStep(b *testing.B) {
	b.Run("cpu", func(b *testing.B) { benchmarkSteps(b, cpu.New(), train.WallClock) })
	b.Run("webgpu", func(b *testing.B) {
		device := gputest.Device(b)
		if device.Info().Type == gpu.CPU {
			b.Skip("a software adapter takes minutes; BITGPU_ADAPTER names another")
		}
		ops := webgpu.New(device)
		defer ops.Close()
		benchmarkSteps[*webgpu.Tensor](b, ops, device.Time)
	})
}

func benchmarkSteps[T any](b *testing.B, ops op.Executor[T], clock train.Clock) {
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		for _, layers := range []int{4, 8} {
			b.Run(fmt.Sprintf("%s/256x%d", mixer, layers), func(b *testing.B) {
				c := nn.Config{Vocab: 8000, Width: 256, Layers: layers, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
				s := train.Shape{Batch: 16, Time: 128, Accumulate: 1}
				weights := train.InitialWeights(c, 1)
				steps := randomBatch(s.TokensPerStep(), c.Vocab)
				run := func(ops op.Executor[T], count func(step func()) int) (time.Duration, int) {
					l, err := train.NewLearner(ops, c, s, weights)
					if err != nil {
						b.Fatal(err)
					}
					defer l.Release()
					read := func() {
						if _, err := l.Results(); err != nil {
							b.Fatal(err)
						}
					}
					step := func() {
						l.Step(0, steps.inputs, steps.targets)
						if _, full := l.Pending(); full {
							read()
						}
					}
					step()
					read()
					start := time.Now()
					n := count(step)
					read()
					return time.Since(start), n
				}
				took, n := run(ops, func(step func()) int {
					n := 0
					for b.Loop() {
						step()
						n++
					}
					return n
				})
				timed := train.NewTimed(ops, clock)
				run(timed, func(step func()) int { step(); return 1 })
				b.ReportMetric(float64(n*s.TokensPerStep())/took.Seconds(), "tokens/s")
				b.ReportMetric(float64(train.DeviceBytes(c, s))/1e6, "MB")
				var total time.Duration
				for _, t := range timed.Timings() {
					total += t.Time
				}
				for _, t := range timed.Timings() {
					if share := 100 * t.Time.Seconds() / total.Seconds(); share > 1 {
						b.ReportMetric(share, "%"+t.Name)
					}
				}
			})
		}
	}
}
