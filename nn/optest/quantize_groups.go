package optest

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"

	"github.com/x448/float16"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// QuantizingGroups is [Quantizing] with a scale for each group: the float16 nearest to the mean of the magnitudes that are at least
// half of the largest, with no other rounding of their sum and quotient.
func QuantizingGroups[T any](t *testing.T, ops op.Executor[T]) {
	for _, c := range quantizingGroups() {
		t.Run(c.name, func(t *testing.T) {
			x, q := ops.Load(c.w), ops.NewGroups(c.w.Shape[0], c.w.Shape[1], c.want.Group)
			defer ops.Release(x, q)
			p, err := ops.Prepare(op.Program[T]{&op.Quantize[T]{Q: q, W: x}})
			check(t, err)
			defer p.Release()
			p.Run()
			got, err := ops.DownloadTernary(q)
			check(t, err)
			same(t, "the backend", got, c.want)
			same(t, "PackGroups", op.PackGroups(c.w, c.want.Group), c.want)
		})
	}
}

var quantizingGroups = sync.OnceValue(func() (all []quantized) {
	fillers := map[string]func(w []float32, r *rand.Rand){
		"anything": func(w []float32, r *rand.Rand) { // of all magnitudes that float16 has, and some more
			scale := r.IntN(60) - 40
			for i := range w {
				w[i] = float32(math.Ldexp(r.NormFloat64(), scale))
			}
		},
		"halfway": func(w []float32, r *rand.Rand) { // between two numbers of float16, or a trifle off
			low := math.Ldexp(float64(1024+r.IntN(1024)), r.IntN(36)-30)
			if r.IntN(3) == 0 {
				low = math.Ldexp(float64(1+r.IntN(1023)), -24)
			}
			h := float16.Fromfloat32(float32(low))
			middle := float32((float64(h.Float32()) + float64((h + 1).Float32())) / 2)
			fill(w, middle)
			w[0], w[1] = math.Nextafter32(middle, 0), -math.Nextafter32(middle, math.MaxFloat32)
			w[2] = []float32{middle, w[0], -w[1]}[r.IntN(3)]
		},
		"odd halves": func(w []float32, r *rand.Rand) { // magnitudes whose half is none
			for i := range w {
				w[i] = math.Float32frombits(uint32(r.IntN(8)) | uint32(r.IntN(2))<<31)
			}
		},
		"infinite": func(w []float32, r *rand.Rand) {
			fill(w, math.MaxFloat32)
			w[3], w[7] = float32(math.Inf(1)), float32(math.Inf(-1))
		},
		"NaN": func(w []float32, r *rand.Rand) { fill(w, 1); w[5] = float32(math.NaN()) },
	}
	for name, f := range hard {
		fillers[name] = f
	}
	for _, group := range []int{32, 96, 128, 1024} {
		for _, name := range slices.Sorted(maps.Keys(fillers)) {
			const rows, each = 40, 3
			cols := group * each
			c := quantized{name: fmt.Sprintf("%d/%s", group, name), w: op.HostTensor{Format: op.F32, Shape: []int{rows, cols}, F32: make([]float32, rows*cols)}}
			c.want = op.HostTensor{Group: group, Codes: make([]byte, rows*ternary.RowBytes(cols))}
			for g := range rows * each {
				w := c.w.F32[g*group : (g+1)*group]
				fillers[name](w, rand.New(rand.NewPCG(uint64(g), uint64(group))))
				row := c.want.Codes[g/each*ternary.RowBytes(cols):][:ternary.RowBytes(cols)]
				c.want.GroupScales = append(c.want.GroupScales, exactGroup(row, g%each*group, w))
			}
			all = append(all, c)
		}
	}
	return all
})

// exactGroup computes the codes of a group and returns its scale, with rational numbers.
func exactGroup(row []byte, first int, w []float32) uint16 {
	largest := 0.0
	for _, x := range w {
		largest = max(largest, math.Abs(float64(x)))
	}
	sum, n := new(big.Rat), int64(0)
	for i, x := range w {
		q := 0
		if size := math.Abs(float64(x)); size > 0 && size >= largest/2 {
			if n++; size <= math.MaxFloat32 {
				sum.Add(sum, new(big.Rat).SetFloat64(size))
			}
			if q = 1; x < 0 {
				q = -1
			}
		}
		ternary.Set(row, first+i, q)
	}
	const infinity, nan = 0x7c00, 0x7e01
	switch {
	case math.IsNaN(largest):
		return nan
	case math.IsInf(largest, 0):
		return infinity
	}
	mean := sum.Quo(sum, big.NewRat(max(n, 1), 1))
	value := func(h int) *big.Rat {
		if h == infinity {
			return big.NewRat(65536, 1)
		}
		return new(big.Rat).SetFloat64(float64(float16.Frombits(uint16(h)).Float32()))
	}
	above := sort.Search(infinity, func(h int) bool { return value(h).Cmp(mean) > 0 })
	below := above - 1
	if above == infinity && value(infinity).Cmp(mean) <= 0 {
		return infinity
	}
	middle := new(big.Rat).Add(value(below), value(above))
	switch middle.Quo(middle, big.NewRat(2, 1)).Cmp(mean) {
	case -1:
		return uint16(above)
	case 1:
		return uint16(below)
	}
	return uint16(below + below&1)
}
