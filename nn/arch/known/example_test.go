package known_test

import (
	"fmt"

	"bitgpu/nn/arch/known"
)

// What a model takes, before it is downloaded.
func Example() {
	for _, m := range known.Models() {
		if m.Family == "bitnet" && m.Listed {
			c := m.Config(m.Context)
			fmt.Printf("%s: %.1f GB of weights, %d bytes a token of context\n", m.Name, float64(c.WeightBytes(c.Packing()))/1e9, c.Decoder.CacheBytes(2))
		}
	}
	// Output: BitNet b1.58 2B4T: 1.2 GB of weights, 76800 bytes a token of context
}
