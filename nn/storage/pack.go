package storage

import (
	"fmt"
	"math"

	"bitgpu/io/safetensors"
	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// pieceBytes bounds the float copy of F16, BF16 or unaligned weights while they are quantised.
const pieceBytes = 1 << 20

// pieces visits a float tensor (rows, cols) as float32: the whole tensor where memory already holds it so, otherwise a few
// rows at a time.
func pieces(t safetensors.Tensor, rows, cols int, visit func(row, n int, w []float32) error) error {
	if v, ok := t.FloatView(); ok {
		return visit(0, rows, v)
	}
	step := max(pieceBytes/(4*cols), 1)
	stride := cols * t.DType.Size()
	for r := 0; r < rows; r += step {
		n := min(step, rows-r)
		part := t
		part.Data = t.Data[r*stride : (r+n)*stride]
		v, err := part.Float32s()
		if err != nil {
			return err
		}
		if err := visit(r, n, v); err != nil {
			return err
		}
	}
	return nil
}

// quantize packs a float tensor (rows, cols) into codes and returns its γ, bit for bit that of [ternary.Gamma].
func quantize(codes []byte, t safetensors.Tensor, rows, cols int) (gamma float32, err error) {
	var sum ternary.Sum
	err = pieces(t, rows, cols, func(row, _ int, w []float32) error {
		if simd.AddMagnitudes(&sum, w); !sum.Finite() {
			return notFinite(t, row*cols+op.FirstNotFinite(w))
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	gamma = sum.Gamma(rows * cols)
	stride := ternary.RowBytes(cols)
	err = pieces(t, rows, cols, func(row, n int, w []float32) error {
		simd.TernaryQuantize(codes[row*stride:(row+n)*stride], w, n, cols, gamma)
		return nil
	})
	return gamma, err
}

// pack returns the packed form of a float tensor, and its scale.
func pack(t safetensors.Tensor) (codes, scale safetensors.Tensor, err error) {
	rows, cols := t.Shape[0], t.Shape[1]
	data := make([]byte, rows*ternary.RowBytes(cols))
	gamma, err := quantize(data, t, rows, cols)
	codes = safetensors.FromUint8s(t.Name, []int{rows, ternary.RowBytes(cols)}, data)
	return codes, scaleTensor(t.Name, []float32{gamma}), err
}

func scaleTensor(name string, scales []float32) safetensors.Tensor {
	return safetensors.FromFloat32s(name+scaleSuffix, []int{len(scales)}, scales)
}

// unpack makes float weights W from a packed block such that quantising them gives the same Q and, bit for bit, the same γ.
// γ·Q would not do: its mean magnitude is γ times the share of weights that are not zero. So those k of n weights become ±v
// with v = γ·n/k, rounded down, and what the rounding left of γ·n is spread over the weights that are zero, each far below
// γ/2.
func unpack(name string, h op.HostTensor) (safetensors.Tensor, error) {
	rows, cols := h.Shape[0], h.Shape[1]
	w := make([]float32, rows*cols)
	simd.TernaryDecode(w, h.Codes, rows, cols)
	k := 0
	for _, q := range w {
		if q != 0 {
			k++
		}
	}
	n, gamma := float64(len(w)), float64(h.Scales[0])
	var v, rest float32
	if k > 0 {
		v = float32(gamma * n / float64(k))
		if float64(v) > gamma*n/float64(k) {
			v = math.Nextafter32(v, 0)
		}
		if math.IsInf(float64(v), 0) {
			return safetensors.Tensor{}, fmt.Errorf("%s: %w", name, errTooLarge)
		}
		if k < len(w) {
			rest = float32((gamma*n - float64(k)*float64(v)) / float64(len(w)-k))
		}
	}
	for i, q := range w {
		if q == 0 {
			w[i] = rest
		} else {
			w[i] = q * v
		}
	}
	return safetensors.FromFloat32s(name, h.Shape, w), nil
}
