package nn_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/train"
)

// onRanks takes steps on n ranks and gives, of each, the losses, the weights and their moments.
func onRanks(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor], s train.Shape, n, steps int) (losses [][]float64, parts [][]nn.Weights[op.HostTensor]) {
	t.Helper()
	groups, end := train.InProcess(n)
	losses, parts = make([][]float64, n), make([][]nn.Weights[op.HostTensor], n)
	inputs, targets := configTokens(s.TokensPerStep(), c, 1), configTokens(s.TokensPerStep(), c, 2)
	var all sync.WaitGroup
	for r, g := range groups {
		s.Group = g
		l := trainer(t, cpu.New(), c, w, s)
		from, to := r*s.OwnTokens(), (r+1)*s.OwnTokens()
		all.Go(func() {
			err := func() error {
				for range steps {
					l.Step(5e-3, inputs[from:to], targets[from:to])
					found, err := l.Results()
					if err != nil {
						return err
					}
					losses[r] = append(losses[r], float64(found[0].Loss), float64(found[0].GradNorm))
				}
				for _, part := range []train.Part{train.Masters, train.FirstMoments, train.SecondMoments} {
					found, err := l.Download(part)
					if err != nil {
						return err
					}
					var kept nn.Weights[op.HostTensor]
					for _, h := range *found {
						h.F32 = slices.Clone(h.F32)
						kept = append(kept, h)
					}
					parts[r] = append(parts[r], kept)
				}
				return nil
			}()
			if err != nil {
				t.Errorf("rank %d: %v", r, err)
				end()
			}
		})
	}
	all.Wait()
	return losses, parts
}

// sameOnRanks holds 2 ranks, with the optimizer's state sharded and not, to one with the same shards, to the bit.
func sameOnRanks(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor], s train.Shape) (trained nn.Weights[op.HostTensor], losses []float64) {
	t.Helper()
	wantLosses, want := onRanks(t, c, w, s, 1, 3)
	for _, s.ShardOptimizer = range []bool{false, true} {
		losses, found := onRanks(t, c, w, s, 2, 3)
		for r := range found {
			if !slices.Equal(losses[r], wantLosses[0]) {
				t.Errorf("rank %d of 2: got the losses and norms %v, want %v", r, losses[r], wantLosses[0])
			}
			for part := range found[r] {
				for i, h := range found[r][part] {
					if !slices.Equal(h.F32, want[0][part][i].F32) {
						t.Fatalf("rank %d of 2, part %d: tensor %d differs", r, part, i)
					}
				}
			}
		}
	}
	return want[0][0], wantLosses[0]
}

// Masters of public models, and adapters inside their quantisers, are trained by several ranks to the same bits as by one. What has no
// gradient stays as it is, and the first loss is that of the same batch in one piece.
func TestMastersOnRanks(t *testing.T) {
	eachMasters(t, func(t *testing.T, c nn.Config, _, w *nn.Weights[op.HostTensor]) {
		s := train.Shape{Batch: 4, Time: 11, Accumulate: 1, Shards: 4, WeightDecay: 0.1, Clip: 0.5}
		trained, losses := sameOnRanks(t, c, w, s)
		for i, p := range nn.Params(c) {
			if same := slices.Equal(trained[i].F32, (*w)[i].F32); same != p.Fixed {
				t.Errorf("%s is what it was: %v, want %v", p.Names[0], same, p.Fixed)
			}
		}
		whole := s
		whole.Shards = 0
		inputs, targets := configTokens(s.TokensPerStep(), c, 1), configTokens(s.TokensPerStep(), c, 2)
		if want := stepLoss(t, trainer(t, cpu.New(), c, w, whole), 0, inputs, targets); !(math.Abs(losses[0]-want) <= 1e-4*want) {
			t.Errorf("the first loss of shards is %v, want %v", losses[0], want)
		}
		insideOnRanks(t, c, w, s)
	})
	t.Run("our own", func(t *testing.T) {
		c := nn.Config{Vocab: 40, Width: 32, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 24, Heads: 3}.WithDefaults()
		insideOnRanks(t, c, optest.RandomWeights(c, 3), train.Shape{Batch: 4, Time: 11, Accumulate: 2, Shards: 4})
	})
}

// insideOnRanks holds the training of an adapter inside the quantiser.
func insideOnRanks(t *testing.T, c nn.Config, w *nn.Weights[op.HostTensor], s train.Shape) {
	t.Helper()
	c.Adapter = stirred(train.NewAdapter(c, 2, 4, everywhere, 1), 3)
	c.Adapter.Inside = true
	learned, losses := sameOnRanks(t, c, w, s)
	for i, h := range learned {
		if slices.Equal(h.F32, c.Adapter.Weights[i].F32) {
			t.Errorf("tensor %d of the adapter is what it was", i)
		}
	}
	if s.Accumulate > 1 {
		return // its rows are others
	}
	s.Shards = 0
	inputs, targets := configTokens(s.TokensPerStep(), c, 1), configTokens(s.TokensPerStep(), c, 2)
	if want := stepLoss(t, trainer(t, cpu.New(), c, w, s), 0, inputs, targets); !(math.Abs(losses[0]-want) <= 1e-4*want) {
		t.Errorf("inside the quantiser, the first loss of shards is %v, want %v", losses[0], want)
	}
}
