package view

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/webgpu"
)

// resolution is how many parts of half the range a colour tells apart.
const resolution = 100

const text = "the ship sailed home, and the ship\nsailed out again"

func load(t *testing.T, name string) *storage.Loaded {
	t.Helper()
	l, err := storage.Load(filepath.Join("../testdata/reference", name, "model.bitt"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func operations(t *testing.T) *webgpu.Ops {
	t.Helper()
	d, err := gpu.Open(gpu.Options{Adapter: cmp.Or(os.Getenv("BITGPU_ADAPTER"), "software")})
	if err != nil {
		if os.Getenv("BITGPU_REQUIRE_GPU") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ops := webgpu.New(d)
	t.Cleanup(func() {
		if err := ops.Flush(); err != nil {
			t.Errorf("the test left an error in the device: %v", err)
		}
		ops.Close()
		d.Close()
	})
	return ops
}

func open(t *testing.T, name, text string) *View {
	t.Helper()
	return openView(t, name, text, false)
}

// openTwice opens a view that reads the text twice.
func openTwice(t *testing.T, name, text string) *View {
	t.Helper()
	return openView(t, name, text, true)
}

func openView(t *testing.T, name, text string, reread bool) *View {
	t.Helper()
	ops, l := operations(t), load(t, name)
	m, err := nn.NewModel(ops, l.Config, l.Weights)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	v, err := New(ops, m, l.Tokenizer, name, text, reread)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

func readTokens(t *testing.T, v *View, n int) {
	t.Helper()
	for range n {
		if more, err := v.Advance(); !more || err != nil {
			t.Fatal(more, err)
		}
	}
}

func picture(t *testing.T, v *View, s Status) image.Image {
	t.Helper()
	v.Draw(s)
	data, err := v.PNG()
	if err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if p.Bounds() != image.Rect(0, 0, Width, Height) {
		t.Fatalf("a picture of %v", p.Bounds())
	}
	return p
}

// written reads text back from a picture: n glyphs from x, y on, on white.
func written(v *View, p image.Image, x, y, n int) string {
	var text strings.Builder
	for ; n > 0; n, x = n-1, x+cellWidth {
		var cell [cellWidth * cellHeight]int // ink of each pixel
		for i := range cell {
			cell[i] = 255 - int(color.GrayModel.Convert(p.At(x+i%cellWidth, y+i/cellWidth)).(color.Gray).Y)
		}
		best, found := math.MaxInt, '?'
		for r, place := range v.atlas.place {
			off := 0
			for i, coverage := range v.atlas.coverage[int(place)*len(cell):][:len(cell)] {
				d := cell[i] - int(coverage)*(255-0x20)/255
				off += d * d
			}
			if off < best || off == best && r < found {
				best, found = off, r
			}
		}
		text.WriteRune(found)
	}
	return strings.TrimSpace(text.String())
}

// scaleOf is the colour scale of a picture, from the top.
func scaleOf(v *View, p image.Image) [][3]int {
	scale := make([][3]int, v.scale.Dy())
	for y := range scale {
		scale[y] = channels(p.At(v.scale.Min.X, v.scale.Min.Y+y))
	}
	return scale
}

func channels(c color.Color) [3]int {
	r, g, b, _ := c.RGBA()
	return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
}

// valueOf is a colour's part of the range, by a colour scale, which is linear from 1 down to −1.
func valueOf(scale [][3]int, c color.Color) float64 {
	best, at := math.MaxInt, 0
	for y, s := range scale {
		off := 0
		for i, v := range channels(c) {
			off += (v - s[i]) * (v - s[i])
		}
		if off < best {
			best, at = off, y
		}
	}
	return 1 - 2*float64(at)/float64(len(scale)-1)
}

// The heat maps of every layer and head are the memory, by the colour scale and the numbers at its ends.
func TestHeatMapsAreTheMemory(t *testing.T) {
	for _, name := range []string{"d32-none", "d36-absmean", "d32-delta"} {
		v := open(t, name, text)
		for _, n := range []int{3, v.Tokens() - 3} {
			readTokens(t, v, n)
			layers, err := v.session.Memory()
			if err != nil {
				t.Fatal(err)
			}
			for layer, memory := range layers {
				v.Select(layer)
				p := picture(t, v, Status{})
				number := written(v, p, v.scale.Max.X+12, v.scale.Min.Y-cellHeight/2, labelWidth)
				end, err := strconv.ParseFloat(number, 64)
				if err != nil {
					t.Fatalf("%s: the number at the end of the scale: %v", name, err)
				}
				side, scale := v.model.Config.HeadWidth(), scaleOf(v, p)
				for head, r := range HeatMaps(v.model.Config, layer) {
					cell := r.Dx() / side
					for i := range side * side {
						want := float64(memory.W[head*side*side+i])
						for _, corner := range []int{0, cell - 1} {
							c := p.At(r.Min.X+i%side*cell+corner, r.Min.Y+i/side*cell+corner)
							// Half the range has 250 levels of one channel, 240 pixels of the scale; each is half off at most, and
							// where both halves meet, twice.
							if got := end * valueOf(scale, c); math.Abs(got-want) > end/resolution {
								t.Fatalf("%s, %d tokens, layer %d, head %d, element %d: got %g, want %g", name, v.Position(), layer, head, i, got, want)
							}
						}
					}
				}
			}
		}
	}
}

// The range is the least of 1, 2, 3, 5, 10, … that holds the layer, and every number at a scale is what it says.
func TestNumbersOfTheAxes(t *testing.T) {
	v := open(t, "d32-delta", text)
	check := func(peak float64, want []string) {
		t.Helper()
		layers, err := v.session.Memory()
		if err != nil {
			t.Fatal(err)
		}
		for i := range layers {
			clear(layers[i].W)
		}
		layers[0].W[5] = 7 // on a scale of its own
		layers[1].W[77] = float32(-peak)
		if err := v.session.SetMemory(layers, 1); err != nil {
			t.Fatal(err)
		}
		p := picture(t, v, Status{})
		for i, w := range want {
			y := v.scale.Min.Y + i*(v.scale.Dy()-1)/4 - cellHeight/2
			if got := written(v, p, v.scale.Max.X+12, y, labelWidth); got != w {
				t.Errorf("peak %g: got %s at the scale, want %s", peak, got, w)
			}
		}
		_, areas := v.thumbs(1)
		for i, w := range []string{"0 ±10", "1 ±" + want[0]} {
			if got := written(v, p, areas[i].Min.X, areas[i].Min.Y-thumbsLabel, 3+labelWidth); got != w {
				t.Errorf("peak %g: got %s above a small map, want %s", peak, got, w)
			}
		}
	}
	readTokens(t, v, 1)
	v.Select(1)
	check(0.26, []string{"0.3", "0.15", "0", "-0.15", "-0.3"})
	check(1, []string{"1", "0.5", "0", "-0.5", "-1"})
	check(1.00005, []string{"1", "0.5", "0", "-0.5", "-1"})
	check(1.001, []string{"2", "1", "0", "-1", "-2"})
	check(4000, []string{"5e+03", "2.5e+03", "0", "-2.5e+03", "-5e+03"})
	check(3e-5, []string{"3e-05", "1.5e-05", "0", "-1.5e-05", "-3e-05"})
	check(0, []string{"1e-06", "5e-07", "0", "-5e-07", "-1e-06"})
	check(1e30, []string{"5e+06"})
}

// A pixel that stands for several elements shows the largest; what is not finite is green and counts for no range.
func TestHeatOfLargeAndBrokenMatrices(t *testing.T) {
	v := open(t, "d32-none", text)
	readTokens(t, v, 1)
	c := v.canvas
	const side, pixels = 100, 40
	shown := matrices{rows: side, columns: side, stride: side}
	matrix := make([]float32, side*side)
	for i := range matrix {
		matrix[i] = float32(i%7-3) / 10
	}
	matrix[41*side+93] = -0.9
	matrix[60*side+5] = float32(math.NaN())
	matrix[99*side+99] = float32(math.Inf(-1))
	state := v.model.Backend.Load(op.HostTensor{Format: op.F32, Shape: []int{side, side}, F32: matrix})
	defer v.model.Backend.Release(state)
	picture(t, v, Status{})
	c.dev.Write(c.ranges, 0, gpu.Bytes([]uint32{24})) // the range is 1
	area := image.Rect(100, 100, 100+pixels, 100+pixels)
	c.drawHeat(c.heatMap, c.ops.Buffer(state), area, shown, 0, 0)
	c.drawHeat(c.heatScale, c.ops.Buffer(state), v.scale, shown, 0, 0)
	raw, err := v.PNG()
	if err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	scale := scaleOf(v, p)
	green := color.NRGBA{0, 153, 0, 255}
	for y := range pixels {
		for x := range pixels {
			want := 0.0
			for i := y * side / pixels; i < (y+1)*side/pixels; i++ {
				for j := x * side / pixels; j < (x+1)*side/pixels; j++ {
					if w := float64(matrix[i*side+j]); !math.IsNaN(want) && !(math.Abs(w) <= math.Abs(want)) {
						want = w
					}
				}
			}
			got := color.NRGBAModel.Convert(p.At(area.Min.X+x, area.Min.Y+y))
			if math.IsNaN(want) || math.IsInf(want, 0) {
				if got != green {
					t.Errorf("pixel %d, %d stands for %g: got %v, want green", x, y, want, got)
				}
			} else if shown := valueOf(scale, got); math.Abs(math.Abs(shown)-math.Abs(want)) > 1./resolution {
				t.Errorf("pixel %d, %d: got %g, want %g", x, y, shown, want)
			}
		}
	}
}

// Reading and drawing create nothing on the device after the first pictures.
func TestPicturesCreateNothing(t *testing.T) {
	v := open(t, "d32-delta", text)
	var before gpu.Stats
	for range 5 {
		readTokens(t, v, 4)
		v.Draw(Status{Rate: float64(v.Position())})
		if err := v.model.Backend.Flush(); err != nil {
			t.Fatal(err)
		}
		after := v.canvas.dev.Stats()
		after.Dispatches, after.Submits = 0, 0
		if v.Position() > 8 && after != before {
			t.Errorf("%+v became %+v", before, after)
		}
		before = after
	}
}

func TestTextOfThePicture(t *testing.T) {
	v := open(t, "d32-delta", text)
	readTokens(t, v, 5)
	p := picture(t, v, Status{Rate: 12.34, Note: "paused", Help: "Q: quit"})
	state := fmt.Sprintf("token 5 of %d   12.3 tokens/s   paused", v.Tokens())
	n := len(state)
	if got := written(v, p, Width-margin-n*cellWidth, 14, n); got != state {
		t.Errorf("got %q, want %q", got, state)
	}
	for at, want := range map[image.Point]string{
		{margin, 14}:                                    "d32-delta   2 layers, delta mixer",
		{mapArea.Min.X, headingsY}:                      "memory W of layer 0 (8 × 8)",
		{mapArea.Min.X, panelsY}:                        "head 0",
		{v.right, headingsY}:                            "inner loss |v - W k|² of each layer",
		{v.right, v.thumbsTop() - cellHeight - 4}:       "memories of the layers, each on its own scale",
		{v.scale.Min.X, v.scale.Max.Y + 6}:              "own scale",
		{v.scale.Min.X, v.scale.Max.Y + 6 + cellHeight}: "of layer 0",
	} {
		if got := written(v, p, at.X, at.Y, len([]rune(want))); got != want {
			t.Errorf("got %q at %v, want %q", got, at, want)
		}
	}
	first, _, _ := strings.Cut(text, "\n")
	var shown strings.Builder
	for _, l := range v.script.visible(v.read)[0] {
		for r, place := range v.atlas.place {
			if place == l.glyph {
				shown.WriteRune(r)
			}
		}
	}
	if shown.String() != first {
		t.Errorf("got %q in the text panel, want %q", shown.String(), first)
	}
}

// A memory that runs away ends the reading with the token, and can still be seen.
func TestNotFinite(t *testing.T) {
	ops, l := operations(t), load(t, "d32-none")
	l.Config.InnerLR = 1e30
	m, err := nn.NewModel(ops, l.Config, l.Weights)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Release)
	v, err := New(ops, m, l.Tokenizer, "d32-none", text, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	for more := true; more && err == nil; {
		more, err = v.Advance()
	}
	if want := fmt.Sprintf("not finite after token %d", v.Position()); !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	picture(t, v, Status{})
}
