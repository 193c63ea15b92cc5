package view

import (
	"fmt"
	"image"
	"math"
	"strconv"
)

// Colours of the picture.
const (
	white     = 0xffffffff
	ink       = 0xff202020
	faint     = 0xffa0a0a0
	line      = 0xff808080
	earlier   = 0xff505050 // the first of two readings
	grid      = 0xffe4e4e4
	highlight = 0xff60d8ff
)

// layerColours returns the colours of the layers' curves: hues around the circle, dark enough for a white background.
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

// Status is what a picture says about the program that draws it.
type Status struct {
	Rate float64 // tokens per second, 0: not known yet
	Note string  // behind the rate, such as "paused"
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
	p.write(margin, Height-cellHeight-2, s.Help, line)
	return p
}

// ordinals count the readings of a text.
var ordinals = [...]string{"first", "second"}

func (v *View) composeHeader(p *page, s Status) {
	p.write(margin, 14, fmt.Sprintf("%s   %d layers, %s", v.name, v.model.Config.Layers, v.model.Config.Kind()), ink)
	reading, read := v.place()
	state := fmt.Sprintf("token %d of %d", read, len(v.tokens))
	if v.readings > 1 {
		state = ordinals[reading] + " reading, " + state
	}
	if s.Rate > 0 {
		state += fmt.Sprintf("   %.3g tokens/s", s.Rate)
	}
	if s.Note != "" {
		state += "   " + s.Note
	}
	p.write(Width-margin-cellWidth*len([]rune(state)), 14, state, ink)
}

func (v *View) composeMaps(p *page) {
	m := v.shown[v.selected]
	title, row, column := fmt.Sprintf("%s of layer %d (%d × %d)", m.title, v.selected, m.rows, m.columns), "row", "column"
	if m.tokens {
		title, row, column = fmt.Sprintf("%s of layer %d (last %d tokens × %d)", m.title, v.selected, m.rows, m.columns), "", "channel"
	}
	p.write(mapArea.Min.X, headingsY, title, ink)
	list, first := m.large(), m.first(v.read)
	across, _ := m.grid(mapArea.Size(), m.label(), m.gap())
	for head, r := range list {
		p.frame(r, line)
		if label := fmt.Sprintf("head %d", head); m.labelled() && cellWidth*len(label) <= r.Dx() {
			p.write(r.Min.X, r.Min.Y-cellHeight, label, ink)
		}
		if head%across == 0 {
			step := tickStep(m.rows, max(r.Dy(), 1), 36)
			for i := 0; i < m.rows; i += step {
				number := i
				if m.tokens {
					number = first + i + 1 // as the chart counts them
				}
				p.tickLeft(r.Min.X, r.Min.Y+(2*i+1)*r.Dy()/(2*m.rows), strconv.Itoa(number))
			}
		}
		if head+across >= m.heads {
			step := tickStep(m.columns, max(r.Dx(), 1), 36)
			for i := 0; i < m.columns; i += step {
				p.tickBelow(r.Min.X+(2*i+1)*r.Dx()/(2*m.columns), r.Max.Y, strconv.Itoa(i))
			}
		}
	}
	last := list[len(list)-1]
	p.write(margin-cellWidth, headingsY, row, ink)
	p.write(mapArea.Min.X, last.Max.Y+6+cellHeight, column, ink)
	p.frame(v.scale, line)
	p.write(v.scale.Min.X, headingsY, "w", ink)
	for i := range marks {
		y := v.scale.Min.Y + i*(v.scale.Dy()-1)/(len(marks)-1)
		p.fill(image.Rect(v.scale.Max.X+1, y, v.scale.Max.X+6, y+1), line)
		p.number(v.scale.Max.X+12, y-cellHeight/2, i, left, v.selected, ink)
	}
	p.write(v.scale.Min.X, v.scale.Max.Y+6, "own scale", ink)
	p.write(v.scale.Min.X, v.scale.Max.Y+6+cellHeight, fmt.Sprintf("of layer %d", v.selected), ink)
}

// chart lists the losses that a picture shows as curves, the last one on top.
type chart struct {
	room    int  // tokens of the axis
	reach   int  // tokens to either side that the means are over which are drawn, 0: the losses themselves
	between bool // what is between the first two curves is filled
	curves  []curve
}

// curve describes the losses of one layer over some tokens, which are counted through all readings.
type curve struct {
	layer, first, tokens int
	colour               uint32
}

// words returns the curves in the form of view/curves.wgsl.
func (k chart) words() []uint32 {
	list := []uint32{uint32(len(k.curves)), 0, 0, 0}
	for _, c := range k.curves {
		list = append(list, uint32(c.layer), uint32(c.first), uint32(c.tokens), c.colour)
	}
	return list
}

// chart returns the curves of all layers or, for a text that is read twice, those of the selected layer, one for each reading.
func (v *View) chart() chart {
	reading, read := v.place()
	first, room := v.axis(read)
	k := chart{room: room, reach: reach(room), between: reading > 0}
	add := func(layer, reading, tokens int, colour uint32) {
		k.curves = append(k.curves, curve{layer, reading*len(v.tokens) + first, tokens, colour})
	}
	layer := v.selected
	if _, learns := v.model.Config.Learning(); !learns {
		layer = 0 // the one curve there is
	} else if v.readings == 1 {
		for other, colour := range v.colours {
			if other != v.selected {
				add(other, 0, read-first, colour)
			}
		}
	}
	if reading > 0 {
		add(layer, 0, len(v.tokens), v.colourOf(0))
	}
	add(layer, reading, read-first, v.colourOf(reading))
	return k
}

// colourOf returns the colour of the selected layer's curve in a reading.
func (v *View) colourOf(reading int) uint32 {
	_, learns := v.model.Config.Learning()
	switch {
	case v.readings > 1 && reading == 0:
		return earlier
	case !learns && v.readings == 1:
		return ink
	}
	return v.colours[v.selected]
}

func (v *View) composeChart(p *page) {
	how, learns := v.model.Config.Learning()
	title, of := "inner loss "+how.Loss, fmt.Sprintf(", layer %d", v.selected)
	switch {
	case !learns:
		title = "loss of each token in nats"
	case v.readings == 1:
		title += " of each layer"
	default:
		title += of
	}
	p.write(v.right, headingsY, title, ink)
	v.composeReadings(p)
	r := v.chartArea()
	for i, m := range marks[:3] {
		y := r.Min.Y + int(math.Round((1-m)*float64(r.Dy()-1)))
		p.fill(image.Rect(r.Min.X, y, r.Max.X, y+1), grid)
		p.number(r.Min.X-8, y-cellHeight/2, i, right, lossAxis(v.model.Config), ink)
	}
	_, read := v.place()
	first, room := v.axis(read)
	for _, t := range ticks(first+1, first+room, r.Dx()/60) {
		p.tickBelow(r.Min.X+(t-first-1)*(r.Dx()-1)/(room-1), r.Max.Y, strconv.Itoa(t))
	}
	p.fill(image.Rect(r.Min.X-1, r.Min.Y, r.Min.X, r.Max.Y), line)
	p.fill(image.Rect(r.Min.X-1, r.Max.Y, r.Max.X, r.Max.Y+1), line)
	label := "token"
	if n := reach(room); n > 0 {
		label = fmt.Sprintf("token; lines: means of %d tokens", 2*n+1)
	}
	p.write((r.Min.X+r.Max.X-cellWidth*len(label))/2, r.Max.Y+6+cellHeight, label, ink)
}

// composeReadings says of a text that is read twice which curve is which reading, and how they compare.
func (v *View) composeReadings(p *page) {
	if v.readings == 1 {
		return
	}
	const y = headingsY + cellHeight
	mean, ok := v.means()
	if !ok {
		p.write(v.right, y, ordinals[0]+" reading", v.colourOf(0))
		return
	}
	x := p.write(v.right, y, "mean: ", ink)
	x = p.write(x, y, fmt.Sprintf("%s reading %.3g", ordinals[0], mean[0]), v.colourOf(0))
	x = p.write(x, y, ", ", ink)
	p.write(x, y, fmt.Sprintf("%s %.3g%s", ordinals[1], mean[1], change(mean[0], mean[1])), v.colourOf(1))
}

// change says how a number compares with an earlier one.
func change(from, to float64) string {
	part := 100 * (to/from - 1)
	switch {
	case math.IsNaN(part) || math.IsInf(part, 0):
		return ""
	case math.Round(part) == 0:
		return ", the same"
	case part < 0:
		return fmt.Sprintf(", %.0f %% lower", -part)
	}
	return fmt.Sprintf(", %.0f %% higher", part)
}

func (v *View) composeThumbs(p *page) {
	first, areas := v.thumbs(v.selected)
	if len(areas) > 0 {
		p.write(v.right, v.thumbsTop()-cellHeight-4, "memories of the layers, each on its own scale", ink)
	}
	for i, r := range areas {
		layer, y := first+i, r.Min.Y-thumbsLabel
		x := p.write(r.Min.X, y, strconv.Itoa(layer), v.colours[layer]) + cellWidth
		if x+(1+shortLabel)*cellWidth <= r.Max.X {
			p.number(p.write(x, y, "±", ink), y, 0, left, layer, ink)
		}
		heads := image.Rectangle{}
		for _, head := range v.shown[layer].in(r, 0, 1) {
			heads = heads.Union(head)
		}
		if layer == v.selected {
			p.frame(heads.Inset(-2), v.colours[layer])
		}
		p.frame(heads.Inset(-1), v.colours[layer])
	}
}

func (v *View) composeText(p *page) {
	p.write(textAt.X, textAt.Y-cellHeight-6, "text, with the token read last", ink)
	p.fill(image.Rect(textAt.X, textAt.Y-4, Width-margin, textAt.Y-3), grid)
	_, read := v.place()
	for row, letters := range v.script.visible(read) {
		for column, l := range letters {
			x, y := textAt.X+column*cellWidth, textAt.Y+row*cellHeight
			colour := uint32(ink)
			switch {
			case int(l.token) >= read:
				colour = faint
			case int(l.token) == read-1:
				p.fill(image.Rect(x, y, x+cellWidth, y+cellHeight), highlight)
			}
			p.put(x, y, l.glyph, colour, 0)
		}
	}
}
