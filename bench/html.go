package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"alarm": func(cell string) bool { return strings.HasPrefix(cell, "NO") || cell == "slower" },
}).Parse(pageText))

// WriteHTML writes the report as a self-contained page: its verdict, the charts, the tables and, folded, the rows of parity. If
// before is not nil, the page says what has changed since.
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
		Tables, Parity []table
		Broken         bool
		LeftOut        []leftOut
	}{Report: r, Made: r.made(), Verdict: r.verdict(before), Charts: speed, Errors: parity, Broken: len(r.Broken()) > 0, LeftOut: r.leftOut()}
	if before != nil {
		content.Tables = append(content.Tables, comparison(before, r))
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
