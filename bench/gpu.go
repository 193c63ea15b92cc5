package bench

import (
	"fmt"
	"runtime"

	"bitgpu/gpu"
	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// GPU is an engine on a WebGPU device; ops are the operations on it.
func GPU[T any](d *gpu.Device, ops op.Executor[T]) *Engine[T] {
	info := d.Info()
	clock := "wall"
	if info.Timestamps {
		clock = "device timestamps for operations, wall for models"
	}
	return &Engine[T]{
		Info: EngineInfo{
			Name:     "gpu",
			Device:   info.Name,
			Driver:   fmt.Sprintf("%s, %s", info.Backend, info.Driver),
			Hardware: info.Hardware(),
			Clock:    clock,
		},
		Ops:  ops,
		Time: d.Time,
		Counts: func() Counts {
			s := d.Stats()
			return Counts{Dispatches: s.Dispatches, Submits: s.Submits, Bytes: int64(d.BytesInUse())}
		},
		Floor: func(repeats int) (Floor, error) { return gpuFloor(d, repeats) },
		Cache: 64 << 20,
	}
}

// gpuFloor measures a device with the kernels made for it: a large copy, a long run of
// multiply-adds on registers, and many of the smallest dispatches, each waiting for the last.
func gpuFloor(d *gpu.Device, repeats int) (Floor, error) {
	f := Floor{Traffic: "copy"}
	var err error
	if f.Bandwidth, err = copyRate(d, repeats); err != nil {
		return f, fmt.Errorf("measuring the copy bandwidth: %w", err)
	}
	if f.FLOPS, err = fmaRate(d, repeats); err != nil {
		return f, fmt.Errorf("measuring the multiply-add rate: %w", err)
	}
	if f.Dispatch, err = dispatchTime(d, repeats); err != nil {
		return f, fmt.Errorf("measuring the time of a dispatch: %w", err)
	}
	return f, nil
}

// floorTime is roughly how long a repetition takes.
const floorTime = 40e6 // nanoseconds

func copyRate(d *gpu.Device, repeats int) (Sample, error) {
	const vec4 = 16
	size := min(128<<20, int(min(d.Limits().MaxStorageBufferBindingSize, d.Limits().MaxBufferSize)))
	src, dst := d.NewBuffer("bench copy source", size), d.NewBuffer("bench copy target", size)
	defer src.Release()
	defer dst.Release()
	n := size / vec4
	params := wgsl.CopyParams{N: uint32(n)}
	groups := int(wgsl.Copy.Consts["WORKGROUP"])
	x, y := gpu.Grid((n + groups - 1) / groups)
	p := d.Pipeline(wgsl.Copy, nil)
	seconds, err := repeated(d.Time, repeats, floorTime, func() {
		d.Dispatch(p, gpu.Params(&params), []gpu.Binding{src.All(), dst.All()}, x, y, 1)
	})
	if err != nil {
		return Sample{}, err
	}
	return seconds.per(2 * float64(size)), nil
}

func fmaRate(d *gpu.Device, repeats int) (Sample, error) {
	workgroup, groups := int(wgsl.FMA.Consts["WORKGROUP"]), 4096
	if !d.Info().Hardware() {
		groups = 16 * runtime.NumCPU()
	}
	params := wgsl.FMAParams{Iterations: 512, Scale: 0.5, Shift: 1}
	sums := d.NewBuffer("bench sums", 4*groups*workgroup)
	defer sums.Release()
	p := d.Pipeline(wgsl.FMA, nil)
	seconds, err := repeated(d.Time, repeats, floorTime, func() {
		d.Dispatch(p, gpu.Params(&params), []gpu.Binding{sums.All()}, uint32(groups), 1, 1)
	})
	if err != nil {
		return Sample{}, err
	}
	return seconds.per(2 * float64(wgsl.FMAPerIteration) * float64(params.Iterations) * float64(groups*workgroup)), nil
}

func dispatchTime(d *gpu.Device, repeats int) (Sample, error) {
	a, b := d.NewBuffer("bench small a", 16), d.NewBuffer("bench small b", 16)
	defer a.Release()
	defer b.Release()
	params := wgsl.CopyParams{N: 1}
	p := d.Pipeline(wgsl.Copy, nil)
	return repeated(d.Time, repeats, floorTime, func() {
		d.Dispatch(p, gpu.Params(&params), []gpu.Binding{a.All(), b.All()}, 1, 1, 1)
		a, b = b, a
	})
}
