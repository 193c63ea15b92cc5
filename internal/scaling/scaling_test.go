package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bitgpu/nn/train"
)

// TestFit: the line that made points is found again, also where they are noisy.
func TestFit(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, want := range []line{{50e-6, 1.25e9}, {2e-6, 12.5e9}, {1e-3, 1e6}} {
		for _, noise := range []float64{0, 0.05} {
			var points []point
			for size := 1.0; size <= 4<<20; size *= 2 {
				points = append(points, point{size, want.time(size) * (1 + noise*(2*random.Float64()-1))})
			}
			got := fit(points)
			if off := max(math.Abs(got.latency/want.latency-1), math.Abs(got.bandwidth/want.bandwidth-1)); off > 1e-6+noise {
				t.Errorf("noise %v: got %+v, want %+v", noise, got, want)
			}
			if got.worst(points) > 2*noise+1e-6 {
				t.Errorf("noise %v: the fit is off by %v", noise, got.worst(points))
			}
		}
	}
}

// TestStep: where latency is nothing, ranks send 2·(R−1)/R of all gradients each, and half of that in bfloat16.
func TestStep(t *testing.T) {
	l := line{0, 1e9}
	for _, m := range models {
		for ranks := 2; ranks <= 256; ranks *= 2 {
			want := 2 * float64(ranks-1) / float64(ranks) * 4 * float64(m.numbers) / 1e9
			for gradient, share := range map[string]float64{train.GradientF32: 1, train.GradientBF16: 0.5} {
				if got := l.step(m, ranks, 256, gradient); math.Abs(got/(want*share)-1) > 1e-5 {
					t.Errorf("%s on %d ranks, %s: got %v s, want %v", m.name, ranks, gradient, got, want*share)
				}
			}
		}
	}
	if one, two := (line{1, 1e12}).step(models[0], 2, 256, ""), (line{2, 1e12}).step(models[0], 2, 256, ""); math.Abs(two/one-2) > 0.01 {
		t.Errorf("got %v and %v s, want latency to count once a message", one, two)
	}
}

// TestExchange: ranks measure together, and those that have nothing to send wait.
func TestExchange(t *testing.T) {
	groups, _ := train.InProcess(4)
	var all sync.WaitGroup
	for _, g := range groups {
		all.Go(func() {
			points, err := exchange(g, 3)
			if err != nil || len(points) != 12 || g.Rank() < 2 && !(points[0].seconds > 0) {
				t.Errorf("rank %d: got %v, %v", g.Rank(), points, err)
			}
		})
	}
	all.Wait()
}

// TestDocs: the tables of docs/scale.md are those that the program computes.
func TestDocs(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"table"}, &out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "scale.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), out.String()) {
		t.Errorf("docs/scale.md has another table than\n%s", out.String())
	}
	for _, args := range [][]string{{}, {"nothing"}, {"table", "-shards", "3"}, {"table", "-latency", "1us"}, {"table", "-gradient", "f16"}, {"measure"}, {"measure", "-rounds", "0"}} {
		if err := run(args, &out); err == nil {
			t.Errorf("%q: want an error", args)
		}
	}
}
