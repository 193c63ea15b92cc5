package optest

import (
	"math"
	"math/rand/v2"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
)

func TestGradients(t *testing.T) { Gradients(t) }

// The gradient of a table that is both embedding and head is that of the whole model, by differences in float64, in rows that are
// read, rows that are only predicted, and rows that are neither.
func TestGradientOfATiedHead(t *testing.T) {
	for _, mixer := range nn.Mixers() {
		c := nn.Config{Vocab: 12, Width: 16, Layers: 2, InnerLR: 0.5, WeightScale: nn.ScaleAbsmean, Mixer: mixer, TiedHead: true}.WithDefaults()
		rows := [][]uint32{{1, 5, 1, 2, 9}, {3, 3, 2, 1, 5}}
		tape, err := newTape(cpu.NewScalar[float64](), &Reference{Config: c, Weights: RandomWeights(c, 1), Tokens: rows}, c.DefaultScan())
		check(t, err)
		loss := func() float64 {
			tape.gradients()
			return tape.loss.Data[0]
		}
		loss()
		gradient := append([]float64(nil), (*tape.dw.Embed()).Data...)
		table := (*tape.master.Embed()).Data
		largest := 0.0
		for _, g := range gradient {
			largest = max(largest, math.Abs(g))
		}
		r := rand.New(rand.NewPCG(1, 2))
		for id := range c.Vocab {
			i, h := id*c.Width+r.IntN(c.Width), 1e-4
			start := table[i]
			moved := func(by float64) float64 {
				table[i] = start + by
				defer func() { table[i] = start }()
				return loss()
			}
			want := (8*(moved(h)-moved(-h)) - (moved(2*h) - moved(-2*h))) / (12 * h)
			if !(math.Abs(gradient[i]-want) <= 1e-6*largest) {
				t.Errorf("%s: row %d: got %v, want %v by differences", mixer, id, gradient[i], want)
			}
		}
	}
}
