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

// ladder returns the numbers that an axis can end with: 1, 2, 3 and 5 times the powers of ten.
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

// marks are the places of an axis that have numbers, as fractions of its range. An axis that starts at zero has the first three.
var marks = []float64{1, 0.5, 0, -0.5, -1}

// The number of glyphs of a number on an axis; the one at its end has at most shortLabel. A row of labels has the numbers of all
// marks twice, once for each alignment.
const (
	labelWidth = 8
	shortLabel = 6
	rowWidth   = 2 * 5 * labelWidth
)

const (
	right = iota
	left
)

// labels returns the rows of labels, one for each step of the ladder.
func labels(a *atlas) []uint32 {
	var glyphs []uint32
	for _, step := range ladder() {
		// The decimal number that the step stands for, not its float32.
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

// labelPlace returns where a row of labels has the number at marks[mark].
func labelPlace(mark, alignment int) int { return (alignment*len(marks) + mark) * labelWidth }
