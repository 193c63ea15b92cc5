package webgpu

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"bitgpu/gpu/gputest"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/wgsl"
)

// TestBlocksTogether checks the kernel that walks all layers at every number of threads that it may be tuned to, each with half of
// the cases.
func TestBlocksTogether(t *testing.T) {
	for i, threads := range blocksThreads {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			o := New(gputest.Device(t))
			defer o.Close()
			if threads > o.dev.Limits().MaxInvocationsPerWorkgroup {
				t.Skipf("%s runs at most %d threads a workgroup", o.dev.Info().Name, o.dev.Limits().MaxInvocationsPerWorkgroup)
			}
			o.forcedBlocks = &choice{Workgroup: threads}
			optest.RunWhere(t, o, func(file, _ string, place int) bool { return file == "blocks" && inShare(place, i%2, 2) })
			if !slices.ContainsFunc(slices.Collect(maps.Keys(o.pipelines)), func(v variant) bool { return v.kernel == wgsl.Blocks && v.workgroup == threads }) {
				t.Errorf("no case is walked by %d threads", threads)
			}
			for v := range o.pipelines {
				if got, want := blocksMemory(v.input, v.workgroup), o.dev.Limits().MaxWorkgroupMemory; v.kernel == wgsl.Blocks && got > want {
					t.Errorf("%d threads with room for %d inputs take %d bytes of a workgroup's memory, want %d at most", v.workgroup, 4*v.input, got, want)
				}
			}
		})
	}
}

// oneToken is the program of a token through all blocks of a model.
func oneToken(o *Ops, m *nn.Model[*Tensor]) (p op.Program[*Tensor]) {
	c, i := m.Config, 0
	rows, sets := map[string]*Tensor{}, map[string][]*Tensor{}
	net := nn.NewNet[*Tensor](c, c.DefaultScan()).Bind(nn.Binding[*Tensor]{
		Param: func(nn.Param) *Tensor {
			i++
			return (*m.Weights)[i-1]
		},
		Rows: func(at nn.Place, r layer.Rows) *Tensor {
			if r.Chunks {
				return nil
			}
			if rows[at.Kind+r.Name] == nil {
				rows[at.Kind+r.Name] = o.New(op.F32, append([]int{1}, r.Shape...)...)
			}
			return rows[at.Kind+r.Name]
		},
		State: func(at nn.Place, s layer.State) *Tensor {
			if sets[s.Name] == nil {
				sets[s.Name] = o.NewSet(c.Layers, op.F32, append([]int{1}, s.Shape...)...)
			}
			return sets[s.Name][at.Block]
		},
	})
	h := o.New(op.F32, 1, c.Width)
	for i := range net.Blocks {
		net.Forward(&p, i, h)
	}
	return p
}

// BenchmarkBlocks takes a token through all layers block by block (0 threads) and by one workgroup.
func BenchmarkBlocks(b *testing.B) {
	for _, mixer := range []string{nn.MixerTied, nn.MixerDelta} {
		for _, size := range []struct{ D, N int }{{64, 2}, {64, 8}, {128, 4}, {256, 8}, {512, 12}} {
			c := nn.Config{Vocab: 1, Width: size.D, Layers: size.N, InnerLR: 0.1, Mixer: mixer, WeightScale: nn.ScaleAbsmean}.WithDefaults()
			for _, threads := range append([]uint32{0}, blocksThreads...) {
				b.Run(fmt.Sprintf("%s/%dx%d/%d-threads", mixer, size.D, size.N, threads), func(b *testing.B) {
					o := New(gputest.Device(b))
					defer o.Close()
					m, err := nn.NewModel(o, c, optest.RandomWeights(c, 1))
					if err != nil {
						b.Fatal(err)
					}
					defer m.Release()
					program := oneToken(o, m)
					x := race{o: o, now: time.Now, program: program, scratch: matchBlocks(program).rows, use: func(c choice) { o.forcedBlocks = &c }}
					p, err := x.prepare(choice{Workgroup: threads})
					if err != nil {
						b.Fatal(err)
					}
					if _, err := x.time(p, 8); err != nil {
						b.Fatal(err)
					}
					for b.Loop() {
						if _, err := x.time(p, 8); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(8*b.N), "µs/token")
				})
			}
		}
	}
}

// TestWalkIsTuned: the ways through all layers are measured at the first use, the fastest is remembered, and what was made from the
// weights is released with them.
func TestWalkIsTuned(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	c := nn.Config{Vocab: 16, Width: 32, Layers: 2, Mixer: nn.MixerDelta, WeightScale: nn.ScaleAbsmean}.WithDefaults()
	m, err := nn.NewModel(o, c, optest.RandomWeights(c, 1))
	if err != nil {
		t.Fatal(err)
	}
	var tuning Tuning
	o.Tune(&tuning)
	o.tuned -= time.Hour // a software adapter is slow
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Forward([]uint32{1}); err != nil {
		t.Fatal(err)
	}
	const name = "blocks delta D=32 d=8 h=1 N=2 n=1"
	chosen, ok := tuning.found[name]
	if !ok || o.packed[(*m.Weights)[2]].chosen[1] != chosen {
		t.Errorf("%s is missing from %v", name, tuning.found)
	}
	s.Close()
	m.Release()
	if len(o.packed) != 0 {
		t.Error("the copy of the weights outlives them")
	}
}

// TestWrongWalk checks that a walk with wrong results is not chosen, however fast.
func TestWrongWalk(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	c := nn.Config{Vocab: 16, Width: 32, Layers: 2, InnerLR: 0.1, WeightScale: nn.ScaleNone}.WithDefaults()
	m, err := nn.NewModel(o, c, optest.RandomWeights(c, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	b := matchBlocks(oneToken(o, m))
	if b == nil || len(b.list) != c.Layers {
		t.Fatalf("got %+v, want %d blocks", b, c.Layers)
	}
	s := o.packedOf(b)
	o.fill(s, b)
	o.dev.Clear(s.weights, 0, s.weights.Size()) // codes of −1
	walk := choice{Workgroup: 64}
	if chosen, ok := o.measureBlocks(b, []choice{walk, {}}); !ok || chosen == walk {
		t.Errorf("got %+v, want block by block (%v)", chosen, ok)
	}
}
