package bench

import (
	"fmt"
	"strings"
)

func (r *Report) familyEngines() []string {
	return keys(r.Families, func(m FamilySpeed) string { return m.Engine })
}

// peersOf returns the rows of a peer that begin with a word.
func (r *Report) peersOf(kind string) (all []PeerSpeed) {
	for _, p := range r.Peers {
		if strings.HasPrefix(p.Key, kind+"/") {
			all = append(all, p)
		}
	}
	return all
}

// versus shows a peer's speed, and how many times as fast ours is on the same kind of device.
func (r *Report) versus(p PeerSpeed, ours Sample) string {
	rate := p.Seconds.per(1)
	cell := withSpread(rate)
	if p.Resident > 0 {
		cell += fmt.Sprintf(", %d MB", p.Resident/1e6)
	}
	if ours.Median > 0 && r.comparable(p) {
		cell += fmt.Sprintf(", our %s is %.2f×", p.engine(), ours.Median/rate.Median)
	}
	return cell
}

func (r *Report) familyTable() table {
	t := table{
		Title: "Public families",
		Text: "Random weights of the shape. Tokens a second of all sequences together. Of floor is the share of what the bandwidth (m) or the " +
			"multiply-adds (a) of this run allow, with weights at 2.125 bits (γ: 2 bits and float16 tables), and keys and values once a token; integer " +
			"products may be faster than the float ones that the floor counts. MB is all tensors, with the room that a session has; resident is the whole program.",
		Header: []string{"row"},
	}
	engines, peers := r.familyEngines(), keys(r.peersOf("family"), PeerSpeed.column)
	for _, e := range engines {
		t.Header = append(t.Header, e+" tokens/s", "of floor", "MB", "resident MB")
	}
	t.Header = append(t.Header, peers...)
	rows := keys(r.Families, func(m FamilySpeed) string { return m.Key })
	for _, p := range r.peersOf("family") { // of which ours may be missing
		rows = append(rows, p.Key)
	}
	for _, key := range keys(rows, func(key string) string { return key }) {
		row := []string{strings.TrimPrefix(key, "family/")}
		ours := map[string]Sample{}
		for _, e := range engines {
			cells := []string{"", "", "", ""}
			for _, m := range r.Families {
				if m.Key == key && m.Engine == e {
					ours[e] = m.PerSecond()
					cells = []string{
						withSpread(m.PerSecond()), fmt.Sprintf("%.0f %% %.1s", 100*m.Floor/m.Seconds.Median, m.Bound),
						digits(float64(m.Memory) / 1e6), count(float64(m.Resident / 1e6)),
					}
				}
			}
			row = append(row, cells...)
		}
		for _, column := range peers {
			cell := ""
			for _, p := range r.peersOf("family") {
				if p.Key == key && p.column() == column {
					cell = r.versus(p, ours[p.engine()])
				}
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// familyRatios shows the rows that are compared with another: many streams with one, a late token with an early one.
func (r *Report) familyRatios() table {
	t := table{
		Title: "Public families: many streams, long context",
		Text: "A token's time beside that of the first row of its kind, and speed beside it. The memory before a position is filled with random numbers, not " +
			"read. KV is what a token of one sequence adds to the memory, and what the tokens before the row take in all; state is what does not grow.",
		Header: []string{"row", "engine", "ms a token", "time", "speed", "KV bytes a token", "KV MB", "state MB"},
		Words:  []int{1},
	}
	for _, m := range r.Families {
		if m.FirstOf == "" && !strings.Contains(m.Key, "/context/") {
			continue
		}
		first := m
		for _, other := range r.Families {
			if other.Key == m.FirstOf && other.Engine == m.Engine {
				first = other
			}
		}
		by := ""
		faster := ""
		if first.Key != m.Key {
			by = fmt.Sprintf("%.2f×", m.Seconds.Median/first.Seconds.Median)
			faster = fmt.Sprintf("%.2f×", first.Seconds.Median/m.Seconds.Median)
		}
		t.Rows = append(t.Rows, []string{
			strings.TrimPrefix(m.Key, "family/"), m.Engine, withSpread(m.Seconds.scaled(1e3)), by, faster, fmt.Sprint(m.Cache),
			digits(float64(m.Cache*m.Position*int64(m.Sequences)) / 1e6), digits(float64(m.PerSession*int64(m.Sequences)) / 1e6),
		})
	}
	return t
}
