package view

import "image"

// The largest number of rectangles and glyphs of a page; more are left out.
const (
	maxRectangles = 4096
	maxGlyphs     = 4096
)

// page holds what the host draws of a picture.
type page struct {
	atlas      *atlas
	rectangles []uint32 // four words each, as view/rectangles.wgsl has them
	glyphs     []uint32 // four words each, as view/glyphs.wgsl has them
}

// pair packs two coordinates into a word.
func pair(x, y int) uint32 { return uint32(x) | uint32(y)<<16 }

// fill draws a rectangle, which must not overlap any before it.
func (p *page) fill(r image.Rectangle, pixel uint32) {
	r = r.Intersect(image.Rect(0, 0, Width, Height))
	if len(p.rectangles) < 4*maxRectangles && !r.Empty() {
		p.rectangles = append(p.rectangles, pair(r.Min.X, r.Min.Y), pair(r.Dx(), r.Dy()), pixel, 0)
	}
}

// frame draws a line of one pixel around r.
func (p *page) frame(r image.Rectangle, pixel uint32) {
	o := r.Inset(-1)
	p.fill(image.Rect(o.Min.X, o.Min.Y, o.Max.X, r.Min.Y), pixel)
	p.fill(image.Rect(o.Min.X, r.Max.Y, o.Max.X, o.Max.Y), pixel)
	p.fill(image.Rect(o.Min.X, r.Min.Y, r.Min.X, r.Max.Y), pixel)
	p.fill(image.Rect(r.Max.X, r.Min.Y, o.Max.X, r.Max.Y), pixel)
}

// put draws one glyph with its upper left corner at x, y: one of the atlas or, if axis is the number of an axis plus 1, one of the
// row of labels that this axis has.
func (p *page) put(x, y int, glyph, pixel, axis uint32) {
	if len(p.glyphs) < 4*maxGlyphs && x >= 0 && y >= 0 && x+cellWidth <= Width && y+cellHeight <= Height {
		p.glyphs = append(p.glyphs, pair(x, y), glyph, pixel, axis)
	}
}

// write draws a line of text, and returns where it ends.
func (p *page) write(x, y int, text string, pixel uint32) int {
	for _, r := range text {
		p.put(x, y, p.atlas.glyph(r), pixel, 0)
		x += cellWidth
	}
	return x
}

// number draws the number at marks[mark] of an axis, whose range the device chooses, to the left or right of x.
func (p *page) number(x, y, mark, alignment, axis int, pixel uint32) {
	if alignment == right {
		x -= labelWidth * cellWidth
	}
	for i := range labelWidth {
		p.put(x+i*cellWidth, y, uint32(labelPlace(mark, alignment)+i), pixel, uint32(1+axis))
	}
}

func (p *page) tickLeft(x, y int, label string) {
	p.fill(image.Rect(x-6, y, x-1, y+1), line)
	p.write(x-9-cellWidth*len(label), y-cellHeight/2, label, ink)
}

func (p *page) tickBelow(x, y int, label string) {
	p.fill(image.Rect(x, y+1, x+1, y+5), line)
	p.write(x-cellWidth*len(label)/2, y+6, label, ink)
}
