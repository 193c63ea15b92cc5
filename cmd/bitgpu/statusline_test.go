package main

import (
	"strings"
	"testing"
	"time"

	"bitgpu/nn/train"
)

// screen is a terminal that wraps at its width, and knows line feed and carriage return only, as a dumb one does.
type screen struct {
	columns int
	rows    []string
	at      int // column of the cursor
	t       *testing.T
}

func (s *screen) Write(p []byte) (int, error) {
	if len(s.rows) == 0 {
		s.rows = []string{""}
	}
	for _, r := range string(p) {
		switch {
		case r == '\n':
			s.rows, s.at = append(s.rows, ""), 0
		case r == '\r':
			s.at = 0
		case r < ' ' || r > '~':
			s.t.Errorf("%q is written to a terminal", r)
		default:
			if s.at == s.columns {
				s.rows, s.at = append(s.rows, ""), 0
			}
			row := []rune(s.rows[len(s.rows)-1])
			for len(row) <= s.at {
				row = append(row, ' ')
			}
			row[s.at] = r
			s.rows[len(s.rows)-1] = string(row)
			s.at++
		}
	}
	return len(p), nil
}

// However narrow the terminal, a run's progress takes one row of it, above which its notes stay.
func TestProgressTakesOneRow(t *testing.T) {
	for _, columns := range []int{1, 10, 40, 60, 72, 80, 200} {
		s := &screen{columns: columns, t: t}
		p := &progress{out: s, line: &statusLine{out: s, width: func() int { return s.columns }}, total: 1_000_000, step: 1}
		for step := range 1000 {
			p.line.next = time.Time{} // no test waits
			p.Progress([]train.Metric{{Step: 1000 * step, Loss: 100 / float32(step+1), LR: 1e-3, TokensPerSecond: float64(1 + 12345*(step%7))}})
		}
		if len(s.rows) != 1 || len(strings.TrimRight(s.rows[0], " ")) > columns-1 {
			t.Fatalf("%d columns: got %d, want one row: %q", columns, len(s.rows), s.rows[max(0, len(s.rows)-3):])
		}
		if row := s.rows[0]; columns >= 40 && !strings.Contains(row, "step 999001/1000000  loss 0.1") || columns == 200 && !strings.Contains(row, "[###################-] step 999001/1000000  loss 0.1000  0s left  ") {
			t.Errorf("%d columns: %q", columns, row)
		}
		p.note("saved")
		p.close()
		if len(s.rows) < 3 || strings.TrimSpace(s.rows[0]) != "saved"[:min(5, columns)] || s.rows[len(s.rows)-1] != "" {
			t.Errorf("%d columns: got %q, want a note, the last of the line and a line's end", columns, s.rows)
		}
	}
}

// What is no terminal gets lines from time to time.
func TestProgressWithoutATerminal(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, train.Options{Steps: 10_000, Batch: 1, Time: 1, Accumulate: 1})
	for step := range 10_000 {
		p.Progress([]train.Metric{{Step: step, Loss: 1, TokensPerSecond: 1000}})
	}
	p.close()
	lines := strings.Split(out.String(), "\n")
	if len(lines) > 100 || strings.ContainsAny(out.String(), "\r\x1b") || !strings.HasPrefix(lines[0], "step 1/10000  loss 1.0000  10s left") {
		t.Errorf("%d lines: %q", len(lines), lines[0])
	}
}
