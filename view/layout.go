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
	rightX  = 752 // of what stands beside the large maps
	bottomY = 660 // of the panels
)

var (
	mapArea   = image.Rect(72, panelsY, 72+532, panelsY+562)
	scaleArea = image.Rect(628, panelsY, 628+18, panelsY+562)
	textAt    = image.Pt(margin, 706)
)

// HeatScale returns the place of a picture's colour scale: the end of the range is at the top, its negative at the bottom.
func HeatScale() image.Rectangle { return scaleArea }

// HeatMaps returns the places of a layer's large heat maps, one per head, with row 0 of the matrix at the top.
func HeatMaps(c nn.Config, layer int) []image.Rectangle { return matricesOf(c)[layer].large() }

// large places the matrices in the large panel.
func (m matrices) large() []image.Rectangle {
	label, gap := 0, 2
	if m.labelled() {
		label, gap = cellHeight, 12
	}
	list := m.in(mapArea, label, gap)
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

// in places the heads in an area, row by row, with gaps between them and room for a label above each.
func (m matrices) in(area image.Rectangle, label, gap int) []image.Rectangle {
	across := int(math.Ceil(math.Sqrt(float64(m.heads))))
	down := (m.heads + across - 1) / across
	side := max(0, min((area.Dx()-(across-1)*gap)/across, (area.Dy()-(down-1)*gap)/down-label))
	var list []image.Rectangle
	for head := range m.heads {
		at := area.Min.Add(image.Pt(head%across*(side+gap), head/across*(side+gap+label)+label))
		list = append(list, image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))})
	}
	return list
}

// The largest number of layers that are shown small at once, and their largest height together.
const (
	mostThumbs  = 64
	highThumbs  = 280
	thumbsGap   = 8
	thumbsLabel = cellHeight + 3
)

// thumbs places the small maps of layers, as large as possible. It returns the first layer shown, and an area for each.
func thumbs(layers, selected int) (first int, areas []image.Rectangle) {
	first = selected / mostThumbs * mostThumbs
	n := min(layers-first, mostThumbs)
	side, across := thumbsSize(min(layers, mostThumbs))
	top := thumbsTop(layers)
	for i := range n {
		at := image.Pt(rightX+i%across*(side+thumbsGap), top+i/across*(side+thumbsGap+thumbsLabel)+thumbsLabel)
		areas = append(areas, image.Rectangle{Min: at, Max: at.Add(image.Pt(side, side))})
	}
	return first, areas
}

// thumbsSize returns the largest side that n small maps can have, and how many of them fit in a row.
func thumbsSize(n int) (side, across int) {
	for k := 1; k <= n; k++ {
		down := (n + k - 1) / k
		s := min((Width-margin-rightX+thumbsGap)/k-thumbsGap, (highThumbs+thumbsGap)/down-thumbsGap-thumbsLabel)
		if s > side {
			side, across = s, k
		}
	}
	return side, across
}

// thumbsTop returns where the small maps begin, at the bottom of the panels.
func thumbsTop(layers int) int {
	n := min(layers, mostThumbs)
	side, across := thumbsSize(n)
	return bottomY + thumbsGap - (n+across-1)/across*(side+thumbsGap+thumbsLabel)
}

// chartArea returns the place of a picture's curves: what the small maps leave.
func chartArea(layers int) image.Rectangle {
	const numbers, below = labelWidth*cellWidth - 4, 3*cellHeight + 20 // of the axes, and the heading of the small maps
	return image.Rect(rightX+numbers, panelsY, Width-margin, thumbsTop(layers)-below)
}

// longestAxis is the largest number of tokens of a chart.
const longestAxis = 512

// axis returns the first token of the chart, once `read` of `all` tokens were read, and how many tokens the chart has room for.
func axis(read, all int) (first, room int) {
	room = max(2, min(all, longestAxis))
	return max(read, room) - room, room
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
