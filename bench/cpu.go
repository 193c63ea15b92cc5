package bench

import (
	"fmt"
	"time"

	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/cpu/simd"
)

// CPU is the engine on the processor.
func CPU() Target {
	ops := cpu.New()
	e := &Engine[*cpu.Tensor[float32]]{
		Info: EngineInfo{
			Name:     "cpu",
			Device:   fmt.Sprintf("%s, %d threads", processor(), parallel.Workers()),
			Driver:   simd.Instructions(),
			Hardware: true,
			Clock:    "wall",
		},
		Ops: ops,
		Time: func(record func()) (time.Duration, error) {
			start := time.Now()
			record()
			return time.Since(start), nil
		},
		Counts: func() Counts { return Counts{Bytes: int64(ops.BytesInUse())} },
		Floor:  cpuFloor,
		Rate:   simd.MeasureFMA,
		Cache:  32 << 20,
	}
	for _, l := range simd.Levels() {
		e.Variants = append(e.Variants, Variant{Name: l.String(), Use: func() error { return simd.Use(l) }})
	}
	return e
}

func cpuFloor(repeats int) (Floor, error) {
	f := Floor{Traffic: "read", Dispatch: newSample([]float64{0})}
	var bandwidth, flops []float64
	for range repeats {
		bandwidth = append(bandwidth, simd.MeasureReadBandwidth())
		flops = append(flops, simd.MeasurePeakFMA())
	}
	f.Bandwidth, f.FLOPS = newSample(bandwidth), newSample(flops)
	return f, nil
}
