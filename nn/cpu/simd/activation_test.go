package simd

import (
	"math"
	"testing"
)

// sweep goes from low to high in n steps.
func sweep(low, high float64, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(low + (high-low)*float64(i)/float64(n-1))
	}
	return x
}

func TestExpError(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := append(sweep(expLowest+0.01, expHighest-0.01, 200_001), sweep(-1, 1, 100_001)...)
		got := make([]float32, len(x))
		active.Load().expSum(got, x, 0)
		worst := 0.0
		for i, v := range x {
			want := math.Exp(float64(v))
			worst = max(worst, math.Abs(float64(got[i])-want)/want)
		}
		t.Logf("largest relative error 2^%.2f", math.Log2(worst))
		if !(worst < 0x1p-22) {
			t.Errorf("relative error %v, want below 2⁻²²", worst)
		}
	})
}

func TestExpExtremes(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachLevel(t, func(t *testing.T) {
		x := []float32{-inf, -math.MaxFloat32, -1000, -87.4, 0, 1000, math.MaxFloat32, inf}
		got := make([]float32, len(x))
		active.Load().expSum(got, x, 0)
		highest := float32(math.Exp(expHighest))
		near(t, "exp", got, []float32{0, 0, 0, 0, 1, highest, highest, highest}, 0, 1e-5)
		if math.IsInf(float64(got[7]), 0) {
			t.Error("exp overflows")
		}
		for _, n := range []int{1, 40} {
			withNaN := make([]float32, n)
			withNaN[n-1] = nan
			if sum := active.Load().expSum(nil, withNaN, 0); !math.IsNaN(sum) {
				t.Errorf("exp of NaN among %d: sum %v", n, sum)
			}
		}
	})
}

func TestActivationExtremes(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		x := []float32{-math.MaxFloat32, -1e4, -100, -20, 0, 20, 100, 1e4, math.MaxFloat32}
		y := make([]float32, len(x))
		Sigmoid(y, x)
		near(t, "Sigmoid", y, []float32{0, 0, 0, 2.0611536e-9, 0.5, 1, 1, 1, 1}, 1e-30, 1e-6)
		Silu(y, x)
		near(t, "Silu", y, []float32{0, 0, 0, -4.122307e-8, 0, 20, 100, 1e4, math.MaxFloat32}, 2, 1e-6)
		ones := sweep(1, 1, len(x))
		SiluBackward(y, ones, x)
		near(t, "SiluBackward", y, []float32{0, 0, 0, -3.9e-8, 0.5, 1, 1, 1, 1}, 2, 1e-6)
		for i, v := range y {
			if math.IsNaN(float64(v)) {
				t.Errorf("SiluBackward at %v is NaN", x[i])
			}
		}
	})
}

// TestSiluGradients compares the backward functions with central differences.
func TestSiluGradients(t *testing.T) {
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	eachLevel(t, func(t *testing.T) {
		const n, h = 37, 1e-5
		gate, up, dact := random(n, 1), random(n, 2), random(n, 3)
		dgate, dup, dx := make([]float32, n), make([]float32, n), make([]float32, n)
		SiluMulBackward(dgate, dup, dact, gate, up)
		SiluBackward(dx, dact, gate)
		for i := range n {
			g, u, d := float64(gate[i]), float64(up[i]), float64(dact[i])
			slope := (silu(g+h) - silu(g-h)) / (2 * h)
			near(t, "gradients", []float32{dgate[i], dup[i], dx[i]}, []float32{float32(d * u * slope), float32(d * silu(g)), float32(d * slope)}, 1e-6, 1e-5)
		}
	})
}

func TestSoftmaxCrossEntropy(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for _, n := range sizes[1:] {
			for _, spread := range []float32{0, 1, 30, 1000, 1e30} {
				logits, target := random(n, 5), n/2
				Scale(spread, logits)
				largest := float64(maximumScalar(logits))
				sum := 0.0
				for _, v := range logits {
					sum += math.Exp(float64(v) - largest)
				}
				wantLoss := math.Log(sum) + largest - float64(logits[target])
				want := make([]float32, n)
				for i, v := range logits {
					want[i] = float32(0.25 * math.Exp(float64(v)-largest) / sum)
				}
				want[target] -= 0.25

				got := newGuarded(make([]float32, n))
				loss := SoftmaxCrossEntropy(got.inside, logits, target, 0.25)
				if !(math.Abs(loss-wantLoss) <= 1e-6*(1+math.Abs(wantLoss))) {
					t.Fatalf("%d logits spread by %v: loss %v, want %v", n, spread, loss, wantLoss)
				}
				near(t, "dlogits", got.inside, want, 1e-7, 1e-6)
				got.check(t, "dlogits")
				if only := SoftmaxCrossEntropy(nil, logits, target, 0); only != loss {
					t.Fatalf("loss alone is %v, with gradients %v", only, loss)
				}
				SoftmaxCrossEntropy(logits, logits, target, 0.25)
				near(t, "in place", logits, got.inside, 0, 0)
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		Softmax(nil, nil)
		for _, n := range sizes[1:] {
			x := random(n, 6)
			sum, want := 0.0, make([]float32, n)
			for _, v := range x {
				sum += math.Exp(float64(v))
			}
			for i, v := range x {
				want[i] = float32(math.Exp(float64(v)) / sum)
			}
			Softmax(x, x)
			near(t, "Softmax", x, want, 0, 1e-6)
		}
	})
}

func TestRMSNorm(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		if RMSNorm(nil, nil, nil, 1e-5) != 0 {
			t.Error("RMSNorm of nothing is not 0")
		}
		RMSNormBackward(nil, nil, nil, nil, nil, 0)
		for _, n := range sizes[1:] {
			x, gain, dy := random(n, 7), random(n, 8), random(n, 9)
			norm := func(x []float64) []float64 {
				squares, y := 0.0, make([]float64, n)
				for _, v := range x {
					squares += v * v
				}
				for i, v := range x {
					y[i] = v / math.Sqrt(squares/float64(n)+1e-5) * float64(gain[i])
				}
				return y
			}
			wide := make([]float64, n)
			for i, v := range x {
				wide[i] = float64(v)
			}
			want := make([]float32, n)
			for i, v := range norm(wide) {
				want[i] = float32(v)
			}
			y := make([]float32, n)
			rstd := RMSNorm(y, x, gain, 1e-5)
			near(t, "RMSNorm", y, want, 1e-6, 1e-5)

			// Central differences of Σ dy·y, on top of what the gradients held before.
			dx, dgain := random(n, 10), random(n, 11)
			wantX, wantGain := make([]float32, n), make([]float32, n)
			for i := range n {
				const h = 1e-5
				change := 0.0
				for _, side := range []float64{1, -1} {
					moved := append([]float64(nil), wide...)
					moved[i] += side * h
					for j, v := range norm(moved) {
						change += side * v * float64(dy[j])
					}
				}
				wantX[i] = dx[i] + float32(change/(2*h))
				wantGain[i] = dgain[i] + float32(float64(dy[i])*wide[i]*float64(rstd))
			}
			RMSNormBackward(dx, dgain, dy, x, gain, rstd)
			near(t, "dx", dx, wantX, 1e-5, 1e-5)
			near(t, "dgain", dgain, wantGain, 1e-6, 1e-5)
		}
	})
}

// TestAdamW does three steps and compares them with the definition in float64.
func TestAdamW(t *testing.T) {
	const lr, beta1, beta2, eps, decay, gscale = 1e-2, 0.9, 0.999, 1e-8, 0.01, 0.5
	eachLevel(t, func(t *testing.T) {
		const n = 35
		w, m, v := random(n, 1), make([]float32, n), make([]float32, n)
		wide, first, second := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range w {
			wide[i] = float64(w[i])
		}
		for step := 1; step <= 3; step++ {
			g := random(n, uint64(step))
			g[5] = 0
			c1, c2 := 1-math.Pow(beta1, float64(step)), 1-math.Pow(beta2, float64(step))
			AdamW(w, g, m, v, lr, beta1, beta2, eps, decay, float32(c1), float32(c2), gscale)
			for i := range n {
				grad := gscale * float64(g[i])
				first[i] = beta1*first[i] + (1-beta1)*grad
				second[i] = beta2*second[i] + (1-beta2)*grad*grad
				wide[i] -= lr*decay*wide[i] + lr*(first[i]/c1)/(math.Sqrt(second[i]/c2)+eps)
				near(t, "w", w[i:i+1], []float32{float32(wide[i])}, 1e-6, 2e-6)
			}
		}
	})
}
