package view

import (
	"image"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/webgpu"
)

// Whatever the model's sizes, its maps and frames lie inside of their panels, and no two of what is drawn without order
// overlap.
func TestLayout(t *testing.T) {
	a, err := newAtlas()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []nn.Config{
		{Layers: 1, MemoryWidth: 1, Heads: 1},
		{Layers: 8, MemoryWidth: 64, Heads: 1},
		{Layers: 24, MemoryWidth: 256, Heads: 4, Mixer: nn.MixerDelta},
		{Layers: 48, MemoryWidth: 2048, Heads: 1},
		{Layers: 300, MemoryWidth: 192, Heads: 3, Mixer: nn.MixerDelta},
		{Layers: 12, MemoryWidth: 1024, Heads: 16, Mixer: nn.MixerDelta},
		{Layers: 3, MemoryWidth: 512, Heads: 512, Mixer: nn.MixerDelta},
	} {
		for _, selected := range []int{0, c.Layers - 1} {
			v := &View{
				model: &nn.Model[*webgpu.Tensor]{Config: c}, selected: selected, tokens: make([]uint32, 5000), read: 4000, atlas: a,
				colours: layerColours(c.Layers), script: letters(a),
			}
			p := v.compose(Status{Rate: 1, Note: "paused", Help: "help"})
			areas := append([]image.Rectangle{scaleArea, chartArea}, HeatMaps(c)...)
			for _, r := range areas[2:] {
				if r.Empty() || !r.In(mapArea) || r.Dx() != r.Dy() || r.Dx()%c.HeadWidth() != 0 && r.Dx() > c.HeadWidth() {
					t.Errorf("%+v: a heat map at %v", c, r)
				}
			}
			first, list := thumbs(c.Layers, selected)
			if selected < first || selected >= first+len(list) || first+len(list) > c.Layers {
				t.Errorf("%+v: layers %d to %d are shown, not %d", c, first, first+len(list)-1, selected)
			}
			for _, area := range list {
				for _, r := range maps(area, c, 0, 1) {
					if !r.In(area) || !area.In(thumbsArea) {
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
			// The lines of the chart lie under its curves.
			areas[1] = image.Rectangle{}
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
