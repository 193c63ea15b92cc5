package bench

import (
	"fmt"
	"slices"
	"strings"
)

// finding is one sentence of a verdict.
type finding struct {
	Text string
	Bad  bool
}

// verdict says in a few sentences what a run found; before may be nil, else what changed since comes before all but what is wrong.
func (r *Report) verdict(before *Report) []finding {
	var all []finding
	add := func(bad bool, format string, args ...any) {
		all = append(all, finding{fmt.Sprintf(format, args...), bad})
	}
	broken := r.Broken()
	if len(broken) > 0 {
		add(true, "%d of %d rows of parity do not hold their bounds.", len(broken), len(r.Parity))
	}
	if before != nil {
		changes := Compare(before, r)
		count := func(faster bool) (n int) {
			for _, c := range changes {
				if c.Real && (c.Ratio > 1) == faster {
					n++
				}
			}
			return n
		}
		add(false, "Since %s, commit %.12s: of %d rows %d are faster and %d slower.",
			before.Date.Format("2006-01-02 15:04 MST"), before.Commit, len(changes), count(true), count(false))
	}
	if len(broken) == 0 && len(r.Parity) > 0 {
		add(false, "Right: all %d rows of parity hold their bounds against float64.", len(r.Parity))
	}
	for _, failure := range r.Failures {
		add(true, "Failed: %s", failure)
	}
	first, grown, last := map[string]PositionCost{}, 0, int64(0)
	for _, p := range r.Positions {
		last = max(last, p.Position)
		if from, ok := first[p.Engine+p.Key]; !ok {
			first[p.Engine+p.Key] = p
		} else if more := p.grown(from); more != "" {
			grown++
			add(true, "Not flat: %s on the %s engine takes more %s at position %d than at %d.", p.Key, p.Engine, more, p.Position, from.Position)
		}
	}
	if len(r.Positions) > len(first) && grown == 0 {
		add(false, "Flat: a token after %d takes the time and memory of an early one.", last)
	}
	for _, m := range r.Families {
		if strings.HasSuffix(m.Key, "/text/b1") {
			add(false, "%s on the %s engine: %s tokens a second of text, one stream, %.0f %% of what %s allows.",
				strings.Split(m.Key, "/")[1], m.Engine, withSpread(m.PerSecond()), 100*m.Floor/m.Seconds.Median, m.Bound)
		}
	}
	if fast := r.fastest("text"); fast != "" {
		add(false, "Tokens a second of text, one stream of the smallest model: %s.", fast)
	}
	return all
}

// made says when and on what a report was made.
func (r *Report) made() string {
	return fmt.Sprintf("%s, commit %.12s: %s", r.Date.Format("2006-01-02 15:04 MST"), r.Commit, r.devices())
}

// fastest lists the speed of every engine and mixer on the first row of a kind.
func (r *Report) fastest(kind string) string {
	i := slices.IndexFunc(r.Models, func(m ModelSpeed) bool { _, k, _ := modelKey(m.Key); return k == kind })
	if i < 0 {
		return ""
	}
	var all []string
	for _, m := range r.Models {
		if m.Key == r.Models[i].Key {
			all = append(all, fmt.Sprintf("%s %s %s", m.Engine, m.Mixer, withSpread(m.PerSecond())))
		}
	}
	return strings.Join(all, ", ")
}
