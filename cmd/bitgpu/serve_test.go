//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var servingAt = regexp.MustCompile(`serving demo at (http://[0-9.:]+)`)

// startServer starts "bitgpu serve" at a free port and gives its address.
func startServer(t *testing.T, args ...string) (*process, string) {
	t.Helper()
	p := startProgram(t, append([]string{"serve", "--port", "0"}, args...)...)
	p.waitFor(t, "serving demo at ")
	return p, servingAt.FindStringSubmatch(p.text())[1]
}

func postJSON(t *testing.T, url, body string) map[string]any {
	t.Helper()
	r, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var v map[string]any
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil || r.StatusCode/100 != 2 {
		t.Fatalf("%s: got status %d and %v (%v)", url, r.StatusCode, v, err)
	}
	return v
}

// noEnd keeps the demo from drawing the token that ends a text, which it does once in some tens of thousands.
const noEnd = `{"0":-100}`

// TestServeDrains: the first signal lets an answer end, and refuses others; the program then has done its work. The next one
// finds the memories.
func TestServeDrains(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "memories")
	p, address := startServer(t, "--memory-dir", dir)
	id := postJSON(t, address+"/v1/memories", `{"name":"Rosalind"}`)["id"].(string)
	postJSON(t, address+"/v1/memories/"+id+"/learn", `{"text":"My name is Rosalind."}`)
	r, err := http.Post(address+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"ROMEO:","max_tokens":20000,"stream":true,"logit_bias":`+noEnd+`,"memory":"`+id+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body := bufio.NewReader(r.Body)
	if _, err := body.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	p.Process.Signal(syscall.SIGTERM)
	p.waitFor(t, "ending when the running answers have ended")
	if h, err := http.Get(address + "/health"); err == nil { // it may have ended already
		h.Body.Close()
		if h.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("/health while ending: got %d, want 503", h.StatusCode)
		}
	}
	rest, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") || strings.Count(string(rest), "data: ") < 1000 {
		t.Errorf("the answer was cut: %d bytes, %v, … %q", len(rest), err, rest[max(0, len(rest)-100):])
	}
	if err := p.Wait(); err != nil {
		t.Errorf("got %v, want an end without an error: %s", err, p.text())
	}

	p, address = startServer(t, "--memory-dir", dir)
	g, err := http.Get(address + "/v1/memories/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Body.Close()
	var found struct {
		Name   string
		Tokens int
	}
	if err := json.NewDecoder(g.Body).Decode(&found); err != nil || found.Name != "Rosalind" || found.Tokens < 20000 {
		t.Errorf("after a restart: got %+v (%v)", found, err)
	}
	other := startProgram(t, "serve", "--port", "0", "--memory-dir", dir)
	if other.Wait(); other.ProcessState.ExitCode() != exitError || !strings.Contains(other.text(), "another server keeps its memories there") {
		t.Errorf("a second server of the same directory: got %d: %s", other.ProcessState.ExitCode(), other.text())
	}

	// The second signal does not wait for an answer without an end.
	r, err = http.Post(address+"/v1/completions", "application/json", strings.NewReader(`{"prompt":"ROMEO:","max_tokens":10000000,"stream":true,"logit_bias":`+noEnd+`}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	go io.Copy(io.Discard, r.Body)
	p.Process.Signal(syscall.SIGTERM)
	p.waitFor(t, "ending when the running answers have ended")
	ended := make(chan struct{})
	go func() {
		p.Wait()
		close(ended)
	}()
	for over := false; !over; { // one that comes at the very moment of the first is lost
		p.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			over = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("got %v, want an end by the signal", p.ProcessState)
	}
}

// TestServeKeys: with a file of keys nothing is answered without one.
func TestServeKeys(t *testing.T) {
	keys := writeText(t, filepath.Join(t.TempDir(), "keys"), "# ours\nsecret-key-1\n\n  secret-key-2  \n")
	_, address := startServer(t, "--api-key-file", keys)
	for key, want := range map[string]int{"": 401, "wrong": 401, "# ours": 401, "secret-key-1": 200, "secret-key-2": 200} {
		r, err := http.NewRequest("GET", address+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		if w.StatusCode != want {
			t.Errorf("the key %q: got %d, want %d", key, w.StatusCode, want)
		}
	}
}
