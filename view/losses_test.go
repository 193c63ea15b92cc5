package view

import (
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"
	"testing"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/layer"
)

// innerLosses are what the definition says, from the CPU's activations and the memory before each token.
func innerLosses(t *testing.T, name string, tokens []uint32) [][]float64 {
	t.Helper()
	l, ops := load(t, name), cpu.New()
	m, err := nn.NewModel(ops, l.Config, l.Weights)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession(1, l.Config.DefaultScan())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := l.Config
	d, width := c.MemoryWidth, c.HeadWidth()
	losses := make([][]float64, c.Layers)
	before := make([][]float32, c.Layers)
	for i := range before {
		before[i] = make([]float32, d*width)
	}
	s.Observe(func(block int, m layer.Memory[*cpu.Tensor[float32]]) {
		loss := 0.0
		switch l := m.(type) {
		case *layer.Delta[*cpu.Tensor[float32]]:
			kqv := make([]float32, 3*d)
			ops.Download(l.KQV, 0, kqv)
			for i := range d {
				e := float64(kqv[2*d+i])
				for j := range width {
					e -= float64(before[block][i*width+j]) * float64(kqv[i/width*width+j])
				}
				loss += e * e
			}
		case *layer.Tied[*cpu.Tensor[float32]]:
			f, z := make([]float32, d), make([]float32, d)
			ops.Download(l.Keys, 0, f)
			ops.Download(l.Out, 0, z)
			size := 0.0
			for _, v := range f {
				size += float64(v) * float64(v)
			}
			for i := range d {
				e := float64(z[i]) - float64(f[i])/(math.Sqrt(size)+1e-6)
				loss += e * e
			}
		}
		losses[block] = append(losses[block], loss)
		state, _ := m.Memory()
		ops.Download(state, 0, before[block])
	})
	for _, id := range tokens {
		if err := s.Forward([]uint32{id}); err != nil {
			t.Fatal(err)
		}
	}
	return losses
}

// The device's losses are those of the definition, and the chart's curves go through them.
func TestInnerLosses(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		v := open(t, name, text)
		readTokens(t, v, v.Tokens())
		want := innerLosses(t, name, v.tokens)
		got, history := make([]float32, v.model.Config.Layers*longestAxis), longestAxis
		if err := v.canvas.dev.DownloadLater(v.canvas.losses, 0, 4*len(got)).Wait(gpu.Bytes(got)); err != nil {
			t.Fatal(err)
		}
		for layer := range want {
			v.Select(layer)
			p := picture(t, v, Status{})
			end := lossRange(t, v, p)
			for i, w := range want[layer] {
				if g := float64(got[layer*history+i]); math.Abs(g-w) > 1e-4*(1+w) {
					t.Errorf("%s, layer %d, token %d: got loss %g, want %g", name, layer, i, g, w)
				}
				if at := placeOfLoss(v, i, w/end); !nearColour(p, at, v.colours[layer]) {
					t.Errorf("%s, layer %d, token %d: the curve does not pass %v", name, layer, i, at)
				}
			}
		}
	}
}

// A text that is read twice has a curve for each reading of the selected layer, at the losses that the definition gives
// for the text twice in a row, on an axis for the larger of both.
func TestBothReadings(t *testing.T) {
	for _, name := range []string{"d32-none", "d32-delta"} {
		v := openTwice(t, name, text)
		T := v.Tokens() / 2
		want := innerLosses(t, name, slices.Concat(v.tokens, v.tokens))
		for _, read := range []int{T - 3, T + 7, 2 * T} {
			readTokens(t, v, read-v.Position())
			for layer := range want {
				v.Select(layer)
				p := picture(t, v, Status{})
				end, most := lossRange(t, v, p), 0.0
				for i, w := range want[layer][:read] {
					colour := uint32(line)
					if i >= T {
						colour = v.colours[layer]
					}
					at := placeOfLoss(v, i%T, w/end)
					covered := i < T && i+T < read && math.Abs(want[layer][i+T]-w) < 0.05*end // by the second reading
					if !covered && !nearColour(p, at, colour) {
						t.Errorf("%s, layer %d, token %d of %d: the curve does not pass %v", name, layer, i, read, at)
					}
					most = max(most, w)
				}
				if most > 1.001*end || most < 0.3*end {
					t.Errorf("%s, layer %d: an axis to %g for losses up to %g", name, layer, end, most)
				}
			}
		}
		if more, err := v.Advance(); more || err != nil {
			t.Errorf("%s: got %v, %v, want an end after two readings", name, more, err)
		}
	}
}

// lossRange is the number at the end of a picture's axis of losses.
func lossRange(t *testing.T, v *View, p image.Image) float64 {
	t.Helper()
	area := chartArea(v.model.Config.Layers)
	number := written(v, p, area.Min.X-8-labelWidth*cellWidth, area.Min.Y-cellHeight/2, labelWidth)
	end, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatalf("%s: the number at the end of the axis: %v", v.name, err)
	}
	return end
}

// placeOfLoss is where a curve passes at a token of the text, from 0, with a part of the axis' range.
func placeOfLoss(v *View, token int, part float64) image.Point {
	area := chartArea(v.model.Config.Layers)
	_, room := axis(v.read, len(v.tokens))
	x := math.Round(float64(token*(area.Dx()-1)) / float64(room-1))
	return area.Min.Add(image.Pt(int(x), int(math.Round((1-part)*float64(area.Dy()-1)))))
}

// nearColour reports whether a pixel next to a point, or itself, has the colour.
func nearColour(p image.Image, at image.Point, pixel uint32) bool {
	want := color.NRGBA{uint8(pixel), uint8(pixel >> 8), uint8(pixel >> 16), 255}
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			if color.NRGBAModel.Convert(p.At(at.X+dx, at.Y+dy)) == want {
				return true
			}
		}
	}
	return false
}
