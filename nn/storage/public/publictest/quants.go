package publictest

import (
	"fmt"
	"io"
	"math/rand/v2"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
)

// scaleAt gives the offsets of the upper bytes of a block's float16 scales.
var scaleAt = map[ggml.Type][]int{ggml.Q8_0: {1}, ggml.Q4_0: {1}, ggml.Q4_K: {1, 3}, ggml.Q6_K: {209}}

// Quants returns a matrix of Q8_0, Q4_0, Q4_K or Q6_K with random numbers and scales around 1/64. A large matrix repeats its
// blocks.
func Quants(r *rand.Rand, name string, typ ggml.Type, rows, cols int) gguf.Source {
	weights, each := typ.Layout().Block()
	blocks := rows * cols / weights
	piece := make([]byte, min(blocks, 4999)*each)
	for i := range piece {
		piece[i] = byte(r.Uint32())
	}
	for at := 0; at < len(piece); at += each {
		for _, i := range scaleAt[typ] {
			piece[at+i] = 0x24 | piece[at+i]&0x83
		}
	}
	return gguf.Source{Name: name, Type: typ, Shape: []int{rows, cols}, Write: func(w io.Writer) error {
		for left := blocks * each; left > 0; left -= min(left, len(piece)) {
			if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}}
}
