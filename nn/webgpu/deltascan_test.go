package webgpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/op"
)

// decodeDelta reads a few tokens of B sequences, one at a time, and returns everything written and the dispatches per
// token.
func decodeDelta(t *testing.T, storage int, workgroup uint32, B, D, h, c int) (map[string][]float32, int) {
	o := New(gputest.Device(t))
	defer o.Close()
	o.storage, o.workgroup = storage, workgroup
	r, d := rand.New(rand.NewPCG(3, 4)), h*c
	normal := func(shape ...int) *Tensor {
		v := make([]float32, op.Count(shape))
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return o.Load(op.HostTensor{Format: op.F32, Shape: shape, F32: v})
	}
	w, bias, conv, gain := normal(h, D), normal(h), normal(3, d, op.ConvTaps), normal(c)
	written := map[string]*Tensor{
		"β": o.New(op.F32, B, h), "out": o.New(op.F32, B, d), "state": normal(B, h, c, c), "tail": normal(B, 3, op.ConvTail, d),
		"kqv": o.New(op.F32, B, 3*d), "read": o.New(op.F32, B, d),
	}
	const tokens = 6
	before := o.dev.Stats().Dispatches
	for range tokens {
		x, u := normal(B, D), normal(B, 3*d)
		run(t, o,
			&op.StepSize[*Tensor]{Beta: written["β"], X: x, W: w, Bias: bias},
			&op.DeltaScan[*Tensor]{
				O: written["out"], U: u, Beta: written["β"], Conv: conv, Gain: gain, State: written["state"], Tail: written["tail"],
				KQV: written["kqv"], Answers: written["read"], Chunk: 16,
			},
		)
	}
	all := map[string][]float32{}
	for name, x := range written {
		all[name] = make([]float32, op.Count(x.shape))
		if err := o.Download(x, 0, all[name]); err != nil {
			t.Fatal(err)
		}
	}
	return all, (o.dev.Stats().Dispatches - before) / tokens
}

// TestDeltaDecode compares step, convolution and rule in one dispatch, for devices that can bind 13 buffers, and in two, for those
// that can bind 10, with those in three, for the 8 buffers that WebGPU guarantees, which the cases compare with the reference.
func TestDeltaDecode(t *testing.T) {
	limit := int(gputest.Device(t).Limits().MaxStorageBuffersPerShaderStage)
	for _, s := range []struct{ B, D, h, c int }{{1, 36, 4, 9}, {3, 70, 2, 40}, {2, 9, 1, 1}, {1, 300, 2, 130}} {
		for _, workgroup := range []uint32{32, 64, 256} {
			if testing.Short() && workgroup != 64 {
				continue
			}
			want, three := decodeDelta(t, 8, workgroup, s.B, s.D, s.h, s.c)
			if three != 3 {
				t.Errorf("8 buffers: got %d dispatches, want 3", three)
			}
			for storage, dispatches := range map[int]int{10: 2, 13: 1} {
				if storage > limit {
					t.Logf("not with %d buffers: the adapter binds %d", storage, limit)
					continue
				}
				got, took := decodeDelta(t, storage, workgroup, s.B, s.D, s.h, s.c)
				if took != dispatches {
					t.Errorf("%d buffers: got %d dispatches, want %d", storage, took, dispatches)
				}
				for name, values := range want {
					for i, v := range values {
						if d := math.Abs(float64(got[name][i] - v)); !(d <= 1e-5+1e-5*math.Abs(float64(v))) {
							t.Errorf("%d buffers, %+v, workgroup %d: %s, element %d: got %v, want %v", storage, s, workgroup, name, i, got[name][i], v)
							break
						}
					}
				}
			}
		}
	}
}
