package train_test

import (
	"math"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/train"
	"bitgpu/nn/webgpu"
)

// TestOneSubmit: a step is one submit, and nothing is made anew for it.
func TestOneSubmit(t *testing.T) {
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		device := gputest.Device(t)
		ops := webgpu.New(device)
		defer ops.Close()
		c := nn.Config{Vocab: 32, Width: 32, Layers: 2, InnerLR: 0.1, Mixer: mixer}.WithDefaults()
		l, err := train.NewLearner(ops, c, train.Shape{Batch: 2, Time: 32, Accumulate: 2}, train.InitialWeights(c, 1))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		b := randomBatch(2*2*32, c.Vocab)
		round := func() (steps int) {
			for full := false; !full; steps++ {
				l.Step(1e-3, b.inputs, b.targets)
				_, full = l.Pending()
			}
			return steps
		}
		read := func() {
			if _, err := l.Results(); err != nil {
				t.Fatal(err)
			}
		}
		round()
		read()
		before := device.Stats()
		steps := round()
		after := device.Stats()
		read()
		if steps < 2 || after.Submits-before.Submits != steps {
			t.Errorf("%s: %d submits in %d steps", mixer, after.Submits-before.Submits, steps)
		}
		if after.Buffers != before.Buffers || after.BindGroups != before.BindGroups || after.Pipelines != before.Pipelines {
			t.Errorf("%s: made anew: %+v before, %+v after", mixer, before, after)
		}
	}
}

// TestBackendsAgree: over 50 steps the losses of all backends stay within 1 % of the reference's.
func TestBackendsAgree(t *testing.T) {
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		c := nn.Config{Vocab: 24, Width: 32, Layers: 2, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
		s := train.Shape{Batch: 2, Time: 32, Accumulate: 1, Decay: 0.01}
		word := make([]uint32, 2*32+1)
		for i := range word {
			word[i] = uint32(i*i%11 + i%3)
		}
		losses := map[string][]float32{}
		for _, b := range backends {
			t.Run(mixer+"/"+b.name, func(t *testing.T) {
				l := b.learner(t, c, s, train.InitialWeights(c, 5))
				for range 50 {
					losses[b.name] = append(losses[b.name], take(t, l, 3e-3, batchOf(word)).Loss)
				}
				want := losses[backends[0].name]
				for i, loss := range losses[b.name][:30] { // roundings grow from step to step
					if math.Abs(float64(loss-want[i])) > 0.01*float64(want[i]) {
						t.Fatalf("step %d: loss %v on %s, %v on %s", i, want[i], backends[0].name, loss, b.name)
					}
				}
				if last := want[len(want)-1]; last > want[0]/2 {
					t.Errorf("the loss fell from %v to %v only", want[0], last)
				}
			})
		}
	}
}
