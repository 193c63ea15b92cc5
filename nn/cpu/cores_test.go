package cpu_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/op"
)

// scans returns the scans of both mixers, forward and backward, over some sequences.
type scans struct {
	ops             *cpu.Ops
	written, change []*cpu.Tensor[float32] // change: moved on, or added to
	run             func()
}

func newScans(B, T, h, c int, scan op.Scan) *scans {
	s := &scans{ops: cpu.New()}
	r := rand.New(rand.NewPCG(1, 2))
	given := func(shape ...int) *cpu.Tensor[float32] {
		t := s.ops.New(op.F32, shape...)
		for i := range t.Data {
			t.Data[i] = float32(r.NormFloat64()) / 4
		}
		return t
	}
	room := func(shape ...int) *cpu.Tensor[float32] {
		t := s.ops.New(op.F32, shape...)
		s.written = append(s.written, t)
		return t
	}
	changed := func(shape ...int) *cpu.Tensor[float32] {
		t := room(shape...)
		s.change = append(s.change, t)
		return t
	}
	n, d, chunks := B*T, h*c, (T+scan.Chunk-1)/scan.Chunk
	u, b, conv, gain, do := given(n, 3*d), given(n, h), given(3, d, op.ConvTaps), given(c), given(n, d)
	o, kqv, read, starts := room(n, d), room(n, 3*d), room(n, d), room(B, chunks, h, c, c)
	state, tail := changed(B, h, c, c), changed(B, 3, op.ConvTail, d)
	du, db, dconv, dgain := room(n, 3*d), room(n, h), changed(3, d, op.ConvTaps), changed(c)

	f, dz := given(n, c), given(n, c)
	z, df, tiedStarts, tied := room(n, c), room(n, c), room(B, chunks, 1, c, c), changed(B, 1, c, c)
	type tensor = *cpu.Tensor[float32]
	program, err := s.ops.Prepare(op.Program[tensor]{
		&op.DeltaScan[tensor]{
			O: o, U: u, Beta: b, Conv: conv, Gain: gain, State: state, Tail: tail, KQV: kqv, Answers: read, Starts: starts, Chunk: scan.Chunk,
		},
		&op.DeltaScanBackward[tensor]{
			DU: du, DBeta: db, DConv: dconv, DGain: dgain, DO: do, U: u, Beta: b, Conv: conv, Gain: gain, KQV: kqv, Answers: read,
			Starts: starts, Chunk: scan.Chunk,
		},
		&op.TiedScan[tensor]{Z: z, F: f, State: tied, Starts: tiedStarts, Scan: scan},
		&op.TiedScanBackward[tensor]{DF: df, DZ: dz, F: f, Starts: tiedStarts, Scan: scan},
	})
	if err != nil {
		panic(err)
	}
	s.run = func() {
		for _, t := range s.change {
			clear(t.Data)
		}
		program.Run()
	}
	return s
}

func TestScansAreIndependentOfCores(t *testing.T) {
	t.Cleanup(func() { parallel.SetWorkers(0) })
	var first []*cpu.Tensor[float32]
	for _, workers := range []int{1, 2, 3, 8} {
		parallel.SetWorkers(workers)
		s := newScans(3, 70, 2, 24, op.Scan{Chunk: 16, Rate: 0.5})
		s.run()
		if first == nil {
			first = s.written
		}
		for i, x := range s.written {
			if !slices.Equal(x.Data, first[i].Data) {
				t.Errorf("tensor %d is another with %d cores", i, workers)
			}
		}
	}
}

func TestScansAllocateNothing(t *testing.T) {
	for _, scan := range []op.Scan{{Chunk: 16, Rate: 0.5}, {Chunk: 32, Rate: 0.01, Minibatch: true}} {
		s := newScans(2, 37, 2, 24, scan)
		for range 50 { // each core's scratch has to grow once, and on a busy machine a core may come to nothing at first
			s.run()
		}
		if n := testing.AllocsPerRun(5, s.run); n > 0 {
			t.Errorf("%+v: %v allocations", scan, n)
		}
	}
}
