package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
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

// The page that runs models in the browser comes with the types and the policy that it needs, whole, in part, or not again; a server
// without it says so.
func TestLocalPage(t *testing.T) {
	made := 0
	c := begin(t, Options{Keys: []string{"secret"}, Local: func() (map[string][]byte, error) {
		made++
		return map[string][]byte{"index.html": []byte("<!doctype html>"), "sw.js": []byte("self"), "page.css": []byte("a{}"), "bitgpu.wasm.lzma": []byte("packed"),
			"demo.bitt.gz": []byte("model"), "bitgpu.d.ts": []byte("type")}, nil
	}})
	for name, kind := range map[string]string{"": "text/html; charset=utf-8", "index.html": "text/html; charset=utf-8", "sw.js": "text/javascript; charset=utf-8",
		"page.css": "text/css; charset=utf-8", "bitgpu.wasm.lzma": "application/octet-stream", "demo.bitt.gz": "application/gzip", "bitgpu.d.ts": "text/plain; charset=utf-8"} {
		a := c.get("/local/" + name)
		if got := a.header.Get("Content-Type"); a.status != 200 || got != kind || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: got %d and %q, want %q", name, a.status, got, kind)
		}
		if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'; script-src 'self' 'wasm-unsafe-eval';") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: got the policy %q", name, policy)
		}
	}
	if made != 1 {
		t.Errorf("the files were made %d times", made)
	}
	tag := c.get("/local/sw.js").header.Get("ETag")
	for header, want := range map[string]int{"If-None-Match: " + tag: 304, "Range: bytes=1-2": 206, "If-None-Match: \"other\"": 200} {
		r, err := http.NewRequest("GET", c.http.URL+"/local/sw.js", nil)
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		w, err := c.http.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if w.Body.Close(); w.StatusCode != want {
			t.Errorf("%s: got %d, want %d", header, w.StatusCode, want)
		}
	}
	checkRefusal(t, "another file", c.get("/local/other.js"), 404, "unknown_url", "there is nothing at GET /local/other.js")
	if a := c.get("/local"); a.status != 200 { // the client follows
		t.Errorf("without its last slash: got %d", a.status)
	}
	checkRefusal(t, "no page", begin(t, Options{}).get("/local/"), 404, "no_local_page", "this server has no page that runs models in the browser")
	c = begin(t, Options{Local: func() (map[string][]byte, error) { return nil, errors.New("not built; build it") }})
	checkRefusal(t, "not built", c.get("/local/"), 404, "no_local_page", "not built; build it")
}
