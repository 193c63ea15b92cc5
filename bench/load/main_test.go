package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bitgpu"
	"bitgpu/serve"
)

// The command measures a server, counts all that it wrote, and says what went wrong. How fast it is, is no part of the test.
func TestLoad(t *testing.T) {
	model, err := bitgpu.Load("../../testdata/reference/d32-delta", bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { model.Close() })
	s, err := serve.New(model, serve.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	server := httptest.NewServer(s)
	defer server.Close()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--streams", "2,4", "--requests", "8", "--peer", server.URL, server.URL}, &out); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3+2*(2+1) || strings.Contains(out.String(), "failed") || len(strings.Fields(lines[3])) != 10 {
		t.Errorf("got %q", lines)
	}
	all := jobs(8, 2, 1)
	want := 0
	for _, j := range all {
		want += j.tokens
	}
	w := measure(t.Context(), newServer(server.URL, 3), all, 3)
	if w.tokens > want || w.tokens == 0 || len(w.first) != 8 || len(w.first)+len(w.between) > w.tokens {
		t.Errorf("got %d tokens, %d and %d waits, want 8 first ones and %d tokens at most", w.tokens, len(w.first), len(w.between), want)
	}
	// The bare engine writes the same texts.
	if alone := measure(t.Context(), &bare{model}, all, 3); alone.tokens != w.tokens || len(alone.first) != 8 || len(alone.failed) > 0 {
		t.Errorf("bare: got %d tokens and %v, want %d", alone.tokens, alone.failed, w.tokens)
	}
	out.Reset()
	if err := run(t.Context(), []string{"--streams", "2", "--requests", "4", "--rounds", "3", "--bare", "../../testdata/reference/d32-delta", server.URL}, &out); err != nil ||
		strings.Count(out.String(), "the bare engine") != 4 || !strings.Contains(out.String(), "in 3 rounds)") {
		t.Errorf("bare: got %v and %s", err, out.String())
	}
	s.Drain(t.Context())
	out.Reset()
	if err := run(t.Context(), []string{"--streams", "1", "--requests", "2", server.URL}, &out); err == nil || !strings.Contains(out.String(), "2 requests failed: status 503") {
		t.Errorf("a server that ends: got %v and %s", err, out.String())
	}
	for _, args := range [][]string{{}, {"--streams", "0", server.URL}, {"--requests", "0", server.URL}, {"--rounds", "0", server.URL}, {"--divide", "0", server.URL}, {"--bare", "nothing", server.URL}, {"--streams", "a", server.URL}} {
		if err := run(t.Context(), args, &out); err == nil {
			t.Errorf("%q: got no error", args)
		}
	}
}

// Nearest ranks of a known list.
func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for i := range 200 {
		all = append(all, time.Duration(200-i)*time.Millisecond)
	}
	if got := percentiles(all); got != "  100.0   190.0   198.0" {
		t.Errorf("got %q", got)
	}
}
