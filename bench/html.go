package bench

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed report.html
var pageText string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"alarm": func(cell string) bool { return strings.HasPrefix(cell, "NO") || cell == "slower" },
}).Parse(pageText))

// WriteHTML writes the report as one page that needs nothing else. before may be nil, else the page
// says what changed since.
func (r *Report) WriteHTML(path string, before *Report) error {
	pictures, err := r.charts()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	content := struct {
		Report       *Report
		First, Later []table // before and after the charts
		Charts       []chart
		LeftOut      []leftOut
	}{Report: r, Charts: pictures, LeftOut: r.leftOut()}
	for i, t := range r.tables() {
		if i < 2 { // what ran, and the floor
			content.First = append(content.First, t)
		} else {
			content.Later = append(content.Later, t)
		}
	}
	if before != nil {
		content.Later = append(content.Later, comparison(before, r))
	}
	var out bytes.Buffer
	if err := page.Execute(&out, content); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return writeFile(path, out.Bytes())
}
