package optest

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// Quantizing checks that the codes and γ of a float32 backend are those of every other, to the bit: γ = max(mean|w|, 1e-5), summed
// without rounding and then rounded to the nearest float32, and codes by |w| ≥ γ/2. The weights lie at thresholds, and their sums
// would be different in another order or with fewer bits.
func Quantizing[T any](t *testing.T, ops op.Executor[T]) {
	for _, c := range quantizing() {
		t.Run(c.name, func(t *testing.T) {
			x, q := ops.Load(c.w), ops.NewTernary(c.w.Shape[0], c.w.Shape[1], len(c.want.Scales), true)
			defer ops.Release(x, q)
			p, err := ops.Prepare(op.Program[T]{&op.Quantize[T]{Q: q, W: x}})
			check(t, err)
			defer p.Release()
			p.Run()
			got, err := ops.DownloadTernary(q)
			check(t, err)
			same(t, "the backend", got, c.want)
			same(t, "PackTernary", op.PackTernary(c.w, len(c.want.Scales), true), c.want)
		})
	}
}

// quantized holds weights, and the results that quantising must give.
type quantized struct {
	name    string
	w, want op.HostTensor
}

var quantizing = sync.OnceValue(func() (all []quantized) {
	for _, m := range []matrix{
		{1, 1, 1, true}, {1, 4, 1, true}, {5, 3, 1, false}, {3, 37, 3, true}, {27, 36, 3, true}, {33, 1091, 3, true}, {1, 70_001, 1, true},
		{66_000, 3, 2, true}, {100, 1024, 1, true},
	} {
		for _, name := range slices.Sorted(maps.Keys(hard)) {
			c := quantized{name: fmt.Sprintf("%v/%s", m, name)}
			c.w = op.HostTensor{Format: op.F32, Shape: []int{m.R, m.K}, F32: make([]float32, m.R*m.K)}
			c.want.Codes = make([]byte, m.R*ternary.RowBytes(m.K))
			each := len(c.w.F32) / m.blocks
			for b := range m.blocks {
				block := c.w.F32[b*each : (b+1)*each]
				hard[name](block, rand.New(rand.NewPCG(uint64(b), uint64(each))))
				c.want.Scales = append(c.want.Scales, exactGamma(block))
			}
			for r := range m.R {
				packed := c.want.Codes[r*ternary.RowBytes(m.K) : (r+1)*ternary.RowBytes(m.K)]
				for k := range 4 * len(packed) {
					q := 0
					if k < m.K {
						q = sided(c.w.F32[r*m.K+k], c.want.Scales[r*m.blocks/m.R])
					}
					ternary.Set(packed, k, q)
				}
			}
			all = append(all, c)
		}
	}
	return all
})

func same(t *testing.T, who string, got, want op.HostTensor) {
	t.Helper()
	for b := range want.Scales {
		if math.Float32bits(got.Scales[b]) != math.Float32bits(want.Scales[b]) {
			t.Errorf("%s: block %d: γ %x, want %x", who, b, got.Scales[b], want.Scales[b])
		}
	}
	for g, bits := range want.GroupScales {
		if got.GroupScales[g] != bits {
			t.Errorf("%s: group %d: scale %v, want %v", who, g, float16.Frombits(got.GroupScales[g]), float16.Frombits(bits))
			break
		}
	}
	if !bytes.Equal(got.Codes, want.Codes) {
		t.Errorf("%s: got other codes", who)
	}
}

// exactGamma computes γ with rational numbers.
func exactGamma(w []float32) float32 {
	sum := new(big.Float).SetPrec(400)
	for _, x := range w {
		sum.Add(sum, new(big.Float).SetFloat64(math.Abs(float64(x))))
	}
	total, _ := sum.Rat(nil)
	gamma, _ := total.Quo(total, big.NewRat(int64(len(w)), 1)).Float32()
	return max(gamma, ternary.MinGamma)
}

// sided returns w's ternary weight, without a division.
func sided(w, gamma float32) int {
	switch {
	case w >= gamma/2:
		return 1
	case w <= -gamma/2:
		return -1
	}
	return 0
}

// hard lists functions that fill a block with weights.
var hard = map[string]func(w []float32, r *rand.Rand){
	"thresholds": func(w []float32, r *rand.Rand) {
		for i := range w {
			w[i] = float32(0.02 * r.NormFloat64())
		}
		// A quarter of the weights is moved to γ/2, until γ no longer changes.
		for range 6 {
			half := exactGamma(w) / 2
			near := []float32{half, -half, math.Nextafter32(half, 0), -math.Nextafter32(half, 0), math.Nextafter32(half, 1)}
			for i := 0; i < len(w); i += 4 {
				w[i] = near[i/4%len(near)]
			}
		}
	},
	"orders": func(w []float32, r *rand.Rand) { // magnitudes that no float64 holds together
		for i := range w {
			w[i] = float32(math.Ldexp(r.NormFloat64(), r.IntN(140)-139))
		}
	},
	"ties": func(w []float32, r *rand.Rand) { // a mean between two floats, and a trifle that decides
		const low = 0.25
		high := math.Nextafter32(low, 1)
		for i := range w {
			w[i] = []float32{low, -high}[i%2]
		}
		if len(w) >= 4 {
			copy(w, []float32{math.SmallestNonzeroFloat32, high, high, 2 * low})
		}
	},
	"full digits": func(w []float32, r *rand.Rand) { // sums of 16 bits at a time overflow 32
		for i := range w {
			w[i] = math.Float32frombits(97<<23 | 0x7fffff)
		}
	},
	"large":     func(w []float32, r *rand.Rand) { fill(w, math.MaxFloat32) },
	"denormals": func(w []float32, r *rand.Rand) { fill(w, math.SmallestNonzeroFloat32) },
	"zeros":     func(w []float32, r *rand.Rand) {},
}

func fill(w []float32, x float32) {
	for i := range w {
		w[i] = x
	}
}
