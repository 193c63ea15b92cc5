package bench

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"alarm": func(cell string) bool { return strings.HasPrefix(cell, "NO") || strings.HasSuffix(cell, "slower") },
}).Parse(pageText))

// WriteHTML writes the report as a self-contained page: its verdict, the charts, the tables and, folded, the rows of parity. If
// before is not nil, the page begins with what has changed since.
func (r *Report) WriteHTML(path string, before *Report) error {
	speed, parity, err := r.charts()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	content := struct {
		Report         *Report
		Made           string // on what, and when
		Verdict        []finding
		Charts, Errors []chart // of speed and of parity
		Changed        []table // the rows that are faster or slower, and all of them
		Tables, Parity []table
		Broken         bool
		LeftOut        []leftOut
	}{Report: r, Made: r.made(), Verdict: r.verdict(before), Charts: speed, Errors: parity, Broken: len(r.Broken()) > 0, LeftOut: r.leftOut()}
	if before != nil {
		content.Changed = changed(before, r)
	}
	ofParity := []string{r.parityTable().Title, r.failureTable().Title}
	for _, t := range r.tables() {
		if slices.Contains(ofParity, t.Title) {
			content.Parity = append(content.Parity, t)
		} else {
			content.Tables = append(content.Tables, t)
		}
	}
	var out bytes.Buffer
	if err := page.Execute(&out, content); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, out.Bytes())
}

// changed puts before a table of changes one of those that count, from the slowest to the fastest.
func changed(before, now *Report) []table {
	all := comparison(before, now)
	some := table{Title: all.Title, Text: "No row is faster or slower by more than its noise."}
	changes := Compare(before, now) // as the rows
	var order []int
	for i, c := range changes {
		if c.Real {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(changes[a].Ratio, changes[b].Ratio) })
	for _, i := range order {
		row := all.Rows[i]
		some.Text = "The slowest first. Times in µs, rates in 1e9 a second; floor is by how much the limit of the row changed."
		some.Header, some.Words = []string{"speed", "row", "before", "now", "floor"}, []int{1}
		some.Rows = append(some.Rows, []string{row[3] + " " + row[5], row[0], row[1], row[2], row[4]})
	}
	all.Title = "All rows, before and now"
	return []table{some, all}
}
