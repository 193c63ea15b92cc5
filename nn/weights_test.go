package nn_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/ternary"
)

// Walk names every tensor of the reference files, with its shape, and no other.
func TestWalkNamesTheFiles(t *testing.T) {
	for _, name := range optest.ReferenceNames {
		r := optest.LoadReference(t, name)
		f, err := safetensors.Open(filepath.Join(optest.ReferenceDir(name), "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var walked []string
		total := 0
		nn.Walk(r.Config, new(nn.Weights[struct{}]), func(p nn.Param, _ *struct{}) {
			for _, tensor := range p.Names {
				walked = append(walked, tensor)
				found, ok := f.Tensor(tensor)
				if !ok || !slices.Equal(found.Shape, p.PartShape()) {
					t.Errorf("%s: %s: shape %v walked, %v in the file", name, tensor, p.PartShape(), found.Shape)
				}
				total += found.Len()
			}
		})
		inFile := f.Names()
		slices.Sort(walked)
		slices.Sort(inFile)
		if !slices.Equal(walked, inFile) {
			t.Errorf("%s: walked\n%v\nin the file\n%v", name, walked, inFile)
		}
		if got := r.Config.ParamCount(); got != total {
			t.Errorf("%s: %d parameters counted, %d in the file", name, got, total)
		}
	}
}

func TestMapWeights(t *testing.T) {
	c := nn.Config{Vocab: 5, Width: 8, Layers: 2, Mixer: nn.MixerDelta}.WithDefaults()
	names := new(nn.Weights[string])
	nn.Walk(c, names, func(p nn.Param, t *string) { *t = p.Names[0] })
	lengths := nn.MapWeights(c, names, func(p nn.Param, name string) int {
		if p.Names[0] != name {
			t.Errorf("%s comes with %s", p.Names[0], name)
		}
		return len(name)
	})
	if n := len(*lengths); n != len(*names) || (*lengths)[n-1] != len("lm_head.weight") {
		t.Errorf("mapped: %+v", lengths)
	}
}

// Each block of a stack has its own γ.
func TestPackTernary(t *testing.T) {
	w := []float32{1, -1, 1, 1, 0, 2, -8, 8, 8, 8, 0, 0}
	q := op.PackTernary(op.HostTensor{Shape: []int{4, 3}, F32: w}, 2, true)
	values := make([]float32, len(w))
	ternary.Unpack(values, q.Codes, 4, 3)
	if want := []float32{1, -1, 1, 1, 0, 1, -1, 1, 1, 1, 0, 0}; !slices.Equal(values, want) {
		t.Errorf("got %v, want %v", values, want)
	}
	if want := []float32{1, 32.0 / 6}; !slices.Equal(q.Scales, want) || !q.Absmean || q.Format != op.Ternary {
		t.Errorf("got %v, want γ %v", q.Scales, want)
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		got, want []int
		fits      bool
	}{
		{[]int{2, 3}, []int{2, 3}, true}, {nil, nil, true}, {[]int{2, 3}, []int{3, 2}, false}, {[]int{2, 3}, []int{2, 3, 1}, false},
	} {
		func() {
			defer func() {
				says := fmt.Sprint(recover())
				if fits := says == "<nil>"; fits != c.fits {
					t.Errorf("%v against %v: %s", c.got, c.want, says)
				} else if !fits && !(strings.Contains(says, fmt.Sprint(c.got)) && strings.Contains(says, fmt.Sprint(c.want)) && strings.Contains(says, "what")) {
					t.Errorf("%q does not show %v and %v", says, c.got, c.want)
				}
			}()
			op.Check("what", c.got, c.want...)
		}()
	}
	shape := []int{2, 3}
	if n := testing.AllocsPerRun(100, func() { op.Check("what", shape, 2, 3) }); n != 0 {
		t.Errorf("%v allocations for shapes that fit", n)
	}
}

func TestSetMemoryRefuses(t *testing.T) {
	c := nn.Config{Vocab: 5, Width: 8, Layers: 2, Mixer: nn.MixerDelta}.WithDefaults()
	m, err := nn.NewModel(cpu.NewScalar[float32](), c, optest.RandomWeights(c, 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession(1, c.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	layer := func(matrix, tail []int) nn.LayerMemory {
		l := nn.LayerMemory{Shape: matrix, W: make([]float32, op.Count(matrix)), TailShape: tail}
		if tail != nil {
			l.Tail = make([]float32, op.Count(tail))
		}
		return l
	}
	good := layer([]int{1, 2, 2}, []int{3, 3, 2})
	for says, layers := range map[string][]nn.LayerMemory{
		"got a memory of 1 layers, want 2":                                    {good},
		"memory of layer 1: got shape [2 2], want [1 2 2]":                    {good, layer([]int{2, 2}, nil)},
		"memory of layer 0: got a convolution of shape [3 2 2], want [3 3 2]": {layer([]int{1, 2, 2}, []int{3, 2, 2}), good},
		"memory of layer 1: got shape [], want [1 2 2]":                       {good, {}},
	} {
		if err := s.SetMemory(layers, 1); err == nil || err.Error() != says {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	// A tail that is missing counts as zeros.
	if err := s.SetMemory([]nn.LayerMemory{good, layer([]int{1, 2, 2}, nil)}, 77); err != nil || s.Position() != 77 {
		t.Errorf("position %d, error %v", s.Position(), err)
	}
	if err := s.Generate(1, op.Sampling{TopP: 2}, func([]uint32) bool { return true }); err == nil {
		t.Error("a top-p of 2 was accepted")
	}
}
