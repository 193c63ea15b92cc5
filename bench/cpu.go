package bench

import (
	"fmt"
	"runtime"
	"time"

	"bitgpu/internal/units"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/freemem"
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
	const need = 280 << 20 // of what is read, far larger than the caches
	if free := freemem.Free(); free > 0 && free < need {
		return f, fmt.Errorf("measuring how fast memory is read takes %s of it, and %s are free", units.Bytes(need), units.Bytes(free))
	}
	var bandwidth, flops []float64
	for range repeats {
		bandwidth = append(bandwidth, simd.MeasureReadBandwidth())
		runtime.GC() // otherwise the memory that was read here exists twice in the next round
		flops = append(flops, simd.MeasurePeakFMA())
	}
	f.Bandwidth, f.FLOPS = newSample(bandwidth), newSample(flops)
	return f, nil
}
