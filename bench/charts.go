package bench

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
)

// chart is one picture of the page.
type chart struct {
	Title, Text string
	SVG         template.HTML
}

// charts draws the report; parts without rows have no chart.
func (r *Report) charts() ([]chart, error) {
	var all []chart
	var failed error
	add := func(title, text string, svg template.HTML, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("drawing %q: %w", title, err)
		}
		if svg != "" {
			all = append(all, chart{title, text, svg})
		}
	}
	for _, f := range r.Floors {
		svg, err := r.roofline(f)
		add("Roofline of the "+f.Engine, "GFLOP/s of each operation over its FLOPs a byte, both logarithmic. The line is the floor: "+
			"memory bandwidth, then multiply-add rate. Points above it have their tensors in a cache.", svg, err)
	}
	for _, kind := range []string{"text", "prompt", "training"} {
		svg, err := r.bySize(kind)
		add("Tokens a second by size: "+kind, "The smallest batch measured; a logarithmic axis.", svg, err)
	}
	for _, kind := range []string{"text", "prompt", "training"} {
		svg, err := r.byBatch(kind)
		add("Tokens a second by batch: "+kind, "The first size measured, all sequences together; a logarithmic axis.", svg, err)
	}
	for _, kind := range []string{"ops", "model", "training"} {
		svg, err := r.errors("parity/" + kind + "/")
		add("Errors: "+kind, "Share of all numbers (%) by their relative distance from the reference in float64.", svg, err)
	}
	return all, failed
}

// colours are a series each, from the dark end of a scale that colour-blind readers can tell apart.
func colours(hex ...string) charts.ColorPalette {
	var all []charts.Color
	for _, h := range hex {
		all = append(all, charts.ColorFromHex(h))
	}
	return charts.GetTheme(charts.ThemeLight).WithSeriesColors(all)
}

var (
	roofColours = colours("#555555", "#0072b2", "#e69f00", "#009e73")
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

// The axis of FLOPs a byte: places a decade, and its ends as powers of ten.
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
	forms := []string{"decode", "prompt", "training"}
	points := make([][][]float64, len(forms))
	for i := range points {
		points[i] = make([][]float64, places)
	}
	drawn := false
	for _, o := range r.Ops {
		if o.Engine != f.Engine || o.FLOPs == 0 {
			continue
		}
		place := int(math.Round((math.Log10(float64(o.FLOPs)/float64(o.Bytes)) - lowIntensity) * placesADecade))
		place = min(max(place, 0), places-1)
		rate := math.Log10(float64(o.FLOPs) / o.Seconds.Median / 1e9)
		lowest, highest, drawn = min(lowest, rate), max(highest, rate), true
		for i, form := range forms {
			if strings.Split(o.Key, "/")[2] == form {
				points[i][place] = append(points[i][place], rate)
			}
		}
	}
	if !drawn {
		return "", nil
	}
	bottom, top := math.Floor(lowest), math.Ceil(highest)
	for i := range labels {
		intensity := math.Pow(10, lowIntensity+float64(i)/placesADecade)
		labels[i] = digits(intensity)
		if limit := math.Log10(min(f.Bandwidth.Median*intensity, f.FLOPS.Median) / 1e9); limit >= bottom {
			roof[i] = []float64{limit}
		}
	}
	opt := charts.NewScatterChartOptionWithSeries(charts.ScatterSeriesList{
		{Name: "floor", Values: roof, Symbol: charts.Symbol{Shape: charts.SymbolDot, Size: 1.2}},
		{Name: forms[0], Values: points[0]}, {Name: forms[1], Values: points[1]}, {Name: forms[2], Values: points[2]},
	})
	opt.Theme = roofColours
	opt.XAxis = charts.XAxisOption{Labels: labels, LabelCount: highIntensity - lowIntensity + 1, BoundaryGap: charts.Ptr(false)}
	opt.YAxis = []charts.YAxisOption{{Min: &bottom, Max: &top, LabelCount: int(top-bottom) + 1, RangeValuePaddingScale: charts.Ptr(0.0)}}
	opt.ValueFormatter = func(x float64) string { return digits(math.Pow(10, x)) }
	opt.Symbol = charts.Symbol{Shape: charts.SymbolDot, Size: 3.5}
	opt.Legend = charts.LegendOption{SeriesNames: append([]string{"floor"}, forms...)}
	return canvas(func(p *charts.Painter) error { return p.ScatterChart(opt) })
}

// bars draws groups of bars, a series each engine or program. On a logarithmic axis, which begins
// at 1, values are logarithms, and every power of ten has a line.
func bars(labels, names []string, values [][]float64, logarithmic bool) (template.HTML, error) {
	if len(labels) == 0 {
		return "", nil
	}
	opt := charts.NewBarChartOptionWithData(values)
	opt.Theme = barColours
	opt.CategoryAxis.Labels = labels
	axis, format := charts.ValueAxisOption{Min: charts.Ptr(0.0)}, digits
	if logarithmic {
		format = func(x float64) string { return digits(math.Pow(10, x)) }
		top := 1.0
		for _, v := range slices.Concat(values...) {
			if v != charts.GetNullValue() {
				top = max(top, math.Ceil(v))
			}
		}
		axis.Max, axis.LabelCount, axis.RangeValuePaddingScale = &top, int(top)+1, charts.Ptr(0.0)
	}
	opt.ValueAxis = []charts.ValueAxisOption{axis}
	opt.Legend = charts.LegendOption{SeriesNames: names}
	opt.ValueFormatter = format
	for i := range opt.SeriesList {
		opt.SeriesList[i].Label.Show = charts.Ptr(len(labels)*len(names) <= 24)
		opt.SeriesList[i].Label.ValueFormatter = format
	}
	return canvas(func(p *charts.Painter) error { return p.BarChart(opt) })
}

// speeds draws tokens a second of some rows; label says what stands under a row, "" to leave it out.
func (r *Report) speeds(label func(key string) string) (template.HTML, error) {
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
			values[i][j] = charts.GetNullValue()
			for _, m := range r.Models {
				if i < len(columns) && label(m.Key) == l && m.Engine+" "+m.Mixer == columns[i] {
					values[i][j] = logSpeed(m.PerSecond())
				}
			}
			for _, p := range r.Peers {
				if i >= len(columns) && label(p.Key) == l && p.Peer+" on "+p.Device+", "+p.Mixer == peers[i-len(columns)] {
					values[i][j] = logSpeed(p.Seconds.per(1))
				}
			}
		}
	}
	return bars(labels, append(columns, peers...), values, true)
}

func logSpeed(s Sample) float64 { return max(math.Log10(s.Median), 0) }

// modelKey takes "model/SIZE/KIND/bN" apart; a size has a slash of its own.
func modelKey(key string) (size, kind, batch string) {
	parts := strings.Split(key, "/")
	if len(parts) != 5 {
		return "", "", ""
	}
	return parts[1] + "/" + parts[2], parts[3], parts[4]
}

func (r *Report) bySize(kind string) (template.HTML, error) {
	first := ""
	for _, m := range r.Models {
		if _, k, batch := modelKey(m.Key); k == kind && first == "" {
			first = batch
		}
	}
	return r.speeds(func(key string) string {
		if size, k, batch := modelKey(key); k == kind && batch == first {
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
	return r.speeds(func(key string) string {
		if size, k, batch := modelKey(key); k == kind && size == first {
			return batch
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
		total := int64(0)
		for _, n := range sums[name] {
			total += n
		}
		for _, n := range sums[name] {
			values[i] = append(values[i], 100*float64(n)/float64(max(total, 1)))
		}
	}
	return bars(labels, names, values, false)
}
