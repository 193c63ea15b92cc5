package view

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"
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
					colour := v.colourOf(i / T)
					at := placeOfLoss(v, i%T, w/end)
					covered := i < T && crossed(want[layer][T:max(T, read)], i, w, 0.05*end) // by the second reading
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

// crossed reports whether the line through losses comes near a value at a token or beside it.
func crossed(losses []float64, token int, value, near float64) bool {
	around := losses[min(max(token-1, 0), len(losses)):min(token+2, len(losses))]
	return len(around) > 0 && slices.Min(around)-near < value && value < slices.Max(around)+near
}

// The losses of a long text are drawn as means, with those of both readings in sight where they differ, what is between them in the
// colour of the lower one, and both means over the text in words.
func TestReadingsOfALongText(t *testing.T) {
	v := openTwice(t, "d32-delta", strings.Repeat(text+". ", 6))
	T := len(v.tokens)
	readTokens(t, v, v.Tokens())
	want, losses := make([]float64, 2*T), make([]float32, 2*T) // of a model that has learned the text
	for i := range want {
		want[i] = 1.2 + 0.5*math.Sin(1.7*float64(i))
		if i >= T {
			want[i] = 0.4 + 0.3*math.Sin(2.3*float64(i))
		}
		losses[i] = float32(want[i])
	}
	v.canvas.dev.Write(v.canvas.losses, 0, gpu.Bytes(losses))
	p := picture(t, v, Status{})
	end, n := lossRange(t, v, p), reach(T)
	if n < 3 {
		t.Fatalf("means over %d tokens to either side of %d tokens, want more", n, T)
	}
	around := func(reading, token int) float64 { return mean(want[reading*T:][max(token-n, 0):min(token+n+1, T)]) }
	apart, most := 0, 0.0
	for token := range T {
		a, b := placeOfLoss(v, token, around(0, token)/end), placeOfLoss(v, token, around(1, token)/end)
		most = max(most, around(0, token), around(1, token))
		if !nearColour(p, b, v.colourOf(1)) {
			t.Errorf("token %d: the second curve does not pass %v", token, b)
		}
		if b.Y-a.Y < 8 {
			continue
		}
		apart++
		if !nearColour(p, a, v.colourOf(0)) {
			t.Errorf("token %d: the first curve does not pass %v", token, a)
		}
		if c := channels(p.At(a.X, (a.Y+b.Y)/2)); c == channels(color.White) {
			t.Errorf("token %d: got white between %v and %v", token, a, b)
		}
	}
	if apart < T/4 || most > 1.001*end || most < 0.3*end {
		t.Errorf("the first reading is above the second at %d of %d tokens, on an axis to %g for %g", apart, T, end, most)
	}
	a, b := mean(want[:T]), mean(want[T:])
	words := fmt.Sprintf("mean: first reading %.3g, second %.3g%s", a, b, change(a, b))
	// A comma in colour is read as a low quotation mark.
	if got := strings.ReplaceAll(written(v, p, v.right, headingsY+cellHeight, len(words)), "‚", ","); got != words {
		t.Errorf("got %q, want %q", got, words)
	}
	label := fmt.Sprintf("token; lines: means of %d tokens", 2*n+1)
	r := v.chartArea()
	if got := written(v, p, (r.Min.X+r.Max.X-cellWidth*len(label))/2, r.Max.Y+6+cellHeight, len(label)); got != label {
		t.Errorf("got %q below the chart, want %q", got, label)
	}
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

func TestChange(t *testing.T) {
	for _, c := range []struct {
		from, to float64
		want     string
	}{{2, 1, ", 50 % lower"}, {1, 1.25, ", 25 % higher"}, {1, 1.001, ", the same"}, {0, 1, ""}, {0, 0, ""}} {
		if got := change(c.from, c.to); got != c.want {
			t.Errorf("%g to %g: got %q, want %q", c.from, c.to, got, c.want)
		}
	}
}

// A steep line is as thick as a flat one.
func TestSteepLines(t *testing.T) {
	v := open(t, "d32-none", text)
	readTokens(t, v, v.Tokens())
	teeth := make([]float32, v.Tokens())
	for i := range teeth {
		teeth[i] = float32(i % 2)
	}
	for layer := range v.model.Config.Layers {
		v.canvas.dev.Write(v.canvas.losses, 4*layer*v.canvas.history, gpu.Bytes(teeth))
	}
	p := picture(t, v, Status{})
	at := placeOfLoss(v, 4, 0.25) // below the middle, where the line passes between two tokens
	width, found := 0, false
	next := placeOfLoss(v, 5, 0).X
	for x := at.X; x <= next; x++ {
		if channels(p.At(x, at.Y)) == channels(color.NRGBA{uint8(v.colours[0]), uint8(v.colours[0] >> 8), uint8(v.colours[0] >> 16), 255}) {
			width, found = width+1, true
		}
	}
	if !found || width < 3 {
		t.Errorf("a steep line is %d pixels wide, want 3 or more", width)
	}
}

// lossRange is the number at the end of a picture's axis of losses.
func lossRange(t *testing.T, v *View, p image.Image) float64 {
	t.Helper()
	area := v.chartArea()
	number := written(v, p, area.Min.X-8-labelWidth*cellWidth, area.Min.Y-cellHeight/2, labelWidth)
	end, err := strconv.ParseFloat(number, 64)
	if err != nil {
		t.Fatalf("%s: the number at the end of the axis: %v", v.name, err)
	}
	return end
}

// placeOfLoss is where a curve passes at a token of the text, from 0, with a part of the axis' range.
func placeOfLoss(v *View, token int, part float64) image.Point {
	area := v.chartArea()
	_, room := v.axis(v.read)
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
