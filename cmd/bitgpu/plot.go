package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"bitgpu/nn/train"

	"github.com/go-analyze/charts"
	"github.com/urfave/cli/v2"
)

func plotCommand() *cli.Command {
	return &cli.Command{
		Name:        "plot",
		Usage:       "draw the losses of training runs in one picture",
		UsageText:   "bitgpu plot [-o FILE] RUN…",
		ArgsUsage:   "RUN…",
		Description: example("A RUN is the output directory of a training, or a metrics.jsonl file.", "bitgpu plot -o loss.png first second"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Value: lossName, Usage: "`FILE` of the picture; its name ends in .png or .svg"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usagef("plot: the output directory of a training wanted, or several")
			}
			path := c.String("output")
			if pictureFormat(path) == "" {
				return usagef("plot: --output: %s: a name that ends in .png or .svg wanted", path)
			}
			if err := drawRuns(path, c.Args().Slice()); err != nil {
				return fmt.Errorf("plot: %w", err)
			}
			return nil
		},
	}
}

// pictureFormat is what the end of a file's name says, "" where that is no picture we can draw.
func pictureFormat(path string) string {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		return charts.ChartOutputPNG
	case ".svg":
		return charts.ChartOutputSVG
	}
	return ""
}

// mostPoints of a curve: about one a pixel would hide the mean in the noise.
const mostPoints = 400

// drawRuns draws training and validation loss of runs over their steps.
func drawRuns(path string, runs []string) error {
	var all [][]train.Metric
	last := 1
	for _, run := range runs {
		file := run
		if info, err := os.Stat(run); err == nil && info.IsDir() {
			file = filepath.Join(run, train.MetricsName)
		}
		metrics, err := train.ReadMetrics(file)
		if err != nil {
			return err
		}
		if len(metrics) == 0 {
			return fmt.Errorf("%s: no step to draw", file)
		}
		all = append(all, metrics)
		last = max(last, metrics[len(metrics)-1].Step)
	}
	axis := stepAxis{last: last, points: min(last+1, mostPoints+1)}
	var curves [][]float64
	var names []string
	for i, metrics := range all {
		name := runName(runs, i)
		curves, names = append(curves, axis.means(metrics)), append(names, name)
		if validation := axis.validation(metrics); validation != nil {
			curves, names = append(curves, validation), append(names, name+" (validation)")
		}
	}
	picture, err := drawCurves(axis, curves, names, pictureFormat(path))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, picture)
}

// runName is the last part of a run's path, or all of it where another run ends alike.
func runName(runs []string, i int) string {
	name := filepath.Base(filepath.Clean(runs[i]))
	for j, other := range runs {
		if j != i && filepath.Base(filepath.Clean(other)) == name {
			return runs[i]
		}
	}
	return name
}

// stepAxis spreads the steps 0 … last over points.
type stepAxis struct{ last, points int }

// at is the point nearest to a step.
func (a stepAxis) at(step int) int {
	return int(math.Round(float64(step) / float64(a.last) * float64(a.points-1)))
}

// step is the step of a point.
func (a stepAxis) step(point int) int {
	return int(math.Round(float64(point) / float64(a.points-1) * float64(a.last)))
}

// means is the mean training loss at each point; where there is none the curve has a gap.
func (a stepAxis) means(metrics []train.Metric) []float64 {
	sums, counts := make([]float64, a.points), make([]float64, a.points)
	for _, m := range metrics {
		if i := a.at(m.Step); i < a.points {
			sums[i] += float64(m.Loss)
			counts[i]++
		}
	}
	for i := range sums {
		if sums[i] /= counts[i]; counts[i] == 0 {
			sums[i] = charts.GetNullValue()
		}
	}
	return sums
}

// validation joins the validations by straight lines, nil if there was none.
func (a stepAxis) validation(metrics []train.Metric) []float64 {
	curve := make([]float64, a.points)
	for i := range curve {
		curve[i] = charts.GetNullValue()
	}
	before := -1
	for _, m := range metrics {
		if m.ValLoss == nil {
			continue
		}
		at := a.at(m.Step)
		curve[at] = *m.ValLoss
		for i := before + 1; before >= 0 && i < at; i++ {
			part := float64(i-before) / float64(at-before)
			curve[i] = curve[before] + part*(curve[at]-curve[before])
		}
		before = at
	}
	if before < 0 {
		return nil
	}
	return curve
}

func drawCurves(axis stepAxis, curves [][]float64, names []string, format string) ([]byte, error) {
	opt := charts.NewLineChartOptionWithData(curves)
	opt.Title = charts.TitleOption{Text: "loss, nats a token"}
	opt.Legend = charts.LegendOption{SeriesNames: names, Symbol: charts.SymbolDot, Offset: charts.OffsetStr{Left: charts.PositionRight},
		Vertical: charts.Ptr(true)}
	labels := make([]string, axis.points)
	for i := range labels {
		labels[i] = strconv.Itoa(axis.step(i))
	}
	opt.XAxis = charts.XAxisOption{Title: "step", Labels: labels, LabelCount: min(axis.points, 9), BoundaryGap: charts.Ptr(false)}
	opt.Symbol = charts.Symbol{Shape: charts.SymbolNone}
	opt.LineStrokeWidth = 1.5
	opt.ValueFormatter = func(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: format, Width: 960, Height: 540})
	if err := p.LineChart(opt); err != nil {
		return nil, err
	}
	return p.Bytes()
}
