package learningcurve

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/png"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bitgpu/nn/train"

	"github.com/go-analyze/charts"
)

// run has n steps of a loss, validated every k, or never for 0.
func run(name string, n, k int, loss func(step int) float64) Run {
	r := Run{Name: name}
	for i := range n {
		m := train.Metric{Step: i, Loss: float32(loss(i))}
		if k > 0 && (i+1)%k == 0 {
			v := loss(i) + 0.25
			m.ValLoss = &v
		}
		r.Metrics = append(r.Metrics, m)
	}
	return r
}

// falling is a loss as runs have it, with noise.
func falling(step int) float64 {
	return 3 + 4*math.Exp(-float64(step)/100) + 0.1*float64(step*7919%11-5)/5
}

// element is a text or a line of an SVG.
type element struct {
	text, style string
	dashed      bool
	x, y        float64
	points      []image.Point // of a path
}

var pathPoint = regexp.MustCompile(`[ML] (-?\d+) (-?\d+)`)

// drawn reads an SVG back.
func drawn(t *testing.T, runs ...Run) (elements []element, wide, high string) {
	t.Helper()
	data, err := Draw(runs, charts.ChartOutputSVG)
	if err != nil {
		t.Fatal(err)
	}
	in := xml.NewDecoder(bytes.NewReader(data))
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return elements, wide, high
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			attribute := map[string]string{}
			for _, a := range token.Attr {
				attribute[a.Name.Local] = a.Value
			}
			if token.Name.Local == "svg" {
				wide, high = attribute["width"], attribute["height"]
			}
			e := element{style: attribute["style"], dashed: attribute["stroke-dasharray"] != ""}
			e.x, _ = strconv.ParseFloat(attribute["x"], 64)
			e.y, _ = strconv.ParseFloat(attribute["y"], 64)
			for _, m := range pathPoint.FindAllStringSubmatch(attribute["d"], -1) {
				x, _ := strconv.Atoi(m[1])
				y, _ := strconv.Atoi(m[2])
				e.points = append(e.points, image.Pt(x, y))
			}
			elements = append(elements, e)
		case xml.CharData:
			if len(elements) > 0 {
				elements[len(elements)-1].text += string(token)
			}
		}
	}
}

// The numbers of both axes are round and stand where their scale says, which the curve shows.
func TestRoundTicks(t *testing.T) {
	r := run("demo", 2800, 250, falling)
	elements, wide, high := drawn(t, r)
	if wide != "960" || high != "540" {
		t.Errorf("got %q by %q, want 960 by 540", wide, high)
	}
	var steps, losses []string
	at := map[string]element{}
	for _, e := range elements {
		switch {
		case e.text != "" && e.y == height-bottom+22:
			steps = append(steps, e.text)
			at["step "+e.text] = e
		case e.text != "" && e.x < left-5 && e.y > 2*row:
			losses = append(losses, e.text)
			at["loss "+e.text] = e
		}
	}
	if want := []string{"0", "500", "1000", "1500", "2000", "2500"}; !slices.Equal(steps, want) {
		t.Errorf("got steps %v, want %v", steps, want)
	}
	if want := []string{"2.5", "3.0", "3.5", "4.0", "4.5", "5.0", "5.5", "6.0", "6.5", "7.0"}; !slices.Equal(losses, want) {
		t.Errorf("got losses %v, want %v", losses, want)
	}
	// The smoothed line passes the mean of steps 990 to 1010, between the numbers beside it.
	line := curves(elements, colours[0], 2, false)
	if len(line) != 1 {
		t.Fatalf("got %d, want one smoothed line", len(line))
	}
	x := at["step 1000"].x + 16 // half of four digits
	i := slices.IndexFunc(line[0], func(p image.Point) bool { return float64(p.X) >= x-1 })
	three, four := at["loss 3.0"].y-fontSize/2, at["loss 4.0"].y-fontSize/2
	if got := 3 + (float64(line[0][i].Y)-three)/(four-three); math.Abs(got-3) > 0.05 {
		t.Errorf("got %.3f at step 1000, want about 3", got)
	}
}

// curves are the lines of a colour and thickness.
func curves(elements []element, hex string, thick int, dashed bool) [][]image.Point {
	c := charts.ColorFromHex(hex)
	var list [][]image.Point
	for _, e := range elements {
		if len(e.points) > 2 && strings.Contains(e.style, c.String()) && strings.Contains(e.style, "stroke-width:"+strconv.Itoa(thick)) &&
			e.dashed == dashed {
			list = append(list, e.points)
		}
	}
	return list
}

// A run has one colour, for its training, smoothed, and its validation; no other run has it.
func TestColourOfARun(t *testing.T) {
	elements, _, _ := drawn(t, run("first", 400, 50, falling), run("second", 300, 0, falling))
	for i, validated := range []int{1, 0} {
		if n := len(curves(elements, colours[i], 2, false)); n != 1 {
			t.Errorf("run %d: got %d, want one smoothed line", i, n)
		}
		if n := len(curves(elements, colours[i], 2, true)); n != validated {
			t.Errorf("run %d: got %d lines of validation, want %d", i, n, validated)
		}
		faint := 0
		for _, e := range elements {
			c := charts.ColorFromHex(colours[i]).WithAlpha(80)
			if len(e.points) > 100 && strings.Contains(e.style, c.String()) {
				faint++
			}
		}
		if faint != 1 {
			t.Errorf("run %d: got %d, want one faint line", i, faint)
		}
	}
}

// The legend lies above grid and curves and inside of the picture, whatever the names, and however many.
func TestLegendIsFree(t *testing.T) {
	var many []Run
	for i := range 12 {
		many = append(many, run(strings.Repeat("a long name <&> ", i%3+1)+strconv.Itoa(i), 20+10*i, 7, falling))
	}
	for _, runs := range [][]Run{{run("demo", 2800, 250, falling)}, many} {
		elements, _, _ := drawn(t, runs...)
		lowest, names := 0.0, 0
		for _, e := range elements {
			if slices.ContainsFunc(runs, func(r Run) bool { return r.Name == e.text }) || e.text == "validation" {
				lowest, names = max(lowest, e.y), names+1
				if end := e.x + 8*float64(len(e.text)); end > width {
					t.Errorf("%q ends at about %.0f of %d", e.text, end, width)
				}
			}
		}
		if names != len(runs)+1 {
			t.Errorf("got %d names, want %d", names, len(runs)+1)
		}
		for _, e := range elements[1:] {
			grid := strings.Contains(e.style, gridInk.String())
			if (grid || len(e.points) > 5) && e.points[0].Y != 0 && float64(e.points[0].Y) < lowest+3 {
				t.Errorf("a line at %d, the legend reaches to %.0f", e.points[0].Y, lowest)
			}
		}
	}
}

// A smoothed line is no later than what it smooths.
func TestSmoothed(t *testing.T) {
	losses := make([]float64, 1000)
	for i := range losses {
		losses[i] = 10 - float64(i)/100
	}
	for i, s := range smoothed(losses)[:990] {
		if math.Abs(s-losses[i]) > 1e-9 {
			t.Fatalf("place %d: got %g, want %g", i, s, losses[i])
		}
	}
	for i := range losses {
		losses[i] = float64(i % 2)
	}
	for i, s := range smoothed(losses)[10:] {
		if math.Abs(s-0.5) > 0.05 {
			t.Fatalf("place %d: noise is left: %g", i+10, s)
		}
	}
	if s := smoothed([]float64{3}); s[0] != 3 {
		t.Errorf("got %v, want 3", s)
	}
}

// Runs of one step, of equal losses, and of far more steps than pixels.
func TestSmallAndLarge(t *testing.T) {
	for _, n := range []int{1, 2, 200_000} {
		r := run("r", n, max(n/5, 1), func(int) float64 { return 2 })
		data, err := Draw([]Run{r}, charts.ChartOutputSVG)
		if err != nil || len(data) > 200_000 {
			t.Errorf("%d steps: %d bytes, %v", n, len(data), err)
		}
	}
	data, err := Draw([]Run{run("r", 50, 10, falling)}, charts.ChartOutputPNG)
	if err != nil {
		t.Fatal(err)
	}
	p, err := png.Decode(bytes.NewReader(data))
	if err != nil || p.Bounds() != image.Rect(0, 0, width, height) {
		t.Errorf("got %v, want a picture of %d by %d, %v", p.Bounds(), width, height, err)
	}
	bad := run("r", 3, 0, func(int) float64 { return math.NaN() })
	if _, err := Draw([]Run{bad}, charts.ChartOutputPNG); err == nil {
		t.Error("a loss that is no number was drawn")
	}
}

// Names that are wider than the picture keep their ends, the last number of steps is whole, and more runs than colours differ.
func TestNothingIsCutOff(t *testing.T) {
	long := strings.Repeat("folder/", 40) + "run"
	r := run(long, 2, 0, falling)
	r.Metrics[1].Step = 10_000_000
	elements, _, _ := drawn(t, r)
	found := 0
	for _, e := range elements {
		if strings.HasPrefix(e.text, "…") && strings.HasSuffix(e.text, "folder/run") || e.text == "10000000" {
			found++
		}
		if end := e.x + 6*float64(len([]rune(e.text))); e.text != "" && end > width {
			t.Errorf("%q ends at about %.0f of %d", e.text, end, width)
		}
	}
	if found != 2 {
		t.Errorf("got %d of the name's end and the last step", found)
	}
	seen := map[charts.Color]bool{}
	for i := range 2 * len(colours) {
		seen[colourOf(i)] = true
	}
	if len(seen) != 2*len(colours) {
		t.Errorf("got %d colours for %d runs", len(seen), 2*len(colours))
	}
}

// A run of few steps has a mark at each, and no smoothed line is spoken of where there is none.
func TestFewSteps(t *testing.T) {
	for n, marks := range map[int]int{1: 1, 30: 30, 60: 0} {
		elements, _, _ := drawn(t, run("r", n, 0, falling))
		got := 0
		for _, e := range elements {
			if strings.Contains(e.style, "fill:"+colourOf(0).String()) {
				got++
			}
			if e.text == "smoothed" {
				t.Errorf("%d steps: the legend speaks of a smoothed line", n)
			}
		}
		if got != marks {
			t.Errorf("%d steps: got %d marks, want %d", n, got, marks)
		}
	}
}
