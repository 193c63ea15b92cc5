package view

import (
	"fmt"
	"image"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// The size in pixels of a glyph's cell; all glyphs are equally wide.
const (
	cellWidth  = 9
	cellHeight = 18
	fontSize   = 15 // pixels an em
	baseline   = 14 // below the top of the cell
)

// unknown stands for characters that the font lacks.
const unknown = '\uFFFD'

// atlas is a font in the form that a kernel reads.
type atlas struct {
	coverage []byte // (glyphs, cellHeight, cellWidth), 255 = inside of the glyph
	place    map[rune]uint32
}

// newAtlas draws every glyph of the basic multilingual plane that Go Mono has: Latin, Greek, Cyrillic and symbols.
func newAtlas() (*atlas, error) {
	parsed, err := opentype.Parse(gomono.TTF)
	if err != nil {
		return nil, fmt.Errorf("view: the built-in font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: fontSize, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("view: the built-in font: %w", err)
	}
	defer face.Close()
	a := &atlas{place: map[rune]uint32{}}
	for r := ' '; r <= unknown; r++ {
		if index, err := parsed.GlyphIndex(nil, r); err != nil || index == 0 {
			continue
		}
		cell := image.NewAlpha(image.Rect(0, 0, cellWidth, cellHeight))
		drawer := font.Drawer{Dst: cell, Src: image.Opaque, Face: face, Dot: fixed.P(0, baseline)}
		drawer.DrawString(string(r))
		a.place[r] = uint32(len(a.place))
		a.coverage = append(a.coverage, cell.Pix...)
	}
	if _, ok := a.place[unknown]; !ok {
		return nil, fmt.Errorf("view: the built-in font has no sign for an unknown character")
	}
	return a, nil
}

// glyph returns a character's place in the atlas.
func (a *atlas) glyph(r rune) uint32 {
	if place, ok := a.place[r]; ok {
		return place
	}
	return a.place[unknown]
}
