// Package learningcurve draws the losses of training runs over their steps, several runs in one picture.
//
// It is not for reading metrics, which is package train's, nor for the charts of the benchmark.
//
// # Why
//
// Why axes of its own, when the library draws line charts? Theirs have a label for each point, so that steps cannot have
// round numbers, and a legend that lies on the grid.
//
// Why is the smoothed line no exponential average? That lags behind a falling loss. The mean over as many steps before as
// after does not; at the beginning, where losses fall most, it takes fewer on both sides.
package learningcurve

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"bitgpu/nn/train"

	"github.com/go-analyze/charts"
)

// Run is what a run's curve shows.
type Run struct {
	Name    string
	Metrics []train.Metric // by rising step
}

// Format is the picture format that the end of a file's name stands for, "" if it cannot be drawn.
func Format(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		return charts.ChartOutputPNG
	case ".svg":
		return charts.ChartOutputSVG
	}
	return ""
}

// The size of a picture in pixels, and what its axes leave at the sides.
const (
	width, height = 960, 540
	left, right   = 64, 24
	bottom        = 56
	row           = 24 // of the legend
	fontSize      = 12
)

var (
	ink     = charts.ColorRGB(70, 70, 70)
	gridInk = charts.ColorRGB(224, 230, 242)
	white   = charts.ColorRGB(255, 255, 255)
	style   = charts.FontStyle{FontSize: fontSize, FontColor: ink}
	// Colours that colour-blind readers can tell apart (Okabe and Ito, 2008), one a run.
	colours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555"}
)

// colourOf is that of a run: behind as many runs as there are colours, darker ones.
func colourOf(run int) charts.Color {
	c := charts.ColorFromHex(colours[run%len(colours)])
	if run/len(colours)%2 == 1 {
		c = charts.ColorRGB(c.R/2, c.G/2, c.B/2)
	}
	return c
}

// fewSteps is below how many steps of a run nothing is smoothed, and fewPoints up to how many each is marked: so is a lone one, of which
// there is no line.
const (
	fewSteps  = 100
	fewPoints = 40
)

// Draw draws every run's training loss, faint the values themselves and over them a smoothed line, and dashed in the same
// colour its validation loss. Loss is nats a token.
func Draw(runs []Run, format string) ([]byte, error) {
	p := &picture{Painter: charts.NewPainter(charts.PainterOptions{OutputFormat: format, Width: width, Height: height})}
	low, high, last, validated := math.Inf(1), math.Inf(-1), 1, false
	for _, r := range runs {
		for _, m := range r.Metrics {
			low, high, last = min(low, float64(m.Loss)), max(high, float64(m.Loss)), max(last, m.Step)
			if m.ValLoss != nil {
				low, high, validated = min(low, *m.ValLoss), max(high, *m.ValLoss), true
			}
		}
	}
	if math.IsNaN(high-low) || math.IsInf(high-low, 0) {
		return nil, errors.New("a loss is not finite")
	}
	p.FilledRect(0, 0, width, height, white, white, 0)
	p.top = p.legend(runs, validated) + row/2
	p.steps = scale{0, float64(last), left, width - right}
	p.losses = upward(low, high, p.top)
	p.axes()
	for i, r := range runs {
		p.curve(r.Metrics, colourOf(i))
	}
	data, err := p.Bytes()
	return sized(data, format), err
}

// picture is a picture under way.
type picture struct {
	*charts.Painter
	top           int // of the area of the curves
	steps, losses scale
}

// scale puts numbers from low to high between two pixels.
type scale struct {
	low, high float64
	from, to  int
}

func (s scale) at(v float64) int {
	return s.from + int(math.Round((v-s.low)/(s.high-s.low)*float64(s.to-s.from)))
}

// upward is the scale of losses, from tick to tick.
func upward(low, high float64, top int) scale {
	if high == low {
		low, high = low-0.5, high+0.5
	}
	step := tickStep(low, high, 10)
	return scale{step * math.Floor(low/step), step * math.Ceil(high/step), height - bottom, top}
}

// tickStep is the least of 1, 2 and 5 times the powers of ten of which at most `most` lie from low to high.
func tickStep(low, high float64, most int) float64 {
	power := math.Pow(10, math.Floor(math.Log10((high-low)/float64(most))))
	for {
		for _, m := range []float64{1, 2, 5} {
			if (high-low)/(m*power) <= float64(most) {
				return m * power
			}
		}
		power *= 10
	}
}

// ticks are the multiples of a step of a scale.
func (s scale) ticks(step float64) []float64 {
	var all []float64
	for i := math.Ceil(s.low/step - 1e-9); i <= s.high/step+1e-9; i++ {
		all = append(all, i*step)
	}
	return all
}

// axes draws grid and numbers, and what they are.
func (p *picture) axes() {
	step := tickStep(p.losses.low, p.losses.high, 10)
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	for _, v := range p.losses.ticks(step) {
		y := p.losses.at(v)
		p.line(gridInk, 1, charts.Point{X: left, Y: y}, charts.Point{X: width - right, Y: y})
		p.text(strconv.FormatFloat(v, 'f', decimals, 64), left-10, y+fontSize/2, 1)
	}
	for _, v := range p.steps.ticks(max(1, tickStep(p.steps.low, p.steps.high, 10))) {
		x := p.steps.at(v)
		p.line(ink, 1, charts.Point{X: x, Y: height - bottom}, charts.Point{X: x, Y: height - bottom + 5})
		p.text(strconv.Itoa(int(v)), x, height-bottom+22, 0.5)
	}
	p.line(ink, 1, charts.Point{X: left, Y: height - bottom}, charts.Point{X: width - right, Y: height - bottom})
	p.text("step", (left+width-right)/2, height-10, 0.5)
}

// curve draws one run.
func (p *picture) curve(metrics []train.Metric, colour charts.Color) {
	steps, losses := make([]float64, len(metrics)), make([]float64, len(metrics))
	var validation []charts.Point
	for i, m := range metrics {
		steps[i], losses[i] = float64(m.Step), float64(m.Loss)
		if m.ValLoss != nil {
			validation = append(validation, charts.Point{X: p.steps.at(steps[i]), Y: p.losses.at(*m.ValLoss)})
		}
	}
	if len(losses) >= fewSteps {
		p.line(colour.WithAlpha(80), 1, p.extremes(steps, losses)...)
	}
	line := p.points(steps, smoothed(losses))
	p.line(colour, 2, line...)
	if len(metrics) <= fewPoints {
		for _, v := range line {
			p.FilledRect(v.X-2, v.Y-2, v.X+2, v.Y+2, colour, colour, 0) // validation has circles
		}
	}
	if len(validation) > 1 {
		p.DashedLineStroke(validation, colour, 2, dashes)
	}
	for _, v := range validation {
		p.Circle(2.5, v.X, v.Y, colour, colour, 1)
	}
}

var dashes = []float64{6, 4}

// points are a curve's, one a pixel column at most: the last of those that fall into it.
func (p *picture) points(steps, losses []float64) []charts.Point {
	var list []charts.Point
	for i := range steps {
		point := charts.Point{X: p.steps.at(steps[i]), Y: p.losses.at(losses[i])}
		if n := len(list); n > 0 && list[n-1].X == point.X {
			list = list[:n-1]
		}
		list = append(list, point)
	}
	return list
}

// extremes are a curve's points as they are; of those in one pixel column the highest and the lowest, in their order.
func (p *picture) extremes(steps, losses []float64) []charts.Point {
	var list []charts.Point
	for i := 0; i < len(steps); {
		x, first, last := p.steps.at(steps[i]), i, i
		j := i + 1
		for ; j < len(steps) && p.steps.at(steps[j]) == x; j++ {
			if losses[j] > losses[first] {
				first = j
			}
			if losses[j] < losses[last] {
				last = j
			}
		}
		list = append(list, charts.Point{X: x, Y: p.losses.at(losses[min(first, last)])})
		if first != last {
			list = append(list, charts.Point{X: x, Y: p.losses.at(losses[max(first, last)])})
		}
		i = j
	}
	return list
}

// smoothed is the mean of each loss with those around it: a hundredth of all on each side, as many on both but at the end.
func smoothed(losses []float64) []float64 {
	sums := make([]float64, len(losses)+1)
	for i, l := range losses {
		sums[i+1] = sums[i] + l
	}
	list := make([]float64, len(losses))
	for i := range losses {
		before := min(len(losses)/fewSteps, i)
		after := min(before, len(losses)-1-i)
		list[i] = (sums[i+after+1] - sums[i-before]) / float64(before+after+1)
	}
	return list
}

// legend writes what is drawn above the curves, in as many rows as it takes, and says where it ends.
func (p *picture) legend(runs []Run, validated bool) int {
	x, y := left-44, row
	entry := func(text string, mark float64, draw func(x, y int)) {
		// A reader's font may be a fifth wider than the one that measures.
		wide := mark + 1.2*float64(p.MeasureText(text, 0, style).Width())
		for short := []rune(text); left-44+wide > width-right && len(short) > 1; {
			short = short[1:] // the end of a path says more than its beginning
			text = "…" + string(short)
			wide = mark + 1.2*float64(p.MeasureText(text, 0, style).Width())
		}
		if x > left && float64(x)+wide > width-right {
			x, y = left-44, y+row
		}
		draw(x, y-5)
		p.Text(text, x+int(mark), y, 0, style)
		x += int(wide) + 24
	}
	stroke := func(colour charts.Color, thick float64, dashed bool) func(x, y int) {
		return func(x, y int) {
			line := []charts.Point{{X: x, Y: y}, {X: x + 28, Y: y}}
			if dashed {
				p.DashedLineStroke(line, colour, thick, dashes)
			} else {
				p.line(colour, thick, line...)
			}
		}
	}
	long := false // enough for a smoothed line
	entry("loss, nats a token:", 0, func(int, int) {})
	for i, r := range runs {
		entry(r.Name, 34, stroke(colourOf(i), 4, false))
		long = long || len(r.Metrics) >= fewSteps
	}
	if long {
		entry("training", 34, stroke(ink.WithAlpha(80), 1, false))
		entry("smoothed", 34, stroke(ink, 2, false))
	} else {
		entry("training", 34, stroke(ink, 2, false))
	}
	if validated {
		entry("validation", 34, stroke(ink, 2, true))
	}
	return y
}

func (p *picture) line(colour charts.Color, thick float64, points ...charts.Point) {
	p.LineStroke(points, colour, thick)
}

// text writes a text of which a share lies left of x, or as much more as the picture's right edge wants.
func (p *picture) text(text string, x, y int, share float64) {
	wide := float64(p.MeasureText(text, 0, style).Width())
	p.Text(text, min(x-int(math.Round(share*wide)), int(width-4-1.2*wide)), y, 0, style)
}

// sized gives an SVG the size that it is to be shown in; the library names only its coordinates, and a page that shows
// the file would choose one.
func sized(data []byte, format string) []byte {
	if format != charts.ChartOutputSVG {
		return data
	}
	return bytes.Replace(data, []byte("<svg "), fmt.Appendf(nil, `<svg width="%d" height="%d" `, width, height), 1)
}
