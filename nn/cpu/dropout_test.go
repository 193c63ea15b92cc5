package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"bitgpu/nn/op"
)

// TestDropoutIsTheReference: the engine drops the same elements as the reference, to the bit, for any rate and size.
func TestDropoutIsTheReference(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	x := op.HostTensor{Format: op.F32, Shape: []int{3*4096 + 5}, F32: make([]float32, 3*4096+5)}
	for i := range x.F32 {
		x.F32[i] = float32(random.NormFloat64())
	}
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat32} {
		for at := i; at < len(x.F32); at += 97 {
			x.F32[at] = float32(v)
		}
	}
	reference, engine := NewScalar[float32](), New()
	for _, rate := range []float32{0, 1e-9, 1.0 / (1 << 24), 0.1, 0.3, 0.5, 1 - 1.0/(1<<24)} {
		for _, site := range []uint32{0, 7, math.MaxUint32} {
			want, got := reference.Load(x), engine.Load(x)
			seed := reference.New(op.U32, 1)
			reference.WriteTokens(seed, 0, []uint32{random.Uint32()})
			o := op.Dropout[*Tensor[float32]]{X: want, Seed: seed, Site: site, Rate: rate}
			reference.dropout(&o)
			o.X = got
			engine.dropout(&o)
			for i := range want.Data {
				if w, g := want.Data[i], got.Data[i]; math.Float32bits(w) != math.Float32bits(g) {
					t.Fatalf("rate %v, site %d: number %d: got %v, want %v", rate, site, i, g, w)
				}
			}
		}
	}
}
