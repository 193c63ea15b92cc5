package optest

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// grouped lists sizes (R, K) of matrices, and how many inputs share a scale.
var grouped = []struct{ R, K, group int }{
	{9, 32, 32}, {37, 96, 32}, {75, 160, 32}, {12, 192, 64}, {41, 320, 64}, {75, 384, 128}, {20, 512, 256}, {13, 192, 96}, {70, 1152, 128}, {21, 2176, 32},
}

// linearFormats returns the cases of products with matrices in the formats of public models, and of inputs rounded to int8.
func linearFormats[T any]() []Case[T] {
	var cases []Case[T]
	for i, g := range grouped {
		for j, n := range []int{1, 2, 5, 33} {
			cases = append(cases, linearGroups[T](g.R, g.K, g.group, n, (i+j)%2 == 0))
		}
		cases = append(cases, normGroups[T](g.R, g.K, g.group, 1+i%3), normGroups[T](2*g.R, g.K, g.group, 70))
	}
	for _, format := range []op.Format{op.F32, op.F16, op.BF16} {
		for _, n := range []int{1, 3, 33} {
			cases = append(cases, linearFormat[T](format, 13, 36, n), linearFormat[T](format, 6, 1092, n))
		}
	}
	for _, format := range []op.Format{op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K} {
		cases = append(cases, linearFormat[T](format, 6, 1280, 2), linearFormat[T](format, 13, 1280, 50), quantsInt8[T](format, 21, 1280, 3))
	}
	for i, K := range []int{36, 100, 1088} {
		for j, n := range []int{1, 3, 33} {
			cases = append(cases, linearInt8[T](21, K, n, (i+j)%2 == 0), normInt8[T](21, K, n, (i+j)%2 == 0))
		}
	}
	return append(cases, int8Halves[T](1), int8Halves[T](4), int8Known[T](), int8Beyond[T](),
		large(linearGroups[T](2048, 2048, 128, 1, false), 2048*2048/4+2048*16*2), large(linearGroups[T](2048, 2048, 128, 256, false), 2048*2048/4+2048*16*2),
	)
}

// definition computes Y = r + x·wᵀ in float64.
func definition(r, x, w []float32, n, R, K int) []float32 {
	want := make([]float32, n*R)
	for i := range n {
		for j := range R {
			sum := 0.0
			for k := range K {
				sum += float64(x[i*K+k]) * float64(w[j*K+k])
			}
			want[i*R+j] = float32(float64(r[i*R+j]) + sum)
		}
	}
	return want
}

// linearGroups is exact: whole numbers, and scales that are multiples of a quarter.
func linearGroups[T any](R, K, group, n int, inPlace bool) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("groups/n%d/%dx%d/%d/inPlace=%v", n, R, K, group, inPlace), Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			x, r, w, y := b.Whole("x", 100, n, K), b.Whole("r", 1000, n, R), b.Groups("w", R, K, group), b.Stale("y", n, R)
			forward := op.Program[T]{&op.Linear[T]{Y: y, Addend: r, X: x, W: w}}
			if inPlace {
				forward = op.Program[T]{&op.Copy[T]{Dst: y, Src: r, N: n * R}, &op.Linear[T]{Y: y, Addend: y, X: x, W: w}}
			}
			return Trial[T]{
				Forward: b.program(forward...), Outputs: []string{"y"},
				Check: func(v Values) error {
					return exact.compare("y", v("y"), definition(b.Start("r"), b.Start("x"), b.Start("w"), n, R, K))
				},
			}
		},
	}
}

// normGroups is the first half of an MLP, which backends may fuse.
func normGroups[T any](R, K, group, n int) Case[T] {
	R += R % 2
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("norm/n%d/%dx%d/groups%d", n, R, K, group), Tolerance: summing(K),
		Make: func(b *Bench[T]) Trial[T] {
			h, gain, w := b.Normal("h", 1, n, K), b.Near("gain", 0.1, 0.03, K), b.Groups("w", R, K, group)
			x, y, a, plain := b.Stale("x", n, K), b.Stale("y", n, R), b.Stale("a", n, R/2), b.Stale("plain", n, R)
			norm := &op.RMSNorm[T]{X: x, H: h, Gain: gain, Eps: 1e-3}
			return Trial[T]{
				Forward: b.program(
					norm, &op.Linear[T]{Y: plain, X: x, W: w},
					norm, &op.Linear[T]{Y: y, X: x, W: w}, &op.SwiGLU[T]{A: a, GateUp: y},
				),
				Outputs: []string{"x", "y", "a", "plain"},
			}
		},
	}
}

func linearFormat[T any](format op.Format, R, K, n int) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("format/%v/n%d/%dx%d", format, n, R, K), Tolerance: wider,
		Make: func(b *Bench[T]) Trial[T] {
			h, gain, w, r := b.Normal("h", 1, n, K), b.Near("gain", 0.3, 0.1, K), b.Table("w", format, R, K), b.Normal("r", 1, n, R)
			x, y, z := b.Stale("x", n, K), b.Stale("y", n, R), b.Stale("z", n, R)
			return Trial[T]{
				Forward: b.program(
					&op.RMSNorm[T]{X: x, H: h, Gain: gain, Eps: 1e-6}, &op.Linear[T]{Y: y, X: x, W: w},
					&op.Linear[T]{Y: z, Addend: r, X: h, W: w},
				),
				Outputs: []string{"x", "y", "z"},
				Check: func(v Values) error {
					return wider.compare("z", v("z"), definition(b.Start("r"), b.Start("h"), b.Start("w"), n, R, K))
				},
			}
		},
	}
}

// stepped makes rows (n, K) of numbers well within the steps of their int8.
func (b *Bench[T]) stepped(name string, n, K int) T {
	r, values := b.random(name), make([]float32, n*K)
	for i := range n {
		step := math.Exp(r.NormFloat64()) / 50
		for k := range K {
			values[i*K+k] = float32(step * (float64(r.IntN(253)-126) + 0.6*r.Float64() - 0.3))
		}
		values[i*K+r.IntN(K)] = float32(127 * step)
	}
	return b.Floats(name, values, n, K)
}

func linearInt8[T any](R, K, n int, groups bool) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("int8/n%d/%dx%d/groups=%v", n, R, K, groups && K%32 == 0), Tolerance: wider,
		Make: func(b *Bench[T]) Trial[T] {
			x, r, y := b.stepped("x", n, K), b.Normal("r", 1, n, R), b.Stale("y", n, R)
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: y, Addend: r, X: x, W: b.int8Weights(R, K, groups), Int8: true}),
				Outputs: []string{"y"},
			}
		},
	}
}

func (b *Bench[T]) int8Weights(R, K int, groups bool) T {
	if groups && K%32 == 0 {
		return b.Groups("w", R, K, 32)
	}
	return b.Ternary("w", R, K, 1, true)
}

// quantsInt8 is a matrix that is not ternary in a model whose inputs are rounded.
func quantsInt8[T any](format op.Format, R, K, n int) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("int8/%v/n%d/%dx%d", format, n, R, K), Tolerance: wider,
		Make: func(b *Bench[T]) Trial[T] {
			x, r, y := b.stepped("x", n, K), b.Normal("r", 1, n, R), b.Stale("y", n, R)
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: y, Addend: r, X: x, W: b.Table("w", format, R, K), Int8: true}), Outputs: []string{"y"},
			}
		},
	}
}

// normInt8 rounds the output of a norm, in place or not.
func normInt8[T any](R, K, n int, inPlace bool) Case[T] {
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("int8/norm/n%d/%dx%d/inPlace=%v", n, R, K, inPlace), Tolerance: wider,
		Make: func(b *Bench[T]) Trial[T] {
			h, gain, y := b.stepped("h", n, K), b.All("gain", 0.5, K), b.Stale("y", n, R)
			x := h
			t := Trial[T]{Outputs: []string{"y", "h"}}
			if !inPlace {
				x = b.Stale("x", n, K)
				t.Outputs[1] = "x"
			}
			t.Forward = b.program(
				&op.RMSNorm[T]{X: x, H: h, Gain: gain, Eps: 1e-5}, &op.Linear[T]{Y: y, X: x, W: b.int8Weights(R, K, false), Int8: true},
			)
			return t
		},
	}
}

// int8Halves has numbers exactly halfway between steps, where the last bit of 127/peak decides; the reference computes it in
// float32, too.
func int8Halves[T any](n int) Case[T] {
	const K = 120
	return Case[T]{
		Op: "linear", Name: fmt.Sprintf("int8/halves/n%d", n), Tolerance: wider, // far less than a step
		Make: func(b *Bench[T]) Trial[T] {
			r, rows, identity := b.random("x"), make([]float32, n*K), make([]float32, K*K)
			for i := range n {
				peak := float32(1 + 3*r.Float64())
				t := 127 / peak
				row := rows[i*K : (i+1)*K]
				for k := range row {
					row[k] = float32((float64(k) + 0.5) / float64(t))
					switch k % 3 {
					case 1:
						row[k] = math.Nextafter32(row[k], 0)
					case 2:
						row[k] = -math.Nextafter32(row[k], peak)
					}
				}
				row[K-1] = -peak
			}
			for k := range K {
				identity[k*K+k] = 1
			}
			x, w, y := b.Floats("x", rows, n, K), b.Packed("w", identity, []float32{1}, K, K, false), b.Stale("y", n, K)
			return Trial[T]{Forward: b.program(&op.Linear[T]{Y: y, X: x, W: w, Int8: true}), Outputs: []string{"y"}}
		},
	}
}

// int8Known has a step of 1, a row of zeros, and one below the least peak.
func int8Known[T any]() Case[T] {
	return Case[T]{
		Op: "linear", Name: "int8/known", Tolerance: Tolerance{1e-12, 1e-6, "one rounding"},
		Make: func(b *Bench[T]) Trial[T] {
			x := b.Floats("x", []float32{127, 0.5, 1.5, -2.5, 0, 0, 0, 0, 1e-7, -1e-6, 0, 5e-6}, 3, 4)
			w := b.Packed("w", []float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, []float32{1}, 4, 4, false)
			y := b.Stale("y", 3, 4)
			const step = 1e-5 / 127
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: y, X: x, W: w, Int8: true}), Outputs: []string{"y"},
				Want: map[string][]float32{"y": {127, 0, 2, -2, 0, 0, 0, 0, step, -13 * step, 0, 64 * step}},
			}
		},
	}
}

// int8Beyond: numbers that are not finite stay so.
func int8Beyond[T any]() Case[T] {
	return Case[T]{
		Op: "linear", Name: "int8/beyond", Tolerance: exact,
		Make: func(b *Bench[T]) Trial[T] {
			x := b.Floats("x", []float32{1, float32(math.Inf(1)), 1, 1, 1, 2, float32(math.NaN()), 3}, 2, 4)
			w, y := b.Ternary("w", 4, 4, 1, true), b.Stale("y", 2, 4)
			return Trial[T]{
				Forward: b.program(&op.Linear[T]{Y: y, X: x, W: w, Int8: true}),
				Check: func(Values) error {
					v := make([]float32, 8)
					if err := b.Ops.Download(y, 0, v); err != nil {
						return err
					}
					if op.FirstNotFinite(v[:4]) < 0 || op.FirstNotFinite(v[4:]) < 0 {
						return fmt.Errorf("got %v in each row, want numbers that are not finite", v)
					}
					return nil
				},
			}
		},
	}
}
