package bench

import (
	"fmt"
	"math"
	"strconv"
)

// digits shows a number with three digits that count.
func digits(x float64) string {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	after := max(2-int(math.Floor(math.Log10(math.Abs(x)))), 0)
	return strconv.FormatFloat(x, 'f', min(after, 6), 64)
}

// withSpread shows the median and half the range around it.
func withSpread(s Sample) string {
	if s.Median == 0 {
		return "0"
	}
	return fmt.Sprintf("%s ±%.0f%%", digits(s.Median), 100*s.Spread())
}

// count shows a number of things, which may be a mean.
func count(x float64) string {
	if x == math.Trunc(x) {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// scientific shows an error.
func scientific(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x >= notFiniteError:
		return "not finite"
	}
	return strconv.FormatFloat(x, 'e', 1, 64)
}
