package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzTemplate loads and renders anything: it ends with a text or an error that names a line.
func FuzzTemplate(f *testing.F) {
	var in jinjaCases
	readGzip(f, "testdata/jinja.json.gz", &in)
	for i, c := range in.Cases {
		if i%10 == 0 || i > len(in.Cases)-200 {
			f.Add(c.template)
		}
	}
	var templates map[string]string
	readGzip(f, "testdata/families/templates.json.gz", &templates)
	for _, t := range templates {
		f.Add(t)
	}
	vars := map[string]value{}
	d := in.Variables.v.(*dict)
	for i, k := range d.keys {
		vars[k.(string)] = d.vals[i]
	}
	vars["messages"] = List(Message("user", "a"), Message("assistant", "<think>\nx\n</think>\n\nb"), Message("tool", "")).v
	vars["tools"] = answerTools.v
	f.Fuzz(func(t *testing.T, source string) {
		tmpl, err := Parse(source)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "chat: ") || strings.Contains(err.Error(), "internal fault") {
				t.Errorf("the error %q", err)
			}
			return
		}
		// A part of the limits is spent, so that a render takes little time.
		r := &run{vars: vars, now: testDay, out: &strings.Builder{}, line: 1, steps: maxSteps - 200_000, total: maxTotal - 8<<20}
		_, err = r.render(tmpl)
		var e *RenderError
		if err != nil && (!errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(normalizeNewlines(source), "\n")+1 || strings.Contains(e.Message, "internal fault")) {
			t.Errorf("the error %q", err)
		}
	})
}

// FuzzAnswer reads an answer at once and in pieces.
func FuzzAnswer(f *testing.F) {
	for i, a := range answers {
		f.Add(a.text, uint8(i), a.thinking, a.tools)
	}
	f.Fuzz(func(t *testing.T, text string, size uint8, thinking, tools bool) {
		o := AnswerOptions{}.with(thinking, tools)
		a := ParseAnswer(text, o)
		if pieces := inPieces(t, text, int(size)%20+1, o); flat(t, a) != flat(t, pieces) {
			t.Errorf("at once %s\nin pieces %s", flat(t, a), flat(t, pieces))
		}
	})
}

// FuzzDecodeJSON takes what encoding/json takes, and writes it so that it reads the same.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.0,-0,1e5,"x\u00e9",null,true,{}]}`, `1`, `[[]]`, `"\ud800"`, ` {"a":1,"a":2} `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := DecodeJSON(data)
		if (err == nil) != json.Valid(data) {
			if err == nil || !strings.Contains(err.Error(), "deeper") && !strings.Contains(err.Error(), "digits") {
				t.Fatalf("got the error %v", err)
			}
		}
		if err != nil {
			return
		}
		out, err := v.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "Infinity") {
			return // of a number like 1e999, as Python writes it
		}
		again, err := DecodeJSON(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if more, err := again.MarshalJSON(); err != nil || !bytes.Equal(more, out) {
			t.Errorf("%s became %s, %v", out, more, err)
		}
	})
}
