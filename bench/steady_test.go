package bench

import (
	"strings"
	"testing"
	"time"

	"bitgpu/nn/cpu"
)

// What was measured while the device was slow is measured again, as long as there is patience.
func TestSteady(t *testing.T) {
	for _, c := range []struct {
		name  string
		rates []float64 // one by one; the last stays
		left  time.Duration
		calls int
		notes string // a part of them
	}{
		{"undisturbed", []float64{10, 8}, time.Minute, 1, ""},
		{"slow before", []float64{5, 5, 10}, time.Minute, 1, "0 measurements were repeated"},
		{"slow after", []float64{10, 5, 5, 10}, time.Minute, 2, "1 measurements were repeated, 1.0 s"},
		{"faster than ever", []float64{10, 20, 20}, time.Minute, 1, ""},
		{"always slow", []float64{4}, 3 * pause, 1, "some rows may be slow"},
		{"slow for long", []float64{4}, time.Minute, 1, "some rows may be slow"},
		{"no patience", []float64{4}, 0, 1, "some rows may be slow"},
	} {
		e := engineOf(cpu.New())
		e.best = 10
		e.Rate = func() float64 {
			rate := c.rates[0]
			c.rates = c.rates[min(1, len(c.rates)-1):]
			return rate
		}
		s := &suite{disturbed: disturbed{left: c.left}, report: &Report{}}
		calls := 0
		clock := e.steady(s, func(record func()) (time.Duration, error) {
			record()
			return time.Second, nil
		})
		if took, err := clock(func() { calls++ }); err != nil || took != time.Second {
			t.Errorf("%s: %v, %v", c.name, took, err)
		}
		s.note(s.report)
		if notes := strings.Join(s.report.Notes, " "); calls != c.calls || !strings.Contains(notes, c.notes) || (c.notes == "") != (notes == "") {
			t.Errorf("%s: got %d calls, want %d; got %q, want notes with %q", c.name, calls, c.calls, notes, c.notes)
		}
	}
}
