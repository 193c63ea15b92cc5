package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is a part of the report in words and numbers, for a terminal and for a page.
type table struct {
	Title  string
	Text   string // what the numbers are
	Header []string
	Rows   [][]string
	Words  []int // columns that hold words, beside the first
}

// Left reports whether a column's cells stand left, as words do; numbers stand right.
func (t table) Left(column int) bool { return column == 0 || slices.Contains(t.Words, column) }

// Print writes the report as tables.
func (r *Report) Print(w io.Writer) error {
	var out strings.Builder
	for _, t := range r.tables() {
		t.print(&out)
	}
	for _, failure := range r.Failures {
		fmt.Fprintf(&out, "FAILED: %s\n", failure)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&out, "note: %s\n", note)
	}
	for _, l := range r.leftOut() {
		fmt.Fprintf(&out, "note: %s: %s\n", l.Text, l.Keys)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// print aligns words left and numbers right.
func (t table) print(out *strings.Builder) {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintf(out, "%s\n", t.Title)
	if t.Text != "" {
		fmt.Fprintf(out, "%s\n", t.Text)
	}
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				line.WriteString("  ")
			}
			if t.Left(i) {
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	out.WriteString("\n")
}

// tables are the report's parts that have rows.
func (r *Report) tables() []table {
	var all []table
	for _, t := range []table{
		r.engineTable(), r.floorTable(), r.parityTable(), r.failureTable(), r.opTable(), r.modelTable(), r.stepTable(), r.headTable(),
		r.positionTable(), r.familyTable(), r.familyRatios(),
	} {
		if len(t.Rows) > 0 {
			all = append(all, t)
		}
	}
	return all
}

func (r *Report) engineTable() table {
	t := table{
		Title:  fmt.Sprintf("bitgpu bench, %s, commit %.12s, %s %s", r.Date.Format("2006-01-02 15:04 MST"), r.Commit, r.Go, r.Platform),
		Text:   r.machine(),
		Header: []string{"engine", "device", "driver", "times from"},
		Words:  []int{1, 2, 3},
	}
	for _, e := range r.Engines {
		device := e.Device
		if !e.Hardware {
			device += " (software)"
		}
		t.Rows = append(t.Rows, []string{e.Name, device, e.Driver, e.Clock})
	}
	return t
}

// machine says in a sentence what the run was made on, and whether it was alone there; nothing of a report that does not
// know.
func (r *Report) machine() string {
	m := r.Machine
	if m.Processor == "" {
		return ""
	}
	text := fmt.Sprintf("On %s, %d threads", m.Processor, m.Threads)
	if m.Memory > 0 {
		text += fmt.Sprintf(", %.1f GB of memory", float64(m.Memory)/1e9)
	}
	if len(r.Load) == 2 {
		text += fmt.Sprintf("; load average %.2f when the run began, %.2f when it ended", r.Load[0], r.Load[1])
	}
	return text + "."
}

func (r *Report) floorTable() table {
	t := table{
		Title:  "Floor",
		Text:   "What the device did at most in this run; all shares below are of it.",
		Header: []string{"engine", "memory", "GB/s", "GFLOP/s", "µs a dispatch"},
		Words:  []int{1},
	}
	for _, f := range r.Floors {
		t.Rows = append(t.Rows, []string{
			f.Engine, f.Traffic, withSpread(f.Bandwidth.scaled(1e-9)), withSpread(f.FLOPS.scaled(1e-9)), withSpread(f.Dispatch.scaled(1e6)),
		})
	}
	return t
}

func (r *Report) parityTable() table {
	t := table{
		Title:  "Parity",
		Text:   "Distance from the reference in float64. Relative errors are of the number or of its tensor's root mean square; of bound is the share of what is allowed.",
		Header: []string{"comparison", "engine", "cases", "numbers", "max abs", "max rel", "of bound", "same token", "mean KL", "max KL", "holds"},
		Words:  []int{1, 10},
	}
	for _, p := range r.Parity {
		tokens, mean, largest := "", "", ""
		if p.TopTokens > 0 {
			tokens = fmt.Sprintf("%.2f %%", 100*p.TopShare())
		}
		if strings.HasPrefix(p.Key, "parity/model/") {
			mean, largest = scientific(p.MeanKL), scientific(p.MaxKL)
		}
		holds := "yes"
		if !p.Holds() {
			holds = fmt.Sprintf("NO, %d times", p.Failed)
		}
		t.Rows = append(t.Rows, []string{
			p.Key, strings.TrimSpace(p.Engine + " " + p.Variant), fmt.Sprint(p.Cases), fmt.Sprint(p.Numbers),
			scientific(p.MaxAbs), scientific(p.MaxRel), fmt.Sprintf("%.1f %%", 100*min(p.OfBound, 1e6)), tokens, mean, largest, holds,
		})
	}
	return t
}

func (r *Report) failureTable() table {
	t := table{Title: "Broken bounds", Header: []string{"comparison", "found"}, Words: []int{1}}
	for _, p := range r.Broken() {
		for _, failure := range p.Failures {
			t.Rows = append(t.Rows, []string{p.Key + " " + p.Engine + " " + p.Variant, failure + "; bound: " + p.Bound})
		}
	}
	return t
}

// keys lists what rows are called, each once, in their order.
func keys[R any, K comparable](rows []R, key func(R) K) []K {
	var all []K
	for _, row := range rows {
		if k := key(row); !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}

func (r *Report) opTable() table {
	t := table{
		Title: "Operations",
		Text: "Time of one call, ± half the range of the repetitions; share of the floor, which is the larger of bytes ÷ bandwidth (m), " +
			"operations ÷ multiply-add rate (a) and dispatches (d). * = the tensors fit into a cache, so the share may exceed 100 %. × float32 is how many times more weights a second a ternary " +
			"product with one row takes than a float32 product could read at the bandwidth of the floor.",
		Header: []string{"operation"},
	}
	engines := keys(r.Ops, func(o OpTime) string { return o.Engine })
	for _, e := range engines {
		t.Header = append(t.Header, e+" µs", "of floor", "GB/s", "GFLOP/s", "× float32")
	}
	for _, key := range keys(r.Ops, func(o OpTime) string { return o.Key }) {
		row := []string{strings.TrimPrefix(key, "op/")}
		for _, e := range engines {
			cells := make([]string, 5)
			for _, o := range r.Ops {
				if o.Key == key && o.Engine == e {
					cells = r.opCells(o)
				}
			}
			row = append(row, cells...)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// opCells are the columns of one engine's operation.
func (r *Report) opCells(o OpTime) []string {
	mark, arithmetic, yardstick := "", "", ""
	if o.Cached && o.Bound == "memory" {
		mark = "*"
	}
	if o.FLOPs > 0 {
		arithmetic = digits(float64(o.FLOPs) / o.Seconds.Median / 1e9)
	}
	for _, f := range r.Floors {
		if f.Engine == o.Engine && o.Weights > 0 {
			yardstick = digits(o.timesFloat32(f))
		}
	}
	return []string{
		withSpread(o.Seconds.scaled(1e6)), fmt.Sprintf("%.0f %% %.1s%s", 100*o.Achieved(), o.Bound, mark),
		digits(float64(o.Bytes) / o.Seconds.Median / 1e9), arithmetic, yardstick,
	}
}

// modelColumns are the engines with their mixers.
func (r *Report) modelColumns() []string {
	return keys(r.Models, func(m ModelSpeed) string { return m.Engine + " " + m.Mixer })
}

func (r *Report) peerColumns() []string {
	return keys(r.peersOf("model"), PeerSpeed.column)
}

func (r *Report) modelTable() table {
	t := table{Title: "Tokens a second", Text: "Of all sequences together; bN is how many run at once.", Header: []string{"model"}}
	columns, peers := r.modelColumns(), r.peerColumns()
	t.Header = append(append(t.Header, columns...), peers...)
	for _, key := range keys(r.Models, func(m ModelSpeed) string { return m.Key }) {
		row := []string{strings.TrimPrefix(key, "model/")}
		ours := map[string]float64{} // by engine and mixer
		for _, column := range columns {
			cell := ""
			for _, m := range r.Models {
				if m.Key == key && m.Engine+" "+m.Mixer == column {
					ours[column] = m.PerSecond().Median
					cell = withSpread(m.PerSecond())
				}
			}
			row = append(row, cell)
		}
		for _, column := range peers {
			cell := ""
			for _, p := range r.Peers {
				if p.Key == key && p.column() == column {
					rate := p.Seconds.per(1)
					cell = withSpread(rate)
					if our := ours[p.engine()+" "+p.Mixer]; our > 0 && r.comparable(p) {
						cell += fmt.Sprintf(", our %s is %.1f×", p.engine(), our/rate.Median)
					}
				}
			}
			row = append(row, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// comparable reports whether the engine that is named like a peer's device computes on one of its kind: a GPU's driver may
// compute on the processor.
func (r *Report) comparable(p PeerSpeed) bool {
	return slices.ContainsFunc(r.Engines, func(e EngineInfo) bool { return e.Name == p.engine() && e.Hardware })
}

func (r *Report) stepTable() table {
	t := table{
		Title: "What a step takes",
		Text: "A step is one token of every sequence, one prompt or one training step. The floor counts bytes (m) and operations (a); " +
			"memory is that of all tensors.",
		Header: []string{"model"},
	}
	engines := keys(r.Models, func(m ModelSpeed) string { return m.Engine })
	for _, e := range engines {
		t.Header = append(t.Header, e+" of floor", "dispatches", "submits", "MB")
	}
	for _, key := range keys(r.Models, func(m ModelSpeed) string { return m.Key + " " + m.Mixer }) {
		row := []string{strings.TrimPrefix(key, "model/")}
		for _, e := range engines {
			cells := []string{"", "", "", ""}
			for _, m := range r.Models {
				if m.Key+" "+m.Mixer == key && m.Engine == e {
					cells = []string{
						fmt.Sprintf("%.0f %% %.1s", 100*m.Floor/m.Seconds.Median, m.Bound),
						count(m.Dispatches), count(m.Submits), digits(float64(m.Memory) / 1e6),
					}
				}
			}
			row = append(row, cells...)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r *Report) headTable() table {
	t := table{
		Title:  "Head formats",
		Text:   "Text of one sequence with the head in float32, float16 and int8.",
		Header: []string{"head", "engine", "tokens/s", "MB a token", "of floor"},
		Words:  []int{1},
	}
	for _, m := range r.Heads {
		t.Rows = append(t.Rows, []string{
			strings.TrimPrefix(m.Key, "head/"), m.Engine, withSpread(m.PerSecond()), digits(float64(m.Bytes) / 1e6),
			fmt.Sprintf("%.0f %%", 100*m.Floor/m.Seconds.Median),
		})
	}
	return t
}

func (r *Report) positionTable() table {
	t := table{
		Title: "A token after many",
		Text: fmt.Sprintf("Every token before the position was really read into the memory. Memory is that of all tensors, heap what the program holds "+
			"beside them. Flat: no more memory than at the first position, at most %d MB more heap, and a fastest repetition within %.1f times "+
			"the first's slowest.", flatHeap>>20, flatTime),
		Header: []string{"model", "engine", "position", "µs a token", "to the first", "MB", "heap MB", "flat"},
		Words:  []int{1, 7},
	}
	first := map[string]PositionCost{}
	for _, p := range r.Positions {
		from, ok := first[p.Key+p.Engine]
		if !ok {
			first[p.Key+p.Engine], from = p, p
		}
		flat := "yes"
		if more := p.grown(from); more != "" {
			flat = "NO, " + more
		}
		t.Rows = append(t.Rows, []string{
			strings.TrimPrefix(p.Key, "position/"), p.Engine, fmt.Sprint(p.Position), withSpread(p.Seconds.scaled(1e6)),
			fmt.Sprintf("%.2f×", p.Seconds.Median/from.Seconds.Median), digits(float64(p.Memory) / 1e6), digits(float64(p.Heap) / 1e6), flat,
		})
	}
	return t
}
