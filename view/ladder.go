package view

import (
	"fmt"
	"strconv"
)

// Exponents of the ladder's first and last step.
const (
	lowest  = -6
	highest = 6
)

// ladder is what an axis can end with: 1, 2, 3 and 5 times the powers of ten.
func ladder() []float32 {
	var steps []float32
	for e := lowest; e <= highest; e++ {
		for _, m := range []int{1, 2, 3, 5} {
			v, _ := strconv.ParseFloat(fmt.Sprintf("%de%d", m, e), 32) // the nearest there is, which a product need not be
			steps = append(steps, float32(v))
		}
	}
	return steps
}

// marks are where an axis has numbers, in parts of its range. An axis from zero has the first three.
var marks = []float64{1, 0.5, 0, -0.5, -1}

// A number on an axis has so many glyphs, the one at its end shortLabel at most. A row of labels has the numbers at all marks twice, as alignments name them.
const (
	labelWidth = 8
	shortLabel = 6
	rowWidth   = 2 * 5 * labelWidth
)

const (
	right = iota
	left
)

// labels are the rows of labels, one for each step of the ladder.
func labels(a *atlas) []uint32 {
	var glyphs []uint32
	for _, step := range ladder() {
		// The decimal that the step stands for, not its float32.
		end, _ := strconv.ParseFloat(strconv.FormatFloat(float64(step), 'g', -1, 32), 64)
		for _, format := range []string{right: "%*s", left: "%-*s"} {
			for _, m := range marks {
				for _, r := range fmt.Sprintf(format, labelWidth, strconv.FormatFloat(m*end, 'g', 3, 64)) {
					glyphs = append(glyphs, a.glyph(r))
				}
			}
		}
	}
	return glyphs
}

// labelPlace is where a row of labels has the number at marks[mark].
func labelPlace(mark, alignment int) int { return (alignment*len(marks) + mark) * labelWidth }
