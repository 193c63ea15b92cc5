package view

import (
	"image"
	"math"

	"bitgpu/nn"
)

// Width and Height are a picture's size in pixels.
const (
	Width  = 1280
	Height = 800
)

// The places of the picture's parts.
const (
	margin    = 24
	headingsY = 48 // of the upper row of panels
	panelsY   = 76
)

const (
	besideMaps = 24 // from the large maps to their colour scale
	scaleWidth = 18
	besideEnd  = 106            // from there to what stands to the right: the scale's numbers
	bottomY    = 660            // of the panels
	titleWidth = 38 * cellWidth // of a title of the large maps at most, but for a large model's
)

var (
	mapArea = image.Rect(72, panelsY, 72+532, panelsY+562) // that the large maps may take
	textAt  = image.Pt(margin, 706)
)

// layout is where the parts of a model's pictures stand: what the large maps leave is for the chart and the small maps.
type layout struct {
	shown        []matrices // (N)
	scale        image.Rectangle
	right        int // x of what stands beside the large maps
	across, down int // heads of a small map
}

// layoutOf returns the layout for what is shown of each layer. It is the same whichever is shown large.
func layoutOf(shown []matrices) layout {
	l := layout{shown: shown, across: 1, down: 1}
	end := mapArea.Min.X + titleWidth
	for _, m := range shown {
		for _, r := range m.large() {
			end = max(end, r.Max.X)
		}
		across, down := m.grid(mapArea.Size(), m.label(), m.gap())
		l.across, l.down = max(l.across, across), max(l.down, down)
	}
	l.scale = image.Rect(end+besideMaps, panelsY, end+besideMaps+scaleWidth, mapArea.Max.Y)
	l.right = l.scale.Max.X + besideEnd
	return l
}

// HeatScale returns the place of the colour scale in the pictures of a model: the end of the range is at the top, its negative at the
// bottom.
func HeatScale(c nn.Config) image.Rectangle { return layoutOf(matricesOf(c)).scale }

// HeatMaps returns the places of a layer's large heat maps, one per head, with row 0 of the matrix at the top.
func HeatMaps(c nn.Config, layer int) []image.Rectangle { return matricesOf(c)[layer].large() }

// large places the matrices in the large panel.
func (m matrices) large() []image.Rectangle {
	list := m.in(mapArea, m.label(), m.gap())
	for i, r := range list {
		// If there is room, an element takes a whole number of pixels.
		if each := r.Dx() / max(m.rows, m.columns); each > 0 {
			list[i].Max = r.Min.Add(image.Pt(each*m.columns, each*m.rows))
		}
	}
	return list
}

// labelled reports whether the large maps have the numbers of their heads above them: a single one needs none, and many leave no
// room.
func (m matrices) labelled() bool { return m.heads > 1 && m.heads <= 36 }

// label is the height of a label above a large map, and gap is the space between two of them.
func (m matrices) label() int {
	if m.labelled() {
		return cellHeight
	}
	return 0
}

func (m matrices) gap() int {
	if m.labelled() {
		return 12
	}
	return 2
}

// grid returns how many heads stand side by side in an area, and how many one above the other: as few side by side as do not make
// them much smaller, because what is left beside them can be used.
func (m matrices) grid(area image.Point, label, gap int) (across, down int) {
	most := 0
	for k := 1; k <= m.heads; k++ {
		most = max(most, m.side(area, k, label, gap))
	}
	for across = 1; 10*m.side(area, across, label, gap) < 9*most; {
		across++
	}
	return across, (m.heads + across - 1) / across
}

// side returns the side of a head's square in an area where so many stand side by side.
func (m matrices) side(area image.Point, across, label, gap int) int {
	down := (m.heads + across - 1) / across
	return max(0, min((area.X-(across-1)*gap)/across, (area.Y-(down-1)*gap)/down-label))
}

// in places the heads in an area, row by row, with gaps between them and room for a label above each.
func (m matrices) in(area image.Rectangle, label, gap int) []image.Rectangle {
	across, _ := m.grid(area.Size(), label, gap)
	side := m.side(area.Size(), across, label, gap)
	var list []image.Rectangle
	for head := range m.heads {
		at := area.Min.Add(image.Pt(head%across*(side+gap), head/across*(side+gap+label)+label))
		list = append(list, image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))})
	}
	return list
}

// The largest number of layers that are shown small at once, and their largest height together: a few leave more to the curves.
const (
	mostThumbs  = 64
	highThumbs  = 280
	fewThumbs   = 4
	lowThumbs   = 210
	thumbsGap   = 8
	thumbsLabel = cellHeight + 3
)

// thumbs places the small maps of layers, as large as possible. It returns the first layer shown, and an area for each. A single
// layer has none: the large map is all there is.
func (l layout) thumbs(selected int) (first int, areas []image.Rectangle) {
	first = selected / mostThumbs * mostThumbs
	size, across, _ := l.thumbsSize()
	if across == 0 {
		return first, nil
	}
	for i := range min(len(l.shown)-first, mostThumbs) {
		at := image.Pt(l.right+i%across*(size.X+thumbsGap), l.thumbsTop()+i/across*(size.Y+thumbsGap+thumbsLabel)+thumbsLabel)
		areas = append(areas, image.Rectangle{Min: at, Max: at.Add(size)})
	}
	return first, areas
}

// thumbsSize returns the largest size that the small maps can have, and how many of them fit in a row and in a column.
func (l layout) thumbsSize() (size image.Point, across, down int) {
	n, longer := min(len(l.shown), mostThumbs), max(l.across, l.down)
	if n == 1 {
		return size, 0, 0
	}
	most, all := 0, highThumbs
	if n <= fewThumbs {
		all = lowThumbs
	}
	for k := 1; k <= n; k++ {
		rows := (n + k - 1) / k
		wide, high := (Width-margin-l.right+thumbsGap)/k-thumbsGap, (all+thumbsGap)/rows-thumbsGap-thumbsLabel
		if s := min(wide*longer/l.across, high*longer/l.down); s > most {
			most, across, down = s, k, rows
			size = image.Pt(s*l.across/longer, s*l.down/longer)
		}
	}
	return size, across, down
}

// thumbsTop returns where the small maps begin, at the bottom of the panels.
func (l layout) thumbsTop() int {
	size, _, down := l.thumbsSize()
	return bottomY + thumbsGap - down*(size.Y+thumbsGap+thumbsLabel)
}

// chartArea returns the place of a picture's curves: what the small maps leave.
func (l layout) chartArea() image.Rectangle {
	const numbers = labelWidth*cellWidth - 4 // of the axes
	below := 2*cellHeight + 6
	if _, across, _ := l.thumbsSize(); across > 0 {
		below += cellHeight + 14 // the heading of the small maps
	}
	return image.Rect(l.right+numbers, panelsY+cellHeight, Width-margin, l.thumbsTop()-below)
}

// longestAxis is the largest number of tokens of a chart of one reading.
const longestAxis = 512

// axis returns the first token of the chart, once `read` of the text's were read, and how many tokens the chart has room for. Two
// readings are compared over the whole text.
func (v *View) axis(read int) (first, room int) {
	room = max(2, len(v.tokens))
	if v.readings == 1 {
		room = min(room, longestAxis)
	}
	return max(read, room) - room, room
}

// reach returns how many tokens to either side a curve's means are over: enough that neighbours do not hide each other, and none
// in a short text.
func reach(room int) int {
	if room < 80 {
		return 0
	}
	return room / 40
}

// ticks returns at most `most` round numbers from low to high: multiples of the smallest of 1, 2, 5, 10, 20, … for which they
// suffice.
func ticks(low, high, most int) []int {
	step := 1
	for i := 0; high/step-(low-1)/step > most; i++ {
		step = []int{1, 2, 5}[(i+1)%3] * int(math.Pow10((i+1)/3))
	}
	var list []int
	for t := (low + step - 1) / step * step; t <= high; t += step {
		list = append(list, t)
	}
	return list
}

// tickStep returns the smallest of 1, 2, 4, 8, … for which ticks that many elements apart are at least `apart` pixels apart.
func tickStep(elements, pixels, apart int) int {
	step := 1
	for step < elements && step*pixels < apart*elements {
		step *= 2
	}
	return step
}
