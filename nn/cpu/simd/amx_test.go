package simd

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// withoutAMX calls f as on a processor without AMX.
func withoutAMX(t testing.TB, f func()) {
	t.Helper()
	k := active.Load()
	dots, without := *k.dots, *k
	dots.amx, without.dots = nil, &dots
	active.Store(&without)
	defer active.Store(k)
	f()
}

// eachAMXMatrix runs the test at the level that has tiles, with matrices of each number of columns per group that tiles support.
func eachAMXMatrix(t *testing.T, test func(t *testing.T, m *grouped)) {
	t.Helper()
	if best := levels[len(levels)-1]; best.dots == nil || best.dots.amx == nil {
		t.Skip("untested: this machine has no AMX")
	}
	for _, group := range []int{0, 64, 128, 256, 2048} {
		for _, rows := range []int{16, 48, 331, 1040} {
			for _, cols := range []int{2048, 4096, 256, 640, 704} {
				if group > 0 && cols%group != 0 || rows*cols > 1<<21 || testing.Short() && rows*cols > 1<<18 {
					continue
				}
				m := randomGrouped(rows, cols, max(group, 64))
				if m.group = group; group == 0 {
					m.scales = nil
				} else {
					m.scales = m.scales[:rows*cols/group]
				}
				test(t, &m)
			}
		}
	}
}

// amxVectors are numbers of vectors: too few for tiles, one group that is not full or is, several.
var amxVectors = []int{1, 2, 3, 5, 10, 12, 16, 17, 33, 50}

// TestAMXIsExact: a product has the same bits with tiles as without.
func TestAMXIsExact(t *testing.T) {
	eachAMXMatrix(t, func(t *testing.T, m *grouped) {
		i := Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, false)
		if j := (dotJob{k: active.Load(), m: i, n: 3, planes: 3, part: 128}); !j.useAMX() {
			t.Fatal("three vectors are not multiplied by tiles")
		}
		for _, n := range amxVectors {
			x, want := random(n*m.cols, 5), make([]float32, n*m.rows)
			withoutAMX(t, func() { i.MatMul(want, x, n) })
			got := newGuarded(random(n*m.rows, 6))
			i.MatMul(got.inside, x, n)
			got.check(t, "MatMul by tiles")
			sameBits(t, m, n, got.inside, want)
		}
	})
}

func TestAMXIsExactForInt8(t *testing.T) {
	eachAMXMatrix(t, func(t *testing.T, m *grouped) {
		i := Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, true)
		for _, n := range amxVectors {
			q, scales, want := make([]int8, n*m.cols), make([]float32, n), make([]float32, n*m.rows)
			x := random(n*m.cols, 4)
			for v := range n {
				scales[v] = QuantizeI8(q[v*m.cols:(v+1)*m.cols], x[v*m.cols:(v+1)*m.cols])
			}
			withoutAMX(t, func() { i.MatMulI8(want, q, scales, n) })
			got := newGuarded(random(n*m.rows, 6))
			i.MatMulI8(got.inside, q, scales, n)
			got.check(t, "MatMulI8 by tiles")
			sameBits(t, m, n, got.inside, want)
		}
	})
}

// TestAMXSurvivesSignals: the collector stops goroutines with signals, over which the system must preserve tiles.
func TestAMXSurvivesSignals(t *testing.T) {
	m := randomGrouped(1024, 1024, 128)
	i := Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, false)
	if i == nil || !i.dots || active.Load().dots.amx == nil {
		t.Skip("untested: this machine has no AMX")
	}
	const n, products = 20, 400
	x, want := random(n*m.cols, 5), make([]float32, n*m.rows)
	i.MatMul(want, x, n)
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			got := make([]float32, len(want))
			for range products {
				i.MatMul(got, x, n)
				if !slices.Equal(got, want) {
					t.Error("another result while the collector runs")
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for {
		runtime.GC()
		select {
		case <-done:
			return
		default:
		}
	}
}

func sameBits(t *testing.T, m *grouped, n int, got, want []float32) {
	t.Helper()
	for at := range want {
		if math.Float32bits(got[at]) != math.Float32bits(want[at]) {
			t.Fatalf("%d×%d, groups of %d, %d vectors: y[%d,%d] is %v, want %v", m.rows, m.cols, m.group, n, at/m.rows, at%m.rows, got[at], want[at])
		}
	}
}

func TestAMXDoesNotAllocate(t *testing.T) {
	eachAMXMatrix(t, func(t *testing.T, m *grouped) {
		i := Interleave(m.codes, m.scales, m.group, m.rows, m.cols, false, false)
		x, y := random(20*m.cols, 1), make([]float32, 20*m.rows)
		noAllocations(t, "MatMul by tiles", func() { i.MatMul(y, x, 20) })
	})
}

// BenchmarkAMX times products by tiles and without in turn, and reports billions of products of weights a second of both.
func BenchmarkAMX(b *testing.B) {
	k := levels[len(levels)-1]
	if k.dots == nil || k.dots.amx == nil {
		b.Skip("untested: this machine has no AMX")
	}
	const rows, cols = 6144, 2560
	for _, kind := range []string{"float", "int8", "whole-int8"} { // the last without scales of groups
		for _, n := range []int{2, 3, 4, 5, 6, 8, 12, 16, 32, 128} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				m := randomGrouped(rows, cols, 128)
				if kind == "whole-int8" {
					m.group, m.scales = 0, nil
				}
				i := Interleave(m.codes, m.scales, m.group, rows, cols, true, kind != "float")
				x, y := random(n*cols, 1), make([]float32, n*rows)
				q, scales := randomInt8(n*cols, 1), divisors(n)
				product := func() { i.MatMulI8(y, q, scales, n) }
				if kind == "float" {
					product = func() { i.MatMul(y, x, n) }
				}
				var with, without time.Duration
				for b.Loop() {
					start := time.Now()
					product()
					with += time.Since(start)
					withoutAMX(b, func() { start = time.Now(); product(); without += time.Since(start) })
				}
				billions := float64(b.N) * rows * cols * float64(n) / 1e9
				b.ReportMetric(billions/with.Seconds(), "tiles-G/s")
				b.ReportMetric(billions/without.Seconds(), "dots-G/s")
				b.ReportMetric(without.Seconds()/with.Seconds(), "×")
			})
		}
	}
}
