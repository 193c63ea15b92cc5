package train_test

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/op"
	"bitgpu/nn/train"

	"github.com/google/go-cmp/cmp"
)

// together calls a function for each of n ranks at once.
func together(n int, do func(g train.Group) error) error {
	groups, end := train.InProcess(n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for r, g := range groups {
		all.Go(func() {
			if errs[r] = do(g); errs[r] != nil {
				end()
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// shardedSteps takes steps with n ranks and gives, of each rank, all parts of its training and the results.
func shardedSteps(t *testing.T, c nn.Config, s train.Shape, backend, n, steps int) (parts [][]*nn.Weights[op.HostTensor], results [][]train.Result) {
	t.Helper()
	parts, results = make([][]*nn.Weights[op.HostTensor], n), make([][]train.Result, n)
	b := randomBatch(steps*s.TokensPerStep(), c.Vocab)
	engines := make([]train.Trainer, n)
	groups, end := train.InProcess(n)
	for r := range n {
		s.Group = groups[r]
		engines[r] = backends[backend].learner(t, c, s, train.InitialWeights(c, 5))
	}
	var all sync.WaitGroup
	for r, e := range engines {
		all.Go(func() {
			fail := func(err error) {
				t.Errorf("rank %d: %v", r, err)
				end()
			}
			own := s.TokensPerStep() / n
			for k := range steps {
				at := k*s.TokensPerStep() + r*own
				e.Step(1e-2, b.inputs[at:at+own], b.targets[at:at+own])
				found, err := e.Results()
				if err != nil {
					fail(err)
					return
				}
				results[r] = append(results[r], found...)
			}
			for _, part := range []train.Part{train.Masters, train.FirstMoments, train.SecondMoments} {
				w, err := e.Download(part)
				if err != nil {
					fail(err)
					return
				}
				parts[r] = append(parts[r], clone(e.Config(), w))
			}
		})
	}
	all.Wait()
	return parts, results
}

// sameParts compares to the bit.
func sameParts(t *testing.T, want, found []*nn.Weights[op.HostTensor]) {
	t.Helper()
	for part := range want {
		for i, w := range *want[part] {
			if at := slices.IndexFunc((*found[part])[i].F32, func(x float32) bool { return x != x }); at >= 0 {
				t.Fatalf("part %d, tensor %d: NaN at %d", part, i, at)
			}
			if !slices.Equal(w.F32, (*found[part])[i].F32) {
				t.Fatalf("part %d, tensor %d differs", part, i)
			}
		}
	}
}

// TestAnyNumberOfRanks: weights, moments, losses and norms are the same to the bit on 1, 2, 4 and 8 ranks, on all of them,
// with the optimizer sharded and not, in both formats of the gradient, whatever else a step does.
func TestAnyNumberOfRanks(t *testing.T) {
	tied := nn.Config{Vocab: 24, Width: 16, Layers: 2, InnerLR: 0.1, Mixer: nn.MixerTied}.WithDefaults()
	delta := nn.Config{Vocab: 24, Width: 16, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 8, WeightScale: nn.ScaleAbsmean}.WithDefaults()
	one := delta
	one.TiedHead = true
	shape := train.Shape{Batch: 8, Time: 8, Accumulate: 2, Shards: 8, WeightDecay: 0.01, Clip: 0.5, Dropout: 0.1, Seed: 7}
	for b, backend := range backends {
		if backend.name == "scalar" {
			continue // sums know nothing of it
		}
		ranks := []int{1, 2, 4, 8}
		if backend.name == "webgpu" {
			ranks = ranks[:1] // the binding is for one goroutine; the test under MPI has more
		}
		for name, c := range map[string]nn.Config{"tied": tied, "delta": delta, "tied head": one} {
			for _, gradient := range []string{train.GradientF32, train.GradientBF16} {
				s := shape
				s.Gradient, s.Recompute = gradient, name == "delta"
				want, wantResults := shardedSteps(t, c, s, b, 1, 3)
				for _, n := range ranks {
					for _, s.ShardOptimizer = range []bool{false, true} {
						t.Run(fmt.Sprint(backend.name, "/", name, "/", gradient, "/", n, "/", s.ShardOptimizer), func(t *testing.T) {
							parts, results := shardedSteps(t, c, s, b, n, 3)
							for r := range n {
								if d := cmp.Diff(wantResults[0], results[r]); d != "" {
									t.Errorf("rank %d: %s", r, d)
								}
								sameParts(t, want[0], parts[r])
							}
						})
					}
				}
			}
		}
	}
}

// TestOneShardIsTheWholeStep: a step of one shard is the step without any. The gradient of a table that is embedding and head is
// not summed before both have given theirs.
func TestOneShardIsTheWholeStep(t *testing.T) {
	c := nn.Config{Vocab: 24, Width: 16, Layers: 2, Mixer: nn.MixerDelta, MemoryWidth: 8}.WithDefaults()
	s := train.Shape{Batch: 4, Time: 8, Accumulate: 2, WeightDecay: 0.01}
	for i := range 2 * len(backends) {
		b := i / 2
		backend := backends[b]
		c.TiedHead = i%2 == 1
		want, wantResults := shardedSteps(t, c, s, b, 1, 3)
		s.Shards = 1
		found, results := shardedSteps(t, c, s, b, 1, 3)
		s.Shards = 0
		sameParts(t, want[0], found[0])
		for i, r := range results[0] {
			if w := wantResults[0][i]; r.Loss != w.Loss || math.Abs(float64(r.GradNorm-w.GradNorm)) > 1e-5*float64(w.GradNorm) {
				t.Errorf("%s: got %+v, want %+v", backend.name, r, w)
			}
		}
	}
}

// TestShardsAreTheBatch: more shards give the gradient of the same batch, but for rounding.
func TestShardsAreTheBatch(t *testing.T) {
	c := nn.Config{Vocab: 24, Width: 16, Layers: 1, InnerLR: 0.1, Mixer: nn.MixerTied}.WithDefaults()
	s := train.Shape{Batch: 8, Time: 8, Accumulate: 1}
	_, want := shardedSteps(t, c, s, 1, 1, 1)
	s.Shards = 8
	_, found := shardedSteps(t, c, s, 1, 2, 1)
	for _, x := range [][2]float32{{want[0][0].Loss, found[0][0].Loss}, {want[0][0].GradNorm, found[0][0].GradNorm}} {
		if math.Abs(float64(x[0]-x[1])) > 1e-5*float64(x[0]) {
			t.Errorf("got %v, want %v", x[1], x[0])
		}
	}
}

// TestThreadsDoNotChangeSums: ranks of different hosts have different numbers of threads.
func TestThreadsDoNotChangeSums(t *testing.T) {
	defer parallel.SetWorkers(0)
	c := nn.Config{Vocab: 600, Width: 64, Layers: 1, InnerLR: 0.1, Mixer: nn.MixerTied}.WithDefaults()
	s := train.Shape{Batch: 2, Time: 32, Accumulate: 1, Shards: 2}
	var parts [2][][]*nn.Weights[op.HostTensor]
	for i, n := range []int{1, 5} {
		parts[i] = nil
		parallel.SetWorkers(n)
		parts[i], _ = shardedSteps(t, c, s, 1, 1, 2)
	}
	sameParts(t, parts[0][0], parts[1][0])
}

// TestGroups: what ranks tell each other, on every number of them.
func TestGroups(t *testing.T) {
	for n := 1; n <= 8; n *= 2 {
		err := together(n, func(g train.Group) error {
			for who := range n {
				if yes, err := train.Any(g, g.Rank() == who); !yes || err != nil {
					return fmt.Errorf("rank %d heard %v of rank %d, %w", g.Rank(), yes, who, err)
				}
			}
			if yes, err := train.Any(g, false); yes || err != nil {
				return fmt.Errorf("rank %d heard %v of nobody, %w", g.Rank(), yes, err)
			}
			var said []byte
			if g.Rank() == 0 {
				said = []byte("the same")
			}
			texts, err := train.GatherText(g, fmt.Sprint("rank ", g.Rank()))
			if err != nil {
				return err
			}
			for r, text := range texts {
				if text != fmt.Sprint("rank ", r) {
					return fmt.Errorf("rank %d: got %q of rank %d", g.Rank(), text, r)
				}
			}
			heard, err := train.Broadcast(g, said)
			if err == nil && string(heard) != "the same" {
				err = fmt.Errorf("rank %d heard %q", g.Rank(), heard)
			}
			return err
		})
		if err != nil {
			t.Errorf("%d ranks: %v", n, err)
		}
	}
}

// TestLostRank: the others do not wait for a rank that is no more.
func TestLostRank(t *testing.T) {
	c := nn.Config{Vocab: 24, Width: 16, Layers: 1, InnerLR: 0.1, Mixer: nn.MixerTied}.WithDefaults()
	s := train.Shape{Batch: 4, Time: 8, Accumulate: 1, Shards: 4}
	groups, end := train.InProcess(2)
	s.Group = groups[0]
	e := backends[1].learner(t, c, s, train.InitialWeights(c, 5))
	b := randomBatch(s.OwnTokens(), c.Vocab)
	end()
	e.Step(1e-2, b.inputs, b.targets)
	if _, full := e.Pending(); !full {
		t.Error("the next step must need the results read")
	}
	if _, err := e.Results(); err == nil {
		t.Error("want an error")
	}
}

// TestRanksRefused: numbers of ranks that shards cannot be dealt to.
func TestRanksRefused(t *testing.T) {
	for ranks := 1; ranks <= 20; ranks++ {
		want := ranks == 1 || bits.OnesCount(uint(ranks)) == 1 && ranks <= 8
		if err := train.CheckGroup(ranks, 8); (err == nil) != want {
			t.Errorf("%d ranks: %v", ranks, err)
		}
	}
	c := nn.Config{Vocab: 24, Width: 16, Layers: 1, InnerLR: 0.1, Mixer: nn.MixerTied}.WithDefaults()
	groups, _ := train.InProcess(2)
	for _, s := range []train.Shape{
		{Batch: 4, Time: 8, Accumulate: 1, Group: groups[0]},
		{Batch: 4, Time: 8, Accumulate: 1, Shards: 1, Group: groups[0]},
		{Batch: 4, Time: 8, Accumulate: 1, ShardOptimizer: true},
	} {
		if e, err := train.NewLearner(cpu.New(), c, s, train.InitialWeights(c, 5)); err == nil {
			e.Release()
			t.Errorf("%+v: want an error", s)
		}
	}
}
