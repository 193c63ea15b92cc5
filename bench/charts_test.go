package bench

import (
	"strings"
	"testing"
)

// The bars of a histogram stand too close for numbers above them.
func TestHistogramHasNoLabels(t *testing.T) {
	svg, err := sampleReport().errors("parity/model/")
	if err != nil || !strings.Contains(string(svg), ">≥1e0<") {
		t.Fatalf("want a histogram: %v", err)
	}
	if n := strings.Count(string(svg), ">1<"); n != 1 { // of the axis
		t.Errorf("numbers above bars: %d", n)
	}
}

// Every operation is a point of the roofline that says its name.
func TestRooflineNames(t *testing.T) {
	r := sampleReport()
	r.Ops[2].Bound = "dispatch"
	svg, err := r.roofline(r.Floors[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>LinearAdd/decode/8x8,n1: 50.0 GFLOP/s</title></circle>", "<title>AdamW/training/8x8,n1: ", "bound by dispatches"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("want %q", want)
		}
	}
	if svg, err := r.roofline(r.Floors[0]); err != nil || strings.Contains(string(svg), "dispatches") {
		t.Errorf("a processor has no dispatches: %v", err)
	}
}
