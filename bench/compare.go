package bench

import (
	"fmt"
	"io"
	"strings"
)

// Change is how one measured row differs between two reports.
type Change struct {
	Key         string
	Before, Now Sample  // seconds, or units a second
	Rate        bool    // units a second
	Ratio       float64 // of the medians, now ÷ before, in speed: above 1 is faster
	// Real says that the change is beyond the noise: the ranges of all repetitions lie apart.
	Real bool
}

// measuredRow is one row of a report with what it is called; more is better in rates.
type measuredRow struct {
	key    string
	sample Sample
	rate   bool
}

func (r *Report) measured() []measuredRow {
	var all []measuredRow
	for _, f := range r.Floors {
		all = append(all,
			measuredRow{f.Engine + " floor/bandwidth", f.Bandwidth, true}, measuredRow{f.Engine + " floor/flops", f.FLOPS, true})
		if f.Dispatch.Median > 0 {
			all = append(all, measuredRow{f.Engine + " floor/dispatch", f.Dispatch, false})
		}
	}
	for _, o := range r.Ops {
		all = append(all, measuredRow{o.Engine + " " + o.Key, o.Seconds, false})
	}
	for _, m := range append(append([]ModelSpeed(nil), r.Models...), r.Heads...) {
		all = append(all, measuredRow{m.Engine + " " + m.Key + " " + m.Mixer, m.Seconds, false})
	}
	for _, p := range r.Positions {
		all = append(all, measuredRow{fmt.Sprintf("%s %s at %d", p.Engine, p.Key, p.Position), p.Seconds, false})
	}
	return all
}

// Compare lists the rows that both reports have.
func Compare(before, now *Report) []Change {
	old := map[string]Sample{}
	for _, row := range before.measured() {
		old[row.key] = row.sample
	}
	var changes []Change
	for _, row := range now.measured() {
		b, ok := old[row.key]
		if !ok || b.Median <= 0 || row.sample.Median <= 0 {
			continue
		}
		c := Change{Key: row.key, Before: b, Now: row.sample, Rate: row.rate, Ratio: b.Median / row.sample.Median}
		if row.rate {
			c.Ratio = 1 / c.Ratio
		}
		c.Real = b.High < row.sample.Low || row.sample.High < b.Low
		changes = append(changes, c)
	}
	return changes
}

// comparison is the table of what changed since another report.
func comparison(before, now *Report) table {
	t := table{
		Title: fmt.Sprintf("Since %s, commit %.12s", before.Date.Format("2006-01-02 15:04 MST"), before.Commit),
		Text: "Times in µs, rates in units of 1e9 a second; ± is half the range of the repetitions. Faster and slower are said only where " +
			"the ranges of both runs lie apart; anything else is noise.",
		Header: []string{"row", "before", "now", "speed", ""},
	}
	if a, b := fmt.Sprint(before.Engines), fmt.Sprint(now.Engines); a != b {
		t.Text = fmt.Sprintf("The reports come from different engines or devices: %s before, %s now. %s", a, b, t.Text)
	}
	for _, c := range Compare(before, now) {
		unit, word := 1e6, ""
		if c.Rate {
			unit = 1e-9
		}
		switch {
		case c.Real && c.Ratio > 1:
			word = "faster"
		case c.Real:
			word = "slower"
		}
		t.Rows = append(t.Rows, []string{
			c.Key, withSpread(c.Before.scaled(unit)), withSpread(c.Now.scaled(unit)), fmt.Sprintf("%.2f×", c.Ratio), word,
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
