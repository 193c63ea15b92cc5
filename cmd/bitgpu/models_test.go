package main

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Sizes that are counted from shapes are those that the publishers name.
func TestModels(t *testing.T) {
	var list []modelInfo
	if err := json.Unmarshal([]byte(succeed(t, "", "models", "--json")), &list); err != nil {
		t.Fatal(err)
	}
	found := map[string]modelInfo{}
	for _, m := range list {
		found[m.Name] = m
		if m.Repository == "" || m.Licence == "" || m.Forms == "" || m.Parameters < 1 || m.Context < 2048 {
			t.Errorf("%+v: something is missing", m)
		}
	}
	for name, want := range map[string]struct {
		parameters, weights, cache, state float64
	}{
		"Ternary-Bonsai-1.7B": {1.720e9, 457.3e6, 114_688, 0},
		"Ternary-Bonsai-4B":   {4.022e9, 1.069e9, 147_456, 0},
		"Ternary-Bonsai-8B":   {8.189e9, 2.176e9, 147_456, 0},
		"Ternary-Bonsai-27B":  {26.896e9, 7.195e9, 65_536, 150_994_944 + 5_898_240},
		"BitNet b1.58 2B4T":   {2_412_820_480, 1.178e9, 76_800, 0},
		"Llama3-8B-1.58":      {8.03e9, 3.85e9, 131_072, 0},
		"Falcon3-7B-1.58bit":  {7.46e9, 3.27e9, 114_688, 0},
		"Falcon-E-3B":         {3.05e9, 0.998e9, 32_768, 0},
		"TriLM 3.9B":          {3.99e9, 1.54e9, 368_640, 0},
	} {
		m, ok := found[name]
		near := func(got, want float64) bool { return math.Abs(got-want) <= 0.01*want }
		if !ok || !near(float64(m.Parameters), want.parameters) || !near(float64(m.Weights), want.weights) || float64(m.Cache) != want.cache || float64(m.State) != want.state {
			t.Errorf("%s: got %d parameters, %d bytes of weights, %d a token, state %d, want %.0f, %.0f, %.0f, %.0f", name, m.Parameters, m.Weights, m.Cache, m.State,
				want.parameters, want.weights, want.cache, want.state)
		}
	}
	if out := succeed(t, "", "models"); !strings.Contains(out, "prism-ml/Ternary-Bonsai-8B-gguf") || !strings.Contains(out, "8.19 billion") {
		t.Errorf("models:\n%s", out)
	}
	for line := range strings.Lines(succeed(t, "", "models")) {
		if n := utf8.RuneCountInString(line) - 1; n > 80 {
			t.Errorf("got a line of %d characters, want 80 at most: %s", n, line)
		}
	}
}

// devices counts what a context takes: weights, keys, values and states.
func TestDevicesListPublicModels(t *testing.T) {
	out := succeed(t, "", "devices")
	for _, want := range []string{"Ternary-Bonsai-1.7B", "Ternary-Bonsai-4B", "Ternary-Bonsai-8B", "Ternary-Bonsai-27B", "BitNet b1.58 2B4T", "Falcon-E-3B", "2.1 GB", "4.3 GB", "157 MB"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if strings.Count(out, "BitNet b1.58 2B4T") != 2 { // to run, and to learn
		t.Error("a model is listed with more context than it has")
	}
	line := regexp.MustCompile(`(?m)^Ternary-Bonsai-8B +([0-9.]+) GB +([0-9.]+) GB +\S+ `).FindAllStringSubmatch(out, -1)
	last := line[len(line)-1]
	if kept, err := strconv.ParseFloat(last[1], 64); err != nil || kept > 8 || last[2] >= last[1] {
		t.Errorf("an adapter beside 8 billion weights: got %s GB and %s GB with blocks computed again, want 8 at most", last[1], last[2])
	}
}
