package bench

import (
	"fmt"
	"strings"
)

// LeftOut is a row that was asked for and not measured, because it takes too long or too much memory, or the engine cannot run it.
type LeftOut struct {
	Engine  string  `json:"engine"`
	Key     string  `json:"key"`
	Seconds float64 `json:"seconds,omitempty"` // that one repetition would take, about
	Memory  int64   `json:"memory,omitempty"`  // bytes that it needs
	Free    int64   `json:"free,omitempty"`    // bytes that there were
	Why     string  `json:"why,omitempty"`     // what is in the way, behind "left out, for "
}

// leftOut are the rows of one engine and kind that were left out for one reason.
type leftOut struct {
	Text string // how many, and why
	Keys string
}

// leftOut groups the rows that were left out, so that a reader sees how many are missing before which.
func (r *Report) leftOut() []leftOut {
	type group struct {
		engine, kind string
		memory       bool
		why          string
	}
	of := func(l LeftOut) group {
		kind, _, _ := strings.Cut(l.Key, "/")
		return group{l.Engine, kind, l.Memory > 0, l.Why}
	}
	var all []leftOut
	for _, g := range keys(r.LeftOut, of) {
		var names []string
		var least, most LeftOut
		for _, l := range r.LeftOut {
			if of(l) != g {
				continue
			}
			if len(names) == 0 {
				least, most = l, l
			}
			least.Seconds, most.Seconds = min(least.Seconds, l.Seconds), max(most.Seconds, l.Seconds)
			most.Memory = max(most.Memory, l.Memory)
			names = append(names, strings.TrimPrefix(l.Key, g.kind+"/"))
		}
		text := fmt.Sprintf("%d of %s/… left out on the %s engine, where ", len(names), g.kind, g.engine)
		switch {
		case g.why != "":
			text = strings.TrimSuffix(text, "where ") + "for " + g.why
		case g.memory:
			text += fmt.Sprintf("%d MB are free and up to %d MB needed", most.Free>>20, most.Memory>>20)
		case len(names) == 1:
			text += fmt.Sprintf("one repetition would take %s s; --full runs it", digits(most.Seconds))
		default:
			text += fmt.Sprintf("one repetition would take %s to %s s; --full runs them", digits(least.Seconds), digits(most.Seconds))
		}
		all = append(all, leftOut{text, strings.Join(names, ", ")})
	}
	return all
}
