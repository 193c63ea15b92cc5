package bench

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-analyze/charts"
)

// chart is a picture on the page.
type chart struct {
	Title, Text string
	SVG         template.HTML
}

// missing explains the mark in the place of a missing bar.
const missing = "× stands where a row was left out."

// charts draws the report: what was measured, and how far parity is from its bounds. Parts without rows have no chart.
func (r *Report) charts() (speed, parity []chart, failed error) {
	add := func(all *[]chart, title, text string, svg template.HTML, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("drawing %q: %w", title, err)
		}
		if svg != "" {
			*all = append(*all, chart{title, text, svg})
		}
	}
	for _, kind := range []string{"text", "prompt", "training"} {
		svg, err := r.bySize(kind)
		add(&speed, "Tokens a second by size: "+kind, "The smallest batch; a logarithmic axis. "+missing, svg, err)
	}
	for _, kind := range []string{"text", "streams", "prompt", "training"} {
		svg, err := r.byBatch(kind)
		add(&speed, "Tokens a second by batch: "+kind, "The first size, all sequences together; a logarithmic axis. "+missing, svg, err)
	}
	for _, f := range r.Floors {
		svg, err := r.roofline(f)
		text := "GFLOP/s of each operation over its FLOPs a byte, both logarithmic. The line is the floor: memory bandwidth, then " +
			"multiply-add rate. Points above it have their tensors in a cache. Point at one to see its name."
		if f.Dispatch.Median > 0 {
			text += " Those bound by dispatches are so small that to start them takes longer than to do them: their limit is not the line."
		}
		add(&speed, "Roofline of the "+f.Engine, text, svg, err)
	}
	for _, kind := range []string{"ops", "model", "training"} {
		svg, err := r.errors("parity/" + kind + "/")
		add(&parity, "Errors: "+kind, "How many numbers by their relative distance from the reference in float64: below a power of ten, or 0; a logarithmic axis.", svg, err)
	}
	return speed, parity, failed
}

// colours has one for each series, from the dark end of a scale that colour-blind readers can tell apart.
func colours(hex ...string) charts.ColorPalette {
	var all []charts.Color
	for _, h := range hex {
		all = append(all, charts.ColorFromHex(h))
	}
	return charts.GetTheme(charts.ThemeLight).WithSeriesColors(all)
}

var (
	roofColours = colours("#555555", "#0072b2", "#e69f00", "#009e73", "#b8b8b8")
	barColours  = colours("#0072b2", "#56b4e9", "#d55e00", "#e69f00", "#009e73", "#cc79a7", "#555555", "#999999")
)

// canvas draws one chart of the page's size.
func canvas(draw func(p *charts.Painter) error) (template.HTML, error) {
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: 860, Height: 380})
	if err := draw(p); err != nil {
		return "", err
	}
	svg, err := p.Bytes()
	return template.HTML(svg), err
}

// The axis of FLOPs per byte: places per decade, and its ends as powers of ten.
const (
	placesADecade = 40
	lowIntensity  = -2
	highIntensity = 4
)

// roofline draws operations against the floor.
func (r *Report) roofline(f Floor) (template.HTML, error) {
	places := (highIntensity-lowIntensity)*placesADecade + 1
	labels, roof := make([]string, places), make([][]float64, places)
	highest := math.Log10(f.FLOPS.Median / 1e9)
	lowest := highest
	phases := []string{"decode", "prompt", "training"}
	if f.Dispatch.Median > 0 {
		phases = append(phases, "bound by dispatches")
	}
	points, named := make([][][]float64, len(phases)), make([][][]string, len(phases))
	for i := range points {
		points[i], named[i] = make([][]float64, places), make([][]string, places)
	}
	drawn := false
	for _, o := range r.Ops {
		if o.Engine != f.Engine || o.FLOPs == 0 {
			continue
		}
		place := int(math.Round((math.Log10(float64(o.FLOPs)/float64(o.Bytes)) - lowIntensity) * placesADecade))
		place = min(max(place, 0), places-1)
		speed := float64(o.FLOPs) / o.Seconds.Median / 1e9
		rate := math.Log10(speed)
		lowest, highest, drawn = min(lowest, rate), max(highest, rate), true
		phase := slices.Index(phases, strings.Split(o.Key, "/")[2])
		if o.Bound == "dispatch" {
			phase = len(phases) - 1
		}
		if phase >= 0 {
			points[phase][place] = append(points[phase][place], rate)
			named[phase][place] = append(named[phase][place], fmt.Sprintf("%s: %s GFLOP/s", strings.TrimPrefix(o.Key, "op/"), digits(speed)))
		}
	}
	if !drawn {
		return "", nil
	}
	bottom, top := math.Floor(lowest), math.Ceil(highest)
	for i := range labels {
		intensity := math.Pow(10, lowIntensity+float64(i)/placesADecade)
		labels[i] = power(lowIntensity + float64(i)/placesADecade) // those between whole powers are not written
		if limit := math.Log10(min(f.Bandwidth.Median*intensity, f.FLOPS.Median) / 1e9); limit >= bottom {
			roof[i] = []float64{limit}
		}
	}
	series := charts.ScatterSeriesList{{Name: "floor", Values: roof, Symbol: charts.Symbol{Shape: charts.SymbolDot, Size: 1.2}}}
	for i, phase := range phases {
		series = append(series, charts.ScatterSeries{Name: phase, Values: points[i]})
	}
	opt := charts.NewScatterChartOptionWithSeries(series)
	opt.Theme = roofColours
	opt.XAxis = charts.XAxisOption{Title: "FLOPs a byte", Labels: labels, LabelCount: highIntensity - lowIntensity + 1, BoundaryGap: charts.Ptr(false)}
	opt.YAxis = []charts.YAxisOption{{Title: "GFLOP/s", Min: &bottom, Max: &top, LabelCount: int(top-bottom) + 1, RangeValuePaddingScale: charts.Ptr(0.0)}}
	opt.ValueFormatter = power
	opt.Symbol = charts.Symbol{Shape: charts.SymbolDot, Size: pointSize}
	opt.Legend = charts.LegendOption{SeriesNames: append([]string{"floor"}, phases...)}
	svg, err := canvas(func(p *charts.Painter) error { return p.ScatterChart(opt) })
	if err != nil {
		return "", err
	}
	return withTitles(svg, slices.Concat(slices.Concat(named...)...)), nil
}

// pointSize tells the points of operations from all other circles of a chart.
const pointSize = 3.5

// point matches one of them, as the library draws it.
var point = regexp.MustCompile(fmt.Sprintf(`(<circle [^>]* r="%v"[^>]*)/>`, pointSize))

// withTitles names the points of a chart, in the order in which they are drawn: browsers show the name when the pointer is on one.
func withTitles(svg template.HTML, names []string) template.HTML {
	next := 0
	return template.HTML(point.ReplaceAllStringFunc(string(svg), func(circle string) string {
		if next == len(names) {
			return circle
		}
		next++
		return strings.TrimSuffix(circle, "/>") + "><title>" + template.HTMLEscapeString(names[next-1]) + "</title></circle>"
	}))
}

// lacking is the value that a missing bar is drawn with: too small to be seen, and unlike any that a row has.
const lacking = 1e-12

// headroom is what is left above a bar for its number, in powers of ten.
const headroom = 0.2

// power is the number that an axis has at a power of ten.
func power(x float64) string {
	x = math.Round(x)
	switch {
	case x >= 6:
		return strconv.FormatFloat(math.Pow(10, x-6), 'f', -1, 64) + "M"
	case x >= 4:
		return strconv.FormatFloat(math.Pow(10, x-3), 'f', -1, 64) + "k"
	}
	return strconv.FormatFloat(math.Pow(10, x), 'f', -1, 64)
}

// axes describes the axes of a bar chart.
type axes struct{ category, value string }

// bars draws groups of bars, with a series for each engine or program. Values are logarithms on an axis that begins at 1 and has a
// line at every power of ten. NaN is a missing bar, which is replaced by a mark.
func bars(titles axes, labels, names []string, values [][]float64, mark string) (template.HTML, error) {
	if len(labels) == 0 {
		return "", nil
	}
	format := func(x float64) string { return short(math.Pow(10, x)) }
	top, drawn := 1.0, make([][]float64, len(values))
	for i, series := range values {
		for _, v := range series {
			if math.IsNaN(v) {
				v = lacking
			}
			drawn[i] = append(drawn[i], v)
			top = max(top, math.Ceil(v+headroom))
		}
	}
	opt := charts.NewBarChartOptionWithData(drawn)
	opt.Theme = barColours
	opt.CategoryAxis.Title, opt.CategoryAxis.Labels, opt.CategoryAxis.LabelCount = titles.category, labels, len(labels)
	opt.CategoryAxis.LabelFontStyle.FontSize = 10
	opt.ValueAxis = []charts.ValueAxisOption{{Title: titles.value, Min: charts.Ptr(0.0), Max: &top, LabelCount: int(top) + 1, RangeValuePaddingScale: charts.Ptr(0.0)}}
	opt.Legend = charts.LegendOption{SeriesNames: names}
	opt.ValueFormatter = power
	room := len(labels)*len(names) <= 16
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label.Show = charts.Ptr(true)
		opt.SeriesList[i].Label.LabelFormatter = func(_ int, _ string, v float64) (string, *charts.LabelStyle) {
			switch {
			case v == lacking:
				return mark, nil
			case room:
				return format(v), nil
			}
			return "", nil
		}
	}
	return canvas(func(p *charts.Painter) error { return p.BarChart(opt) })
}

// speeds draws the tokens per second of some rows. label returns the text under a row, "" to leave the row out; title says what the
// labels are.
func (r *Report) speeds(title string, label func(key string) string) (template.HTML, error) {
	var labels []string
	for _, key := range keys(r.Models, func(m ModelSpeed) string { return m.Key }) {
		if l := label(key); l != "" {
			labels = append(labels, l)
		}
	}
	columns := r.modelColumns()
	peers := r.peerColumns()
	values := make([][]float64, len(columns)+len(peers))
	for i := range values {
		values[i] = make([]float64, len(labels))
		for j, l := range labels {
			values[i][j] = math.NaN()
			for _, m := range r.Models {
				if i < len(columns) && label(m.Key) == l && m.Engine+" "+m.Mixer == columns[i] {
					values[i][j] = logSpeed(m.PerSecond())
				}
			}
			for _, p := range r.Peers {
				if i >= len(columns) && label(p.Key) == l && p.column() == peers[i-len(columns)] {
					values[i][j] = logSpeed(p.Seconds.per(1))
				}
			}
		}
	}
	return bars(axes{title, "tokens a second"}, labels, append(columns, peers...), values, "×")
}

func logSpeed(s Sample) float64 { return max(math.Log10(s.Median), 0) }

// modelKey splits "model/SIZE/KIND/bN"; a size contains a slash itself.
func modelKey(key string) (size, kind, batch string) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 {
		return "", "", ""
	}
	return parts[1] + "/" + parts[2], parts[3], parts[4]
}

func (r *Report) bySize(kind string) (template.HTML, error) {
	smallest := maxBatch + 1
	number := func(batch string) int {
		n, _ := strconv.Atoi(strings.TrimPrefix(batch, "b"))
		return n
	}
	for _, m := range r.Models {
		if _, k, batch := modelKey(m.Key); k == kind {
			smallest = min(smallest, number(batch))
		}
	}
	return r.speeds("model: width × layers / vocabulary", func(key string) string {
		if size, k, batch := modelKey(key); k == kind && number(batch) == smallest {
			return size
		}
		return ""
	})
}

func (r *Report) byBatch(kind string) (template.HTML, error) {
	first, batches := "", 0
	for _, m := range r.Models {
		size, k, _ := modelKey(m.Key)
		if k == kind && first == "" {
			first = size
		}
		if k == kind && size == first {
			batches++
		}
	}
	if batches <= len(r.modelColumns()) {
		return "", nil // only one batch
	}
	return r.speeds("sequences at once", func(key string) string {
		if size, k, batch := modelKey(key); k == kind && size == first {
			return strings.TrimPrefix(batch, "b")
		}
		return ""
	})
}

// errors draws the histogram of relative errors of all rows of a kind, all variants of an engine together.
func (r *Report) errors(prefix string) (template.HTML, error) {
	var names []string
	sums := map[string]*Histogram{}
	for _, p := range r.Parity {
		if !strings.HasPrefix(p.Key, prefix) {
			continue
		}
		if sums[p.Engine] == nil {
			sums[p.Engine], names = new(Histogram), append(names, p.Engine)
		}
		for i, n := range p.Errors {
			sums[p.Engine][i] += n
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	labels := make([]string, histogramSize)
	values := make([][]float64, len(names))
	for i := range labels {
		labels[i] = binName(i)
	}
	for i, name := range names {
		for _, n := range sums[name] {
			if n == 0 {
				values[i] = append(values[i], math.NaN())
			} else {
				values[i] = append(values[i], math.Log10(float64(n)))
			}
		}
	}
	return bars(axes{"relative error", "numbers"}, labels, names, values, "")
}
