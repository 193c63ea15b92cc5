package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Change describes how a measured row differs between two reports.
type Change struct {
	Key         string
	Before, Now Sample  // seconds, or units a second
	Rate        bool    // units a second
	Ratio       float64 // of the medians, now ÷ before, in speed: above 1 is faster
	Floor       float64 // the same of the engine's limit that the row is bound by, 0 where there is none
	// Real: the change exceeds the noise.
	Real bool
}

// leastChange is how much medians must differ for a change to count, however narrow the ranges are.
const leastChange = 0.1

// beyondNoise reports whether two samples differ by more than their repetitions: their medians by more than leastChange, and by more
// than the range of either. It is not enough that the ranges do not overlap: with three repetitions each of the same thing, that
// happens in one row of ten.
func beyondNoise(a, b Sample) bool {
	difference := math.Abs(a.Median - b.Median)
	return difference > leastChange*max(a.Median, b.Median) && difference > max(a.High-a.Low, b.High-b.Low) &&
		(a.High < b.Low || b.High < a.Low)
}

// measuredRow is a row of a report with its name. For rates, more is better.
type measuredRow struct {
	key    string
	sample Sample
	rate   bool
	floor  string // the key of what limits it
}

func (r *Report) measured() []measuredRow {
	var all []measuredRow
	for _, f := range r.Floors {
		all = append(all, measuredRow{floorKey(f.Engine, "memory"), f.Bandwidth, true, ""},
			measuredRow{floorKey(f.Engine, "arithmetic"), f.FLOPS, true, ""})
		if f.Dispatch.Median > 0 {
			all = append(all, measuredRow{floorKey(f.Engine, "dispatch"), f.Dispatch, false, ""})
		}
	}
	for _, o := range r.Ops {
		all = append(all, measuredRow{o.Engine + " " + o.Key, o.Seconds, false, floorKey(o.Engine, o.Bound)})
	}
	for _, m := range slices.Concat(r.Models, r.Heads) {
		all = append(all, measuredRow{m.Engine + " " + m.Key + " " + m.Mixer, m.Seconds, false, floorKey(m.Engine, m.Bound)})
	}
	for _, m := range r.Families {
		all = append(all, measuredRow{m.Engine + " " + m.Key, m.Seconds, false, floorKey(m.Engine, m.Bound)})
	}
	for _, p := range r.Positions {
		all = append(all, measuredRow{fmt.Sprintf("%s %s at %d", p.Engine, p.Key, p.Position), p.Seconds, false, ""})
	}
	for _, p := range r.Peers {
		all = append(all, measuredRow{p.column() + " " + p.Key, p.Seconds, false, ""})
	}
	return all
}

// floorKey returns the name of the row with an engine's limit.
func floorKey(engine, bound string) string { return engine + " floor/" + bound }

// Compare lists the rows that both reports have.
func Compare(before, now *Report) []Change {
	old := map[string]Sample{}
	for _, row := range before.measured() {
		old[row.key] = row.sample
	}
	var changes []Change
	ratios := map[string]float64{}
	for _, row := range now.measured() {
		b, ok := old[row.key]
		if !ok || b.Median <= 0 || row.sample.Median <= 0 {
			continue
		}
		c := Change{Key: row.key, Before: b, Now: row.sample, Rate: row.rate, Ratio: b.Median / row.sample.Median}
		if row.rate {
			c.Ratio = 1 / c.Ratio
		}
		ratios[row.key] = c.Ratio
		c.Floor = ratios[row.floor] // which stand first
		c.Real = beyondNoise(b, row.sample)
		changes = append(changes, c)
	}
	return changes
}

// devices says in words what a report was measured on.
func (r *Report) devices() string {
	var all []string
	for _, e := range r.Engines {
		all = append(all, fmt.Sprintf("%s on %s with %s", e.Name, e.Device, e.Driver))
	}
	return strings.Join(all, ", ")
}

// comparison is the table of what changed since another report.
func comparison(before, now *Report) table {
	t := table{
		Title: fmt.Sprintf("Since %s, commit %.12s", before.Date.Format("2006-01-02 15:04 MST"), before.Commit),
		Text: fmt.Sprintf("Times in µs, rates in units of 1e9 a second; ± is half the range of the repetitions. Floor is by how much the limit "+
			"that a row is bound by changed: where that is as much as the row, the machine changed. Faster and slower are said only "+
			"where the medians differ by more than %.0f %% and by more than the range of either run, and the ranges lie apart.", 100*leastChange),
		Header: []string{"row", "before", "now", "speed", "floor", ""},
		Words:  []int{5},
	}
	if a, b := before.devices(), now.devices(); a != b {
		t.Text = fmt.Sprintf("The reports come from different engines or devices. Before: %s. Now: %s. %s", a, b, t.Text)
	}
	for _, c := range Compare(before, now) {
		unit, word, floor := 1e6, "", ""
		if c.Rate {
			unit = 1e-9
		}
		switch {
		case c.Real && c.Ratio > 1:
			word = "faster"
		case c.Real:
			word = "slower"
		}
		if c.Floor > 0 {
			floor = fmt.Sprintf("%.2f×", c.Floor)
		}
		t.Rows = append(t.Rows, []string{
			c.Key, withSpread(c.Before.scaled(unit)), withSpread(c.Now.scaled(unit)), fmt.Sprintf("%.2f×", c.Ratio), floor, word,
		})
	}
	return t
}

// PrintComparison writes what changed since another report.
func (r *Report) PrintComparison(w io.Writer, before *Report) error {
	t := comparison(before, r)
	if len(t.Rows) == 0 {
		t.Text = "The reports have no measured row in common."
	}
	var out strings.Builder
	t.print(&out)
	_, err := io.WriteString(w, out.String())
	return err
}
