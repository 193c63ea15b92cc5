package webgpu

import (
	"testing"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/arch"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// filler makes the tensors of a layer for one token of one sequence.
type filler struct {
	o    *Ops
	made []*Tensor
}

func (f *filler) keep(t **Tensor, x *Tensor) { *t, f.made = x, append(f.made, x) }

func (f *filler) Param(t **Tensor, p layer.Param) {
	if p.Kind == layer.Linear {
		f.keep(t, f.o.NewTernary(p.Shape[0], p.Shape[1], 1, true))
		return
	}
	f.keep(t, f.o.New(op.F32, p.Shape...))
}

// Adapter leaves layers without one.
func (f *filler) Adapter(*layer.Adapter[*Tensor], layer.Param, ...op.LowRankBlock) {}

func (f *filler) Rows(t **Tensor, r layer.Rows) {
	if r.Trained() {
		return
	}
	f.keep(t, f.o.New(op.F32, append([]int{1}, r.Shape...)...))
}

func (f *filler) State(t **Tensor, s layer.State) {
	shape := append([]int{1}, s.Shape...)
	if s.Grows {
		shape = append([]int{1, 8}, s.Shape...)
	}
	f.keep(t, f.o.New(op.F32, shape...))
}

func (f *filler) Shared(t **Tensor, which layer.Shared) {
	switch which {
	case layer.Position:
		f.keep(t, f.o.New(op.U32, 1))
	case layer.Angles:
		f.keep(t, f.o.New(op.F32, 8, 32))
	}
}

// TestDispatches checks how many dispatches a token takes per block: each costs tens of microseconds on a GPU.
func TestDispatches(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	plain := arch.Decoder{Width: 64, MLP: 128, Heads: 2, KVHeads: 1, HeadWidth: 32, Eps: 1e-6, Rope: arch.Rope{Width: 32}, HeadNorms: true}
	bitnet := plain
	bitnet.HeadNorms, bitnet.SubNorms, bitnet.Squared, bitnet.Int8 = false, true, true, true
	hybrid := plain
	hybrid.Gated = true
	hybrid.Recurrent = &arch.Recurrent{KeyHeads: 1, Heads: 2, KeyWidth: 32, ValueWidth: 32, Taps: 4, Attends: []bool{false, true}}
	rotated := hybrid
	rotated.Rotation = 32
	for _, c := range []struct {
		name  string
		d     *arch.Decoder
		block int
		most  int
	}{
		{"qwen3", &plain, 0, 6}, {"bitnet", &bitnet, 0, 10}, {"gated delta rule", &hybrid, 0, 9}, {"gated attention", &hybrid, 1, 6},
		{"rotated gated delta rule", &rotated, 0, 13}, {"rotated attention", &rotated, 1, 10},
	} {
		f := &filler{o: o}
		stream := o.New(op.F32, 1, c.d.Width)
		var p op.Program[*Tensor]
		for _, l := range arch.Layers[*Tensor](c.d, c.block) {
			l.Declare(f)
			l.Forward(&p, layer.Stream[*Tensor]{In: stream, Out: stream})
		}
		prepared, err := o.Prepare(p)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(prepared.(*program).steps); n > c.most {
			t.Errorf("%s: got %d dispatches a block, want %d at most", c.name, n, c.most)
		}
		if n := testing.AllocsPerRun(3, prepared.Run); n > 0 {
			t.Errorf("%s: got %v allocations a token, want none", c.name, n)
		}
		prepared.Release()
		o.Release(append(f.made, stream)...)
	}
}
