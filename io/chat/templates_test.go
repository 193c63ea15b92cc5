package chat

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"testing"
	"time"
)

// readGzip reads a file of gzipped JSON, and returns when it was packed.
func readGzip(t testing.TB, path string, into any) time.Time {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(path, err)
	}
	data, err := io.ReadAll(z)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(path, err)
	}
	return z.ModTime
}

// rendered is [true, text], or [false, Python's error].
type rendered struct {
	ok   bool
	text string
}

func (r *rendered) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&r.ok, &r.text})
}

// conversationCase is [name, variables].
type conversationCase struct {
	name string
	vars Value
}

func (c *conversationCase) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&c.name, &c.vars})
}

// render gives the variables of a case where a user of the package gives them.
func (c conversationCase) render(tmpl *Template, now time.Time) (string, error) {
	d := c.vars.v.(*dict)
	conv := Conversation{Now: now}
	extra := &dict{}
	for i, k := range d.keys {
		v := d.vals[i]
		switch k {
		case "messages":
			conv.Messages = Value{v}
		case "tools":
			conv.Tools = Value{v}
		case "documents":
			conv.Documents = Value{v}
		case "add_generation_prompt":
			conv.AddGenerationPrompt = v.(bool)
		case "bos_token":
			conv.BOS = v.(string)
		case "eos_token":
			conv.EOS = v.(string)
		case "enable_thinking":
			b := v.(bool)
			conv.EnableThinking = &b
		default:
			extra.set(k, v)
		}
	}
	conv.Extra = Value{extra}
	if d.find("tools") < 0 || d.find("documents") < 0 {
		return tmpl.RenderVariables(c.vars, now)
	}
	return tmpl.Render(conv)
}

// checkFolder renders every case of every template in a folder, and compares with what Python made of it.
func checkFolder(t *testing.T, dir string, now time.Time) {
	var templates map[string]string
	var cases []conversationCase
	var expected map[string]map[string]rendered
	readGzip(t, filepath.Join(dir, "templates.json.gz"), &templates)
	readGzip(t, filepath.Join(dir, "cases.json.gz"), &cases)
	packed := readGzip(t, filepath.Join(dir, "expected.json.gz"), &expected)
	if now.IsZero() {
		now = packed.UTC()
	}
	names := make([]string, 0, len(templates))
	for name := range templates {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(names) == 0 || len(cases) == 0 {
		t.Fatalf("%s has %d templates and %d cases", dir, len(names), len(cases))
	}
	renders := 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			tmpl, err := Parse(templates[name])
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range cases {
				want, ok := expected[name][c.name]
				if !ok {
					t.Fatalf("%s: no render is expected", c.name)
				}
				got, err := c.render(tmpl, now)
				if err == nil != want.ok || want.ok && got != want.text {
					t.Fatalf("%s:\n got %q, %v\nwant %q, %v", c.name, got, err, want.text, want.ok)
				}
				renders++
			}
		})
	}
	t.Log(renders, "renders are equal")
}

// TestTemplates reads the folder that BITGPU_CHAT_TEMPLATES names: templates that models ship, whose texts belong to
// the models, with cases and with what transformers renders. Some say which day it is: BITGPU_CHAT_DATE is the day on
// which that was made, else it is the day on which the file was packed.
func TestTemplates(t *testing.T) {
	dir := os.Getenv("BITGPU_CHAT_TEMPLATES")
	if dir == "" {
		t.Skip("BITGPU_CHAT_TEMPLATES names no folder with templates.json.gz, cases.json.gz and expected.json.gz")
	}
	now := time.Time{}
	if s := os.Getenv("BITGPU_CHAT_DATE"); s != "" {
		var err error
		if now, err = time.Parse("2006-01-02", s); err != nil {
			t.Fatal(fmt.Errorf("BITGPU_CHAT_DATE: %w", err))
		}
	}
	checkFolder(t, dir, now)
}

// TestFamilies renders templates with the structure of well-known ones.
func TestFamilies(t *testing.T) { checkFolder(t, "testdata/families", testDay) }
