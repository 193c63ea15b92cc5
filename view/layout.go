package view

import (
	"fmt"
	"image"
	"math"
	"strconv"

	"bitgpu/nn"
	"bitgpu/wgsl"
)

// Width and Height are a picture's size in pixels.
const (
	Width  = 1280
	Height = 800
)

// Where things lie.
const (
	margin    = 24
	headingsY = 48 // of the upper row of panels
	panelsY   = 76
)

var (
	mapArea    = image.Rect(72, panelsY, 72+480, panelsY+480)
	scaleArea  = image.Rect(584, panelsY, 584+18, panelsY+480)
	chartArea  = image.Rect(800, panelsY, Width-margin, panelsY+200)
	thumbsArea = image.Rect(720, 354, Width-margin, 594)
	textAt     = image.Pt(margin, 636)
)

// HeatScale is where a picture has its colour scale: the end of the range at the top, its negative at the bottom.
func HeatScale() image.Rectangle { return scaleArea }

// HeatMaps is where a picture has the large heat maps of the selected layer, one a head, row 0 of the matrix at the top.
func HeatMaps(c nn.Config) []image.Rectangle {
	label, gap := 0, 2
	if labelled(c) {
		label, gap = cellHeight, 12
	}
	list := maps(mapArea, c, label, gap)
	for i, r := range list {
		// An element has a whole number of pixels where there is room.
		if size := c.HeadWidth(); size <= r.Dx() {
			list[i].Max = r.Min.Add(image.Pt(r.Dx()/size*size, r.Dx()/size*size))
		}
	}
	return list
}

// labelled says whether the large maps have their heads' numbers above them: one needs none, too many have no room.
func labelled(c nn.Config) bool { return c.Heads > 1 && c.Heads <= 36 }

// maps places one layer's heads in an area, row by row, with a gap between them and room for a label above each.
func maps(area image.Rectangle, c nn.Config, label, gap int) []image.Rectangle {
	across := int(math.Ceil(math.Sqrt(float64(c.Heads))))
	down := (c.Heads + across - 1) / across
	side := max(0, min((area.Dx()-(across-1)*gap)/across, (area.Dy()-(down-1)*gap)/down-label))
	var list []image.Rectangle
	for head := range c.Heads {
		at := area.Min.Add(image.Pt(head%across*(side+gap), head/across*(side+gap+label)+label))
		list = append(list, image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))})
	}
	return list
}

// mostThumbs is how many layers are shown small at once.
const mostThumbs = 64

// thumbs places the layers' small maps: the first layer shown and an area each.
func thumbs(layers, selected int) (first int, areas []image.Rectangle) {
	first = selected / mostThumbs * mostThumbs
	n := min(layers-first, mostThumbs)
	const gap = 8
	best, across := 0, 1
	for k := 1; k <= n; k++ {
		down := (n + k - 1) / k
		if side := min(thumbsArea.Dx()/k-gap, thumbsArea.Dy()/down-gap-cellHeight); side > best {
			best, across = side, k
		}
	}
	for i := range n {
		at := thumbsArea.Min.Add(image.Pt(i%across*(best+gap), i/across*(best+gap+cellHeight)+cellHeight))
		areas = append(areas, image.Rectangle{Min: at, Max: at.Add(image.Pt(best, best))})
	}
	return first, areas
}

// axis is how many tokens the chart has room for, and the first of them, when `read` were read. It is what
// view/curves.wgsl has as well.
func axis(read int) (first, room int) {
	room = wgsl.ShortestAxis
	for room < read && room < history {
		room *= 2
	}
	return max(read, room) - room, room
}

// tickStep is the least of 1, 2, 4, 8, … so that ticks of that many elements lie `apart` pixels apart or more.
func tickStep(elements, pixels, apart int) int {
	step := 1
	for step < elements && step*pixels < apart*elements {
		step *= 2
	}
	return step
}

// colours of the picture.
const (
	white     = 0xffffffff
	ink       = 0xff202020
	faint     = 0xffa0a0a0
	line      = 0xff808080
	grid      = 0xffe4e4e4
	highlight = 0xff60d8ff
)

// layerColours are the layers' curves: hues around the circle, dark enough for white paper.
func layerColours(layers int) []uint32 {
	list := make([]uint32, layers)
	for i := range list {
		var c [3]float64
		for k := range c {
			turn := 2 * math.Pi * (float64(i)/float64(layers) - float64(k)/3)
			c[k] = 0.4 + 0.4*math.Cos(turn)
		}
		list[i] = uint32(255*c[0]) | uint32(255*c[1])<<8 | uint32(255*c[2])<<16 | 0xff<<24
	}
	return list
}

// Status is what a picture says of its making.
type Status struct {
	Rate float64 // tokens a second, 0 = not known yet
	Note string  // after it, such as "paused"
	Help string  // the last line
}

// compose lists the rectangles and glyphs of a picture.
func (v *View) compose(s Status) *page {
	p := &page{atlas: v.atlas}
	v.composeHeader(p, s)
	v.composeMaps(p)
	v.composeChart(p)
	v.composeThumbs(p)
	v.composeText(p)
	p.write(margin, Height-cellHeight-8, s.Help, line)
	return p
}

func (v *View) composeHeader(p *page, s Status) {
	c := v.model.Config
	p.write(margin, 14, fmt.Sprintf("%s   %d layers, %s mixer", v.name, c.Layers, c.Mixer), ink)
	state := fmt.Sprintf("token %d of %d", v.read, len(v.tokens))
	if s.Rate > 0 {
		state += fmt.Sprintf("   %.3g tokens/s", s.Rate)
	}
	if s.Note != "" {
		state += "   " + s.Note
	}
	p.write(Width-margin-cellWidth*len([]rune(state)), 14, state, ink)
}

func (v *View) composeMaps(p *page) {
	c := v.model.Config
	size := c.HeadWidth()
	p.write(mapArea.Min.X, headingsY, fmt.Sprintf("memory W of layer %d (%d × %d)", v.selected, size, size), ink)
	list := HeatMaps(c)
	across := int(math.Ceil(math.Sqrt(float64(c.Heads))))
	for head, r := range list {
		p.frame(r, line)
		if label := fmt.Sprintf("head %d", head); labelled(c) && cellWidth*len(label) <= r.Dx() {
			p.write(r.Min.X, r.Min.Y-cellHeight, label, ink)
		}
		step := tickStep(size, max(r.Dx(), 1), 36)
		for i := 0; i < size; i += step {
			middle := (2*i + 1) * r.Dx() / (2 * size)
			if head%across == 0 {
				p.tickLeft(r.Min.X, r.Min.Y+middle, strconv.Itoa(i))
			}
			if head+across >= c.Heads {
				p.tickBelow(r.Min.X+middle, r.Max.Y, strconv.Itoa(i))
			}
		}
	}
	last := list[len(list)-1]
	p.write(margin-cellWidth, headingsY, "row", ink)
	p.write(mapArea.Min.X, last.Max.Y+6+cellHeight, "column", ink)
	p.frame(scaleArea, line)
	p.write(scaleArea.Min.X, headingsY, "w", ink)
	for i := range marks {
		y := scaleArea.Min.Y + i*(scaleArea.Dy()-1)/(len(marks)-1)
		p.fill(image.Rect(scaleArea.Max.X+1, y, scaleArea.Max.X+6, y+1), line)
		p.number(scaleArea.Max.X+12, y-cellHeight/2, i, left, memoryAxis)
	}
}

func (v *View) composeChart(p *page) {
	of := "|z - k|²"
	if v.model.Config.Delta() {
		of = "|v - W k|²"
	}
	p.write(720, headingsY, "inner loss "+of+" of each layer", ink)
	r := chartArea
	for i, m := range marks[:3] {
		y := r.Min.Y + int(math.Round((1-m)*float64(r.Dy()-1)))
		p.fill(image.Rect(r.Min.X, y, r.Max.X, y+1), grid)
		p.number(r.Min.X-8, y-cellHeight/2, i, right, lossAxis)
	}
	first, room := axis(v.read)
	for i := 0; i <= 4; i++ {
		t := i * (room - 1) / 4
		x := r.Min.X + t*(r.Dx()-1)/(room-1)
		p.tickBelow(x, r.Max.Y, strconv.Itoa(first+t+1))
	}
	p.fill(image.Rect(r.Min.X-1, r.Min.Y, r.Min.X, r.Max.Y), line)
	p.fill(image.Rect(r.Min.X-1, r.Max.Y, r.Max.X, r.Max.Y+1), line)
	p.write((r.Min.X+r.Max.X)/2-2*cellWidth, r.Max.Y+6+cellHeight, "token", ink)
}

func (v *View) composeThumbs(p *page) {
	p.write(thumbsArea.Min.X, thumbsArea.Min.Y-cellHeight-4, "memories of the layers, in the colours of their curves", ink)
	first, areas := thumbs(v.model.Config.Layers, v.selected)
	for i, r := range areas {
		p.write(r.Min.X, r.Min.Y-cellHeight, strconv.Itoa(first+i), v.colours[first+i])
		heads := image.Rectangle{}
		for _, head := range maps(r, v.model.Config, 0, 1) {
			heads = heads.Union(head)
		}
		r = heads
		if first+i == v.selected {
			p.frame(r.Inset(-2), v.colours[first+i])
		}
		p.frame(r.Inset(-1), v.colours[first+i])
	}
}

func (v *View) composeText(p *page) {
	p.write(textAt.X, textAt.Y-cellHeight-6, "text, with the token read last", ink)
	p.fill(image.Rect(textAt.X, textAt.Y-4, Width-margin, textAt.Y-3), grid)
	for row, letters := range v.script.visible(v.read) {
		for column, l := range letters {
			x, y := textAt.X+column*cellWidth, textAt.Y+row*cellHeight
			colour := uint32(ink)
			switch {
			case int(l.token) >= v.read:
				colour = faint
			case int(l.token) == v.read-1:
				p.fill(image.Rect(x, y, x+cellWidth, y+cellHeight), highlight)
			}
			p.put(x, y, l.glyph, colour, 0)
		}
	}
}
