package chat

import (
	"encoding/json"
	"testing"
	"time"
)

// testDay is the day of testdata/oracle.py.
var testDay = time.Date(2026, 3, 5, 9, 7, 3, 0, time.UTC)

// jinjaCase is [template, render].
type jinjaCase struct {
	template string
	want     rendered
}

func (c *jinjaCase) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&c.template, &c.want})
}

type jinjaCases struct {
	Variables Value
	Cases     []jinjaCase
}

// ours are refused on purpose.
var ours = map[string]bool{"{{ self }}": true}

// TestJinja renders small templates as jinja2 does: operators, filters, tests, methods, scopes, white space.
func TestJinja(t *testing.T) {
	var in jinjaCases
	readGzip(t, "testdata/jinja.json.gz", &in)
	if len(in.Cases) < 1000 {
		t.Fatalf("got %d cases", len(in.Cases))
	}
	for _, c := range in.Cases {
		got := ""
		tmpl, err := Parse(c.template)
		if err == nil {
			got, err = tmpl.RenderVariables(in.Variables, testDay)
		}
		if ours[c.template] {
			c.want.ok = false
		}
		if err == nil != c.want.ok || err == nil && got != c.want.text {
			t.Errorf("%s\n got %q, %v\nwant %q, %v", c.template, got, err, c.want.text, c.want.ok)
		}
	}
}
