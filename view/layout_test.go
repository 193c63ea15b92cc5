package view

import (
	"image"
	"slices"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/webgpu"
)

// For any sizes of a model, its maps and frames lie within their panels, and nothing that is drawn in no particular order overlaps.
func TestLayout(t *testing.T) {
	a, err := newAtlas()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []nn.Config{
		{Layers: 1, MemoryWidth: 1, Heads: 1, Mixer: nn.MixerTied},
		{Layers: 8, MemoryWidth: 64, Heads: 1, Mixer: nn.MixerTied},
		{Layers: 24, MemoryWidth: 256, Heads: 4, Mixer: nn.MixerDelta},
		{Layers: 48, MemoryWidth: 2048, Heads: 1, Mixer: nn.MixerTied},
		{Layers: 1, MemoryWidth: 128, Heads: 2, Mixer: nn.MixerDelta},
		{Layers: 8, MemoryWidth: 128, Heads: 2, Mixer: nn.MixerDelta},
		{Layers: 4, MemoryWidth: 1024, Heads: 8, Mixer: nn.MixerDelta},
		{Layers: 300, MemoryWidth: 192, Heads: 3, Mixer: nn.MixerDelta},
		{Layers: 12, MemoryWidth: 1024, Heads: 16, Mixer: nn.MixerDelta},
		{Layers: 3, MemoryWidth: 512, Heads: 512, Mixer: nn.MixerDelta},
	} {
		for _, selected := range []int{0, c.Layers - 1} {
			v := &View{
				model: &nn.Model[*webgpu.Tensor]{Config: c}, selected: selected, tokens: make([]uint32, 5000), readings: 1, read: 4000, atlas: a,
				layout: layoutOf(matricesOf(c)), colours: layerColours(c.Layers), script: letters(a),
			}
			p := v.compose(Status{Rate: 1, Note: "paused", Help: "help"})
			areas := append([]image.Rectangle{v.scale}, HeatMaps(c, 0)...)
			for _, r := range areas[1:] {
				if r.Empty() || !r.In(mapArea) || r.Dx() != r.Dy() || r.Dx()%c.HeadWidth() != 0 && r.Dx() > c.HeadWidth() {
					t.Errorf("%+v: a heat map at %v", c, r)
				}
			}
			first, list := v.thumbs(selected)
			if c.Layers == 1 {
				if len(list) > 0 || v.chartArea().Max.Y < 600 {
					t.Errorf("%+v: one layer has small maps at %v, the curves are at %v", c, list, v.chartArea())
				}
			} else if selected < first || selected >= first+len(list) || first+len(list) > c.Layers {
				t.Errorf("%+v: layers %d to %d are shown, not %d", c, first, first+len(list)-1, selected)
			}
			for _, area := range list {
				for _, r := range matricesOf(c)[0].in(area, 0, 1) {
					if !r.In(area) || !area.In(image.Rect(v.right, v.thumbsTop(), Width-margin, bottomY)) {
						t.Errorf("%+v: a small map at %v in %v", c, r, area)
					}
					areas = append(areas, r)
				}
			}
			for i := 0; i < len(p.rectangles); i += 4 {
				at := image.Pt(int(p.rectangles[i]&0xffff), int(p.rectangles[i]>>16))
				size := image.Pt(int(p.rectangles[i+1]&0xffff), int(p.rectangles[i+1]>>16))
				areas = append(areas, image.Rectangle{Min: at, Max: at.Add(size)})
			}
			// What the small maps leave is the chart's, whose lines lie under its curves.
			if r := v.chartArea(); r.Dy() < 200 || r.Dx() < 400 || len(list) > 0 && r.Max.Y+3*cellHeight > v.thumbsTop() {
				t.Errorf("%+v: the curves at %v, the small maps from %d on", c, r, v.thumbsTop())
			}
			// What the large maps leave of the width is the curves'.
			used := image.Rectangle{}
			for _, r := range HeatMaps(c, 0) {
				used = used.Union(r)
			}
			if part := float64(used.Dx()*used.Dy()) / float64((v.right-mapArea.Min.X-besideMaps-scaleWidth-besideEnd)*mapArea.Dy()); part < 0.6 {
				t.Errorf("%+v: the large maps use %.2f of their panel", c, part)
			}
			for i, r := range areas {
				if !r.In(image.Rect(0, 0, Width, Height)) {
					t.Errorf("%+v: %v lies outside of the picture", c, r)
				}
				for _, other := range areas[:i] {
					if r.Overlaps(other) {
						t.Errorf("%+v: %v and %v overlap", c, other, r)
					}
				}
			}
			if len(p.rectangles) >= 4*maxRectangles || len(p.glyphs) >= 4*maxGlyphs {
				t.Errorf("%+v: %d rectangles and %d glyphs, something is left out", c, len(p.rectangles)/4, len(p.glyphs)/4)
			}
		}
	}
}

// letters is a text of many lines with a token a letter.
func letters(a *atlas) *script {
	s := &script{lines: make([][]letter, 1)}
	for i := range 5000 {
		r := 'x'
		if i%(2*columns) == columns+1 {
			r = '\n'
		}
		s.add(r, int32(i), a)
		s.lineOf = append(s.lineOf, int32(len(s.lines)-1))
	}
	return s
}

func TestScript(t *testing.T) {
	a, err := newAtlas()
	if err != nil {
		t.Fatal(err)
	}
	s := letters(a)
	for read := range len(s.lineOf) + 1 {
		visible, found := s.visible(read), read == 0
		for _, line := range visible {
			for _, l := range line {
				found = found || int(l.token) == read-1 || s.lineOf[read-1] != s.lineOf[max(read-2, 0)]
			}
		}
		if len(visible) != lines || !found {
			t.Fatalf("%d tokens read: %d lines, the last token in them: %t", read, len(visible), found)
		}
	}
	if a.glyph('日') != a.glyph(unknown) || a.glyph('ж') == a.glyph(unknown) || a.glyph('é') == a.glyph('e') {
		t.Error("characters and their glyphs do not match")
	}
}

// Ticks are round, as many as there is room for and no less than half of that.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high, most int
		want            []int
	}{
		{1, 13, 7, []int{2, 4, 6, 8, 10, 12}}, {1, 2, 7, []int{1, 2}}, {489, 1000, 7, []int{500, 600, 700, 800, 900, 1000}},
		{1, 512, 7, []int{100, 200, 300, 400, 500}}, {1, 7, 7, []int{1, 2, 3, 4, 5, 6, 7}}, {0, 2799, 8, []int{0, 500, 1000, 1500, 2000, 2500}},
	} {
		if got := ticks(c.low, c.high, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%d to %d, %d at most: got %v, want %v", c.low, c.high, c.most, got, c.want)
		}
	}
}
