package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"bitgpu/nn/cpu/hugepages"
	"bitgpu/nn/cpu/parallel"
)

// sizes are vector lengths around the register widths.
var sizes = []int{0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 36, 63, 64, 65, 100, 127, 144, 300, 1000}

// eachLevel runs the test at every level; those that the machine lacks are listed as skipped.
func eachLevel(t *testing.T, test func(t *testing.T)) {
	for _, l := range Known() {
		t.Run(l.String(), func(t *testing.T) {
			if !slices.Contains(Levels(), l) {
				t.Skipf("untested: this machine has %v", Levels())
			}
			setLevel(t, l)
			test(t)
		})
	}
}

func setLevel(t testing.TB, l Level) {
	t.Helper()
	before := Active()
	if err := Use(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Use(before) })
}

func setWorkers(t testing.TB, n int) {
	parallel.SetWorkers(n)
	t.Cleanup(func() { parallel.SetWorkers(0) })
}

func random(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	x := hugepages.Make[float32](n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// integers are whole numbers from −limit to limit.
func integers(n, limit int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.IntN(2*limit+1) - limit)
	}
	return x
}

// guarded is a slice of n elements between others that must not change.
type guarded struct {
	whole, inside []float32
}

const guard = 12345.678

func newGuarded(inside []float32) guarded {
	const margin = 20
	whole := make([]float32, len(inside)+2*margin)
	for i := range whole {
		whole[i] = guard
	}
	g := guarded{whole, whole[margin : margin+len(inside) : margin+len(inside)]}
	copy(g.inside, inside)
	return g
}

func (g guarded) check(t *testing.T, what string) {
	t.Helper()
	margin := (len(g.whole) - len(g.inside)) / 2
	for i, v := range g.whole {
		if v != guard && (i < margin || i >= margin+len(g.inside)) {
			t.Fatalf("%s: element %d of %d was written", what, i-margin, len(g.inside))
		}
	}
}

// near fails unless |got−want| ≤ abs + rel·|want| everywhere.
func near(t *testing.T, what string, got, want []float32, abs, rel float64) {
	t.Helper()
	for i := range want {
		g, w := float64(got[i]), float64(want[i])
		if !(math.Abs(g-w) <= abs+rel*math.Abs(w)) && got[i] != want[i] {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

func noAllocations(t *testing.T, what string, f func()) {
	t.Helper()
	f()
	if n := testing.AllocsPerRun(20, f); n != 0 {
		t.Errorf("%s: %v allocations a call, want 0", what, n)
	}
}

func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestUse(t *testing.T) {
	if err := Use(Level(99)); err == nil {
		t.Error("an unknown level was accepted")
	}
	if got, want := Active(), Levels()[len(Levels())-1]; got != want {
		t.Errorf("level %v in use, want the best, %v", got, want)
	}
	if s := fmt.Sprint(Portable, AVX2, AVXVNNI, AVX512, NEON, DotProd, Level(8)); s != "portable AVX2 AVX2 with VNNI AVX-512 NEON NEON with dot products Level(8)" {
		t.Error(s)
	}
}
