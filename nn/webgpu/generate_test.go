package webgpu_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"bitgpu/gpu"
	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/webgpu"
)

// write makes a model write after a prompt. It returns the ids, B per step, and a session that can go on.
func write[T any](t *testing.T, ops op.Executor[T], r *optest.Reference, batch, limit int, p op.Sampling) ([]uint32, *nn.Session[T]) {
	t.Helper()
	m, err := nn.NewModel(ops, r.Config, r.Weights)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	s, err := m.NewSession(batch, r.Config.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Forward(r.Tokens[0][:12]); err != nil {
		t.Fatal(err)
	}
	return more(t, s, limit, p), s
}

func more[T any](t *testing.T, s *nn.Session[T], limit int, p op.Sampling) (ids []uint32) {
	t.Helper()
	err := s.Generate(limit, p, func(step []uint32) bool {
		ids = append(ids, step...)
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestSameText compares the text with that of the reference in float64, so that the reference's rounding decides nothing.
func TestSameText(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		for _, c := range []struct {
			name         string
			batch, limit int
			rule         op.Sampling
		}{
			{"greedy", 1, 300, op.Sampling{}},
			{"sampled", 3, 60, op.Sampling{Temperature: 0.9, TopK: 100, TopP: 0.95, MinP: 0.001, RepeatPenalty: 1.1, Seed: 12}},
		} {
			if testing.Short() {
				c.limit /= 6
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				want, _ := write(t, cpu.NewScalar[float64](), r, c.batch, c.limit, c.rule)
				got, _ := write(t, webgpu.New(gputest.Device(t)), r, c.batch, c.limit, c.rule)
				if !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			})
		}
	}
}

// TestSteadyState checks that decoding takes a fixed number of dispatches per token and one submit for all tokens between two
// readbacks, and creates nothing, block by block and with one workgroup for all layers.
func TestSteadyState(t *testing.T) {
	dev := gputest.Device(t)
	for _, name := range optest.ReferenceNames {
		for _, v := range webgpu.Variants() {
			if slices.Contains(v.Ops, "blocks") && v.Name != "unfused" {
				t.Run(name+"/"+v.Name, func(t *testing.T) { steadyState(t, dev, name, v) })
			}
		}
	}
}

func steadyState(t *testing.T, dev *gpu.Device, name string, v webgpu.Variant) {
	ops := webgpu.New(dev)
	defer ops.Close()
	if !ops.Force(&v) {
		t.Skip("the adapter runs fewer threads a workgroup")
	}
	r := optest.LoadReference(t, name)
	p := op.Sampling{Temperature: 1, TopP: 0.9, Seed: 1}
	_, s := write(t, ops, r, 1, 32, p)
	var heap, heapAfter runtime.MemStats
	runtime.ReadMemStats(&heap)
	before, bytes := dev.Stats(), dev.BytesInUse()
	const tokens = 160
	more(t, s, tokens, p)
	after := dev.Stats()
	runtime.ReadMemStats(&heapAfter)
	// The WebGPU binding allocates for each submit, copy and readback, but not for each token.
	if n, most := heapAfter.Mallocs-heap.Mallocs, uint64(64*(after.Submits-before.Submits)); n > most {
		t.Errorf("%d allocations for %d tokens, want at most %d", n, tokens, most)
	}
	each := 3 // the token, its blocks, its logits
	if v.Name == "block by block" {
		layer := 5
		if r.Config.Mixer == nn.MixerDelta && !dev.Info().Hardware() {
			layer += 2 // step size, convolution and rule by themselves, which is faster there
		}
		each = layer*r.Config.Layers + 2
	}
	if n, want := after.Dispatches-before.Dispatches, tokens*each; n > want {
		t.Errorf("%d dispatches for %d tokens, want at most %d", n, tokens, want)
	}
	if n, want := after.Submits-before.Submits, tokens/ops.Lookahead()+2; n > want {
		t.Errorf("%d submits for %d tokens, want at most %d", n, tokens, want)
	}
	after.Dispatches, after.Submits = before.Dispatches, before.Submits
	if after != before || dev.BytesInUse() != bytes {
		t.Errorf("decoding created something: %+v and %d bytes, then %+v and %d bytes", before, bytes, after, dev.BytesInUse())
	}
}

// TestWideVocabulary draws from more logits than a workgroup of the usual size takes, token by token against the host.
func TestWideVocabulary(t *testing.T) {
	ops := webgpu.New(gputest.Device(t))
	defer ops.Close()
	const V = 20_000
	r, values := rand.New(rand.NewPCG(1, 2)), make([]float32, V)
	for i := range values {
		values[i] = float32(3 * r.NormFloat64())
	}
	logits := ops.Load(op.HostTensor{Format: op.F32, Shape: []int{1, V}, F32: values})
	next, out, recent := ops.New(op.U32, 1), ops.New(op.U32, 1, 1), ops.New(op.U32, 1, op.RecentSize)
	mirror, id, rule := make([]uint32, op.RecentSize), make([]uint32, 1), make([]uint32, op.RulesSize)
	rules := ops.New(op.U32, 1, op.RulesSize)
	program, err := ops.Prepare(op.Program[*webgpu.Tensor]{
		&op.Sample[*webgpu.Tensor]{Next: next, Out: out, Recent: recent, Rules: rules, Logits: logits},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []op.Sampling{
		{}, {Temperature: 1, Seed: 4}, {Temperature: 0.8, TopK: 40, TopP: 0.9, RepeatPenalty: 1.2, MinP: 0.01, Seed: 5},
	} {
		for range 10 {
			p.Encode(rule)
			ops.WriteTokens(rules, 0, rule)
			program.Run()
			if err := ops.DownloadTokens(next, 0, id); err != nil {
				t.Fatal(err)
			}
			if want := p.Draw(slices.Clone(values), mirror, make([]float32, 2*V)); id[0] != want {
				t.Fatalf("%+v: got token %d, want %d", p, id[0], want)
			}
		}
	}
}
