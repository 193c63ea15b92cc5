package train_test

import (
	"math"
	"strings"
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/public/publictest"
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

// TestOneSubmitOfAnAdapter: nor does a step of an adapter, and it waits for nothing.
func TestOneSubmitOfAnAdapter(t *testing.T) {
	optest.EachFamily(func(name string, c nn.Config, w *nn.Weights[op.HostTensor]) {
		device := gputest.Device(t)
		ops := webgpu.New(device)
		defer ops.Close()
		c.Adapter = train.NewAdapter(c, 2, 4, func(string) bool { return true }, 1)
		l, err := train.NewLearner(ops, c, train.Shape{Batch: 1, Time: 16, Accumulate: 1}, w)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
		b := randomBatch(16, c.Vocab)
		l.Step(1e-3, b.inputs, b.targets)
		before := device.Stats()
		l.Step(1e-3, b.inputs, b.targets)
		after := device.Stats()
		if after.Submits-before.Submits != 1 || after.Buffers != before.Buffers || after.BindGroups != before.BindGroups || after.Pipelines != before.Pipelines {
			t.Errorf("%s: got %+v before a step and %+v after, want one submit and nothing new", name, before, after)
		}
		if _, err := l.Results(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBackendsAgree: over 50 steps the losses of all backends stay within 1 % of the reference's.
func TestBackendsAgree(t *testing.T) {
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		c := nn.Config{Vocab: 24, Width: 32, Layers: 2, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
		s := train.Shape{Batch: 2, Time: 32, Accumulate: 1, WeightDecay: 0.01}
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

// TestAdapterOnWebGPU: an adapter gives the logits and the gradients of the CPU on models of every kind of layer, whose weights
// stay as they are in files.
func TestAdapterOnWebGPU(t *testing.T) {
	gpu := webgpu.New(gputest.Device(t))
	defer gpu.Close()
	away := func(got, want []float32) float64 {
		off, size := 0.0, 0.0
		for i, x := range want {
			off, size = off+math.Pow(float64(got[i]-x), 2), size+math.Pow(float64(x), 2)
		}
		return math.Sqrt(off / size)
	}
	hold := func(name string, c nn.Config, w *nn.Weights[op.HostTensor], whole func(string) bool, recompute ...bool) {
		c.Adapter = train.NewAdapter(c, 3, 6, func(string) bool { return true }, 1)
		train.AddWhole(c.Adapter, c, w, whole)
		for i := range c.Adapter.Weights {
			for j := range c.Adapter.Weights[i].F32 {
				c.Adapter.Weights[i].F32[j] += 0.03 * float32(math.Sin(float64(i+7*j)))
			}
		}
		ids := make([]uint32, 41)
		for i := range ids {
			ids[i] = uint32(i * i % 37)
		}
		tolerance := 1e-3
		if d := c.Decoder; d != nil && (d.Int8 || d.HalfCache) { // where numbers are rounded on the way, some fall to the other side
			tolerance = 5e-2
		}
		got, want := lastLogits(t, gpu, c, w, ids), lastLogits(t, cpu.New(), c, w, ids)
		if off := away(got, want); !(off < tolerance) {
			t.Errorf("%s: the logits are off by %v", name, off)
		}
		for _, recompute := range recompute {
			s := train.Shape{Batch: 2, Time: 20, Accumulate: 1, Clip: 1, Recompute: recompute}
			if off := away(adapterGradients(t, gpu, c, s, w, ids), adapterGradients(t, cpu.New(), c, s, w, ids)); !(off < tolerance) {
				t.Errorf("%s: the gradients are off by %v", name, off)
			}
		}
	}
	norms := func(name string) bool { return strings.Contains(name, "norm") } // their gradients are small beside those of tables
	tables := func(name string) bool { return !norms(name) }
	families := func(whole func(string) bool, recompute ...bool) {
		optest.EachFamily(func(name string, c nn.Config, w *nn.Weights[op.HostTensor]) { hold(name, c, w, whole, recompute...) })
	}
	families(norms, false, true)
	families(tables, false)
	for _, mixer := range []string{nn.MixerDelta, nn.MixerTied} {
		c := nn.Config{Vocab: 40, Width: 32, Layers: 2, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
		hold(mixer, c, c.Packed(train.InitialWeights(c, 3)), norms, false, true)
		c.TiedHead = true
		hold(mixer+" with a tied head", c, c.Packed(train.InitialWeights(c, 3)), tables, mixer == nn.MixerDelta)
	}
}

func lastLogits[T any](t *testing.T, b op.Executor[T], c nn.Config, w *nn.Weights[op.HostTensor], ids []uint32) []float32 {
	t.Helper()
	m, err := nn.NewModel(b, c, w)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, piece := range [][]uint32{ids[:len(ids)-1], ids[len(ids)-1:]} { // many at once, then one
		if err := s.Forward(piece); err != nil {
			t.Fatal(err)
		}
	}
	out := make([]float32, c.Vocab)
	if err := s.Logits(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func adapterGradients[T any](t *testing.T, b op.Executor[T], c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor], ids []uint32) (all []float32) {
	t.Helper()
	l, err := train.NewLearner(b, c, s, w)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	l.Step(0, ids[:len(ids)-1], ids[1:])
	if _, err := l.Results(); err != nil {
		t.Fatal(err)
	}
	g, err := l.Gradients()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range *g {
		all = append(all, h.F32...)
	}
	return all
}

// TestMastersOnWebGPU: the gradients of all masters of models with scales of groups are the CPU's, and so is what is measured
// before the first step and behind one.
func TestMastersOnWebGPU(t *testing.T) {
	gpu := webgpu.New(gputest.Device(t))
	defer gpu.Close()
	for _, family := range []string{"qwen3", "qwen35"} {
		model, err := storage.Load(publictest.File(t, family), storage.Options{Context: 32, Masters: true})
		if err != nil {
			t.Fatal(err)
		}
		defer model.Close()
		ids := make([]uint32, 17)
		for i := range ids {
			ids[i] = uint32(i * i % 37)
		}
		s := train.Shape{Batch: 1, Time: 16, Accumulate: 1}
		got, losses := mastersOf[*webgpu.Tensor](t, gpu, model.Config, s, model.Weights, ids)
		want, right := mastersOf(t, cpu.New(), model.Config, s, model.Weights, ids)
		for i, p := range nn.Params(model.Config) {
			off, size := 0.0, 0.0
			for j, x := range want[i] {
				off, size = off+math.Pow(float64(got[i][j]-x), 2), size+math.Pow(float64(x), 2)
			}
			if off = math.Sqrt(off / max(size, 1e-30)); !(off < 1e-3) {
				t.Errorf("%s: %s: the gradient is off by %v", family, p.Names[0], off)
			}
		}
		for i, x := range right {
			if off := math.Abs(float64(losses[i]-x)) / float64(x); !(off < 1e-3) {
				t.Errorf("%s: step %d: the loss is %v, want %v", family, i, losses[i], x)
			}
		}
	}
}

// mastersOf are the gradients of a first step, and the losses of three.
func mastersOf[T any](t *testing.T, b op.Executor[T], c nn.Config, s train.Shape, w *nn.Weights[op.HostTensor], ids []uint32) (gradients [][]float32, losses []float32) {
	t.Helper()
	l, err := train.NewLearner(b, c, s, w)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	for step := range 3 {
		l.Step(1e-3, ids[:16], ids[1:])
		r, err := l.Results()
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, r[len(r)-1].Loss)
		if step > 0 {
			continue
		}
		g, err := l.Gradients()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range *g {
			gradients = append(gradients, append([]float32(nil), h.F32...))
		}
	}
	return gradients, losses
}
