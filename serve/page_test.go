package serve

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The description has every path that there is, every field that is read, and no others.
func TestOpenAPIIsWhole(t *testing.T) {
	c := begin(t, Options{})
	v := c.get("/openapi.json").object(t)
	var described, there []string
	for path, methods := range at(v, "paths").(map[string]any) {
		for method := range methods.(map[string]any) {
			described = append(described, strings.ToUpper(method)+" "+path)
		}
	}
	for _, r := range c.server.table() {
		there = append(there, r.method+" "+strings.ReplaceAll(r.path, "{$}", ""))
	}
	slices.Sort(described)
	slices.Sort(there)
	if !slices.Equal(described, there) {
		t.Errorf("got %q, want %q", described, there)
	}
	schemas := at(v, "components", "schemas").(map[string]any)
	for _, ref := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllSubmatch(openAPI, -1) {
		if schemas[string(ref[1])] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	for name, request := range map[string]any{
		"CompletionRequest": completionRequest{}, "ChatRequest": chatRequest{}, "ResponseRequest": responseRequest{}, "Message": chatMessage{},
	} {
		known := slices.Sorted(maps.Keys(at(schemas, name, "properties").(map[string]any)))
		if want := fieldsOf(reflect.TypeOf(request)); !slices.Equal(known, want) {
			t.Errorf("%s: got the fields %q, want %q", name, known, want)
		}
	}
}

// fieldsOf are the names that a struct has in JSON.
func fieldsOf(kind reflect.Type) (names []string) {
	for i := range kind.NumField() {
		f := kind.Field(i)
		if f.Anonymous {
			names = append(names, fieldsOf(f.Type)...)
		} else {
			names = append(names, f.Tag.Get("json"))
		}
	}
	slices.Sort(names)
	return names
}

// The page comes with a policy that lets its own script run, and names nothing outside of it.
func TestPage(t *testing.T) {
	c := begin(t, Options{Keys: []string{"secret"}})
	a := c.get("/")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "<title>bitgpu</title>") {
		t.Errorf("got %d %v", a.status, a.header)
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("got the policy %q", policy)
	}
	for _, element := range []string{"<script>", "</script>", "<style>", "</style>"} {
		if n := bytes.Count(page, []byte(element)); n != 1 {
			t.Errorf("got %d of %s, want one, which the policy names", n, element)
		}
	}
	if outside := regexp.MustCompile(`https?://|style="|\son\w+="`).Find(page); outside != nil {
		t.Errorf("the page has %q, which the policy refuses", outside)
	}
	if !json.Valid(openAPI) {
		t.Error("openapi.json is no JSON")
	}
}
