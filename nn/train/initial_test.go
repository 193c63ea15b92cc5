package train_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// A table that is the head too begins as a head does, so that the first logits are as large as with two tables.
func TestTiedHeadBeginsAsAHead(t *testing.T) {
	c := nn.Config{Vocab: 500, Width: 64, Layers: 1, Mixer: nn.MixerDelta}.WithDefaults()
	deviation := func(w []float32) float64 {
		sum := 0.0
		for _, x := range w {
			sum += float64(x) * float64(x)
		}
		return math.Sqrt(sum / float64(len(w)))
	}
	want := deviation(train.InitialWeights(c, 1).Head(c).F32)
	c.TiedHead = true
	w := train.InitialWeights(c, 1)
	if got := deviation(w.Embed().F32); w.Head(c) != w.Embed() || math.Abs(got/want-1) > 0.02 {
		t.Errorf("got a deviation of %v, want %v", got, want)
	}
}

// The delta mixer begins with the query's projection equal to the key's, and with convolutions that pass the previous token for
// the key and the newest one for query and value.
func TestDeltaBeginsByLookingBack(t *testing.T) {
	c := nn.Config{Vocab: 32, Width: 64, Layers: 2, Mixer: nn.MixerDelta}.WithDefaults()
	found := 0
	nn.Walk(c, train.InitialWeights(c, 1), func(p nn.Param, h *op.HostTensor) {
		third := len(h.F32) / 3
		switch last := p.Names[len(p.Names)-1]; {
		case strings.HasSuffix(last, "ttt.value.weight"):
			found++
			key, query, value := h.F32[:third], h.F32[third:2*third], h.F32[2*third:]
			if !slices.Equal(key, query) || slices.Equal(key, value) {
				t.Errorf("%v: got another query than key, or value like key", p.Names)
			}
		case strings.HasSuffix(last, "ttt.conv_value.weight"):
			found++
			for i, name := range []string{"key", "query", "value"} {
				passes := op.ConvTaps - 1
				if name == "key" {
					passes--
				}
				for tap := range op.ConvTaps {
					want := 0.0
					if tap == passes {
						want = 1.5
					}
					for ch := tap; ch < third; ch += op.ConvTaps {
						if x := h.F32[i*third+ch]; math.Abs(float64(x)-want) > 0.1 {
							t.Errorf("%s, tap %d: got %v, want about %v", name, tap, x, want)
						}
					}
				}
			}
		}
	})
	if found != 2*c.Layers {
		t.Errorf("got %d projections and convolutions, want %d", found, 2*c.Layers)
	}
}
