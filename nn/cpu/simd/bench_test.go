package simd

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"bitgpu/nn/ternary"
)

// peaks are measured once a level, in the run that reports shares of them.
var peaks sync.Map

type peak struct{ flops, bandwidth float64 }

func peakOf(l Level) peak {
	if p, ok := peaks.Load(l); ok {
		return p.(peak)
	}
	p := peak{MeasurePeakFMA(), MeasureReadBandwidth()}
	peaks.Store(l, p)
	return p
}

// eachBenchLevel runs a benchmark at every level of the machine.
func eachBenchLevel(b *testing.B, name string, bench func(b *testing.B, p peak)) {
	for _, l := range Levels() {
		b.Run(fmt.Sprintf("%v/%s", l, name), func(b *testing.B) {
			setLevel(b, l)
			p := peakOf(l)
			b.ResetTimer()
			bench(b, p)
		})
	}
}

// perSecond reports a rate of the benchmark, given how much it does per iteration.
func perSecond(b *testing.B, amount float64) float64 {
	return amount * float64(b.N) / b.Elapsed().Seconds()
}

func BenchmarkPeak(b *testing.B) {
	eachBenchLevel(b, "", func(b *testing.B, p peak) {
		for b.Loop() {
		}
		b.ReportMetric(p.flops/1e9, "GFLOP/s")
		b.ReportMetric(p.bandwidth/1e9, "GB/s")
	})
}

func BenchmarkGemm(b *testing.B) {
	for _, p := range []product{
		{2048, 1024, 256, false, true, 1, 0},
		{2048, 256, 1024, false, true, 1, 0},
		{2048, 256, 1024, false, false, 1, 0},
		{1024, 256, 2048, true, false, 1, 1},
		{2048, 4096, 256, false, true, 1, 0},
		{128, 64, 256, false, true, 1, 0},
		{64, 64, 256, false, true, 1, 0},
		{16, 256, 256, false, true, 1, 0},
		{64, 64, 64, false, false, 1, 0},
		{64, 64, 64, false, true, 1, 0},
		{64, 64, 64, true, false, 1, 1},
		{1, 64, 32, false, false, -1, 1},
	} {
		form := map[bool]string{false: "N", true: "T"}
		name := fmt.Sprintf("%dx%dx%d/%s%s", p.m, p.n, p.k, form[p.transA], form[p.transB])
		x, y, c, lda, ldb, ldc := p.operands(0)
		eachBenchLevel(b, name, func(b *testing.B, top peak) {
			for b.Loop() {
				Gemm(p.m, p.n, p.k, p.alpha, x, lda, p.transA, y, ldb, p.transB, p.beta, c, ldc)
			}
			rate := perSecond(b, 2*float64(p.m*p.n*p.k))
			b.ReportMetric(rate/1e9, "GFLOP/s")
			b.ReportMetric(100*rate/top.flops, "%peak")
		})
	}
}

// BenchmarkMatMul reports the weights per second, and how many times as many they are
// as a float32 product could stream from memory.
func BenchmarkMatMul(b *testing.B) {
	for i, op := range multiplications {
		bytes := []float64{4, 2, 2, 1, 0.25}[i]
		for _, s := range []struct{ rows, cols, n int }{{1024, 256, 1}, {256, 1024, 1}, {256, 64, 1}, {16384, 256, 1}, {4096, 4096, 1}, {1024, 256, 8}} {
			m := randomMatrix(s.rows, s.cols)
			x, y := random(s.n*s.cols, 1), make([]float32, s.n*s.rows)
			eachBenchLevel(b, fmt.Sprintf("%s/%dx%d/%d", op.name, s.rows, s.cols, s.n), func(b *testing.B, top peak) {
				for b.Loop() {
					op.run(&m, y, x, s.n)
				}
				rate := perSecond(b, float64(s.rows*s.cols*s.n))
				b.ReportMetric(rate/1e9, "Gweights/s")
				b.ReportMetric(rate/float64(s.n)*bytes/1e9, "GB/s")
				b.ReportMetric(rate/(top.bandwidth/4), "×float-stream")
			})
		}
	}
}

// BenchmarkPublic times the products for public ternary models in turn, at the best level, so that other
// work on the machine affects all of them alike. It reports the medians of each one's speed as a multiple
// of the first one's, TernaryMatMul, and of its rate of reading weights as a share of the memory bandwidth.
func BenchmarkPublic(b *testing.B) {
	for _, shape := range []struct{ rows, cols int }{{2048, 6144}, {6144, 2048}} {
		for _, n := range []int{1, 2, 4, 8, 128} {
			b.Run(fmt.Sprintf("%v/%dx%d/%d", Active(), shape.rows, shape.cols, n), func(b *testing.B) {
				benchPublic(b, shape.rows, shape.cols, n)
			})
		}
	}
}

func benchPublic(b *testing.B, rows, cols, n int) {
	type timed struct {
		name  string
		run   func()
		times []time.Duration
	}
	m, m32 := randomGrouped(rows, cols, 128), randomGrouped(rows, cols, 32)
	x, y := random(n*cols, 1), make([]float32, n*rows)
	q, scales := randomInt8(n*cols, 1), divisors(n)
	products := []timed{
		{name: "float", run: func() { TernaryMatMul(y, m.codes, x, rows, cols, n) }},
		{name: "group128", run: func() { TernaryGroupMatMul(y, m.codes, m.scales, 128, x, rows, cols, n) }},
		{name: "group32", run: func() { TernaryGroupMatMul(y, m32.codes, m32.scales, 32, x, rows, cols, n) }},
		{name: "int8", run: func() { TernaryMatMulI8(y, m.codes, q, scales, rows, cols, n) }},
		{name: "int8group128", run: func() { TernaryGroupMatMulI8(y, m.codes, m.scales, 128, q, scales, rows, cols, n) }},
		{name: "int8group32", run: func() { TernaryGroupMatMulI8(y, m32.codes, m32.scales, 32, q, scales, rows, cols, n) }},
	}
	if l := Interleave(m.codes, m.scales, 128, rows, cols, false, false); l != nil {
		l32 := Interleave(m32.codes, m32.scales, 32, rows, cols, false, false)
		products = append(products,
			timed{name: "interleaved128", run: func() { l.MatMul(y, x, n) }},
			timed{name: "interleaved32", run: func() { l32.MatMul(y, x, n) }})
	}
	if l := Interleave(m.codes, m.scales, 128, rows, cols, false, true); l != nil {
		products = append(products, timed{name: "interleavedint8", run: func() { l.MatMulI8(y, q, scales, n) }})
	}
	if l := Interleave(m.codes, nil, 0, rows, cols, false, true); l != nil {
		products = append(products, timed{name: "interleavedint8whole", run: func() { l.MatMulI8(y, q, scales, n) }})
	}
	if n > 4 {
		products = append(products,
			timed{name: "gemm", run: func() { GemmTernary(n, rows, cols, 1, x, cols, false, m.codes, true, 0, y, rows) }},
			timed{name: "gemm128", run: func() { GemmTernaryGroup(n, rows, cols, x, cols, m.codes, m.scales, 128, 0, y, rows) }})
	}
	read := float64(len(m.codes)) / peakOf(Active()).bandwidth
	b.ResetTimer()
	for b.Loop() {
		for i := range products {
			start := time.Now()
			products[i].run()
			products[i].times = append(products[i].times, time.Since(start))
		}
	}
	first := 0.0
	for i, p := range products {
		slices.Sort(p.times)
		seconds := p.times[len(p.times)/2].Seconds()
		if i == 0 {
			first = seconds
		}
		b.ReportMetric(first/seconds, p.name+"/float")
		b.ReportMetric(100*read/seconds, p.name+"-%read")
	}
	b.ReportMetric(first*1e6, "float-µs")
}

func BenchmarkCodes(b *testing.B) {
	m := randomMatrix(1024, 1024)
	eachBenchLevel(b, "decode", func(b *testing.B, _ peak) {
		for b.Loop() {
			TernaryDecode(m.float, m.codes, m.rows, m.cols)
		}
		b.ReportMetric(perSecond(b, float64(len(m.float)))/1e9, "Gweights/s")
	})
	eachBenchLevel(b, "quantize", func(b *testing.B, _ peak) {
		for b.Loop() {
			TernaryQuantize(m.codes, m.float, m.rows, m.cols, 0.8)
		}
		b.ReportMetric(perSecond(b, float64(len(m.float)))/1e9, "Gweights/s")
	})
	eachBenchLevel(b, "magnitudes", func(b *testing.B, _ peak) {
		for b.Loop() {
			var sum ternary.Sum
			AddMagnitudes(&sum, m.float)
		}
		b.ReportMetric(perSecond(b, float64(len(m.float)))/1e9, "Gweights/s")
	})
}

func BenchmarkVectors(b *testing.B) {
	const n = 4096
	x, y, z, u, v := random(n, 1), random(n, 2), random(n, 3), make([]float32, n), make([]float32, n)
	h, q := randomHalves(n, 4), make([]int8, n)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"Dot", func() { Dot(x, y) }},
		{"Axpy", func() { Axpy(1e-9, x, u) }},
		{"DotF16", func() { dotF16(x, h) }},
		{"AxpyF16", func() { axpyF16(1e-9, h, u) }},
		{"Float16s", func() { Float16s(h, x) }},
		{"Float32s", func() { Float32s(v, h) }},
		{"QuantizeI8", func() { QuantizeI8(q, x) }},
		{"Max", func() { Max(x) }},
		{"SiluMul", func() { SiluMul(u, x, y) }},
		{"SiluMulBackward", func() { SiluMulBackward(u, v, x, y, z) }},
		{"SoftmaxCrossEntropy", func() { SoftmaxCrossEntropy(u, x, 7, 1) }},
		{"RMSNorm", func() { RMSNorm(u, x, y, 1e-5) }},
		{"RMSNormBackward", func() { RMSNormBackward(u, v, x, y, z, 1e-9) }},
		{"AdamW", func() { AdamW(u, x, v, z[:n], 0, 0.9, 0.999, 1e-8, 0, 1, 1, 1) }},
		{"Ger", func() { Ger(u, 1e-9, x[:64], y[:64]) }},
	} {
		eachBenchLevel(b, c.name, func(b *testing.B, _ peak) {
			for b.Loop() {
				c.run()
			}
			b.ReportMetric(perSecond(b, n)/1e9, "Gelements/s")
		})
	}
}
