package bench

import (
	"fmt"
	"math"
	"strconv"
)

// digits formats a number with three significant digits.
func digits(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 2, 64), 64) // 99.99 is 100
	after := max(2-int(math.Floor(math.Log10(math.Abs(rounded)))), 0)
	return strconv.FormatFloat(x, 'f', min(after, 6), 64)
}

// short is digits where there is little room.
func short(x float64) string {
	switch {
	case x >= 0.9995e6:
		return digits(x/1e6) + "M"
	case x >= 0.9995e4:
		return digits(x/1e3) + "k"
	}
	return digits(x)
}

// noise is the spread from which on a median says nothing.
const noise = 1

// withSpread formats the median with half the range, or says that the repetitions differ by more than the median. It is empty for
// an empty sample.
func withSpread(s Sample) string {
	switch {
	case s.Median == 0:
		return ""
	case s.Spread() > noise:
		return digits(s.Median) + " noise"
	}
	return fmt.Sprintf("%s ±%.0f%%", digits(s.Median), 100*s.Spread())
}

// count formats a number of things, which may be a mean. It is empty for engines that have none.
func count(x float64) string {
	if x == 0 {
		return ""
	}
	if x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// scientific formats an error.
func scientific(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= notFiniteError:
		return "not finite"
	}
	return strconv.FormatFloat(x, 'e', 1, 64)
}
