package train_test

import (
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/train"
)

// The gradient of a table that is both embedding and head is the sum of the gradients that two equal tables have, and the other
// gradients are the same.
func TestTiedHead(t *testing.T) {
	tied := nn.Config{Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 16, WeightScale: nn.ScaleAbsmean, TiedHead: true}.WithDefaults()
	two := tied
	two.TiedHead = false
	w := train.InitialWeights(tied, 3)
	both := append(slices.Clone(*w), *w.Embed())
	onEach(t, func(t *testing.T, b backend) {
		s := train.Shape{Batch: 2, Time: 16, Accumulate: 2}
		tokens := randomBatch(s.OwnTokens(), tied.Vocab)
		one, other := b.learner(t, tied, s, w), b.learner(t, two, s, &both)
		got, want := take(t, one, 0, tokens), take(t, other, 0, tokens)
		if got.Loss != want.Loss {
			t.Errorf("got the loss %v, want %v", got.Loss, want.Loss)
		}
		sum := *gradients(t, other)
		for i, x := range sum.Head(two).F32 {
			sum.Embed().F32[i] += x
		}
		sum = sum[:len(sum)-1]
		compare(t, tied, "gradient", gradients(t, one), &sum, 1e-6)
	})
}
