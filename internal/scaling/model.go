package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"bitgpu/nn/train"
)

// line is the model: a message of n bytes takes latency + n/bandwidth.
type line struct {
	latency   float64 // seconds
	bandwidth float64 // bytes per second
}

func (l line) time(bytes float64) float64 { return l.latency + bytes/l.bandwidth }

// point is a measured message.
type point struct{ bytes, seconds float64 }

// fit returns the line with the smallest squared relative errors, so that small messages count as much as large ones.
func fit(points []point) line {
	// Least squares of (α + n·γ)/t = 1, with γ = 1/β.
	var aa, ab, bb, a, b float64
	for _, p := range points {
		x, y := 1/p.seconds, p.bytes/p.seconds
		aa, ab, bb, a, b = aa+x*x, ab+x*y, bb+y*y, a+x, b+y
	}
	det := aa*bb - ab*ab
	return line{max((a*bb-b*ab)/det, 0), det / (b*aa - a*ab)}
}

// worst returns the largest relative error of a line.
func (l line) worst(points []point) (most float64) {
	for _, p := range points {
		most = max(most, math.Abs(l.time(p.bytes)/p.seconds-1))
	}
	return most
}

// exchange measures messages sent in both directions between ranks 0 and 1, as for a sum.
func exchange(g train.Group, rounds int) (points []point, err error) {
	for size := 1; size <= 4<<20; size *= 4 {
		send, receive := make([]byte, size), make([]byte, size)
		times := make([]time.Duration, rounds)
		for i := range times {
			if g.Rank() > 1 {
				break
			}
			began := time.Now()
			if err := g.Exchange(g.Rank()^1, send, receive); err != nil {
				return nil, err
			}
			times[i] = time.Since(began)
		}
		if _, err := train.Any(g, false); err != nil { // all start the next size together
			return nil, err
		}
		slices.Sort(times)
		points = append(points, point{float64(size), times[rounds/2].Seconds()})
	}
	return points, nil
}

// network describes what a table is computed for.
type network struct {
	name string
	line
}

// usual are the networks of docs/scale.md: typical latencies of TCP and RDMA, and the full bandwidth.
var usual = []network{
	{"10 Gbit/s", line{50e-6, 10e9 / 8}},
	{"100 Gbit/s", line{10e-6, 100e9 / 8}},
}

// model is what is trained: gradients are sent layer by layer.
type model struct {
	name            string
	numbers, layers int
}

var models = []model{{"350 M", 350e6, 24}, {"2.4 B", 2.4e9, 32}}

const mostRanks = 256

// row is the result for one number of ranks.
type row struct {
	Ranks   int
	Seconds []float64 // per step, for each network of each model
}

// table returns the time of a step's messages, not counting what the backward pass hides.
func table(networks []network, shards int, gradient string) (rows []row) {
	for ranks := 2; ranks <= min(shards, mostRanks); ranks *= 2 {
		r := row{Ranks: ranks}
		for _, m := range models {
			for _, n := range networks {
				r.Seconds = append(r.Seconds, n.step(m, ranks, shards, gradient))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// step returns the time of the messages of one step.
func (l line) step(m model, ranks, shards int, gradient string) (seconds float64) {
	for layer := range m.layers {
		numbers := m.numbers*(layer+1)/m.layers - m.numbers*layer/m.layers
		train.Messages(numbers, ranks, shards, gradient, func(bytes int) { seconds += l.time(float64(bytes)) })
	}
	return seconds
}

// print writes a table in Markdown.
func print(out io.Writer, networks []network, rows []row) error {
	head, rule := []string{"ranks"}, []string{"---"}
	for _, m := range models {
		for _, n := range networks {
			head, rule = append(head, m.name+", "+n.name), append(rule, "---")
		}
	}
	lines := [][]string{head, rule}
	for _, r := range rows {
		cells := []string{fmt.Sprint(r.Ranks)}
		for _, s := range r.Seconds {
			cells = append(cells, fmt.Sprintf("%.2f", s))
		}
		lines = append(lines, cells)
	}
	for _, cells := range lines {
		text := "|"
		for _, c := range cells {
			text += " " + c + " |"
		}
		text = strings.ReplaceAll(text, " --- ", "---")
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return nil
}
