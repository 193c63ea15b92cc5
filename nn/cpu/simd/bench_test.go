package simd

import (
	"fmt"
	"sync"
	"testing"
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

// perSecond is a rate of the benchmark that does this much a round.
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

// BenchmarkMatMul reports, beside the weights a second, how many times more they are
// than a float32 product could stream from memory.
func BenchmarkMatMul(b *testing.B) {
	for i, op := range multiplications {
		bytes := []float64{4, 2, 1, 0.25}[i]
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
}

func BenchmarkVectors(b *testing.B) {
	const n = 4096
	x, y, z, u, v := random(n, 1), random(n, 2), random(n, 3), make([]float32, n), make([]float32, n)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"Dot", func() { Dot(x, y) }},
		{"Axpy", func() { Axpy(1e-9, x, u) }},
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
