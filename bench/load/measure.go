package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// target is what writes texts: a server, or an engine in this process.
type target interface {
	// write writes the text of a job and calls piece with each part of it, and returns how many tokens it has.
	write(ctx context.Context, j job, piece func()) (tokens int, err error)
	name() string
}

// waits is what clients of a target have waited.
type waits struct {
	first, between []time.Duration
	tokens         int
	took           time.Duration
	failed         map[string]int // by what was said
}

// measure has so many clients send all jobs.
func measure(ctx context.Context, to target, all []job, clients int) *waits {
	w := &waits{failed: map[string]int{}}
	queue := make(chan job)
	var mu sync.Mutex
	var group sync.WaitGroup
	begin := time.Now()
	for range clients {
		group.Go(func() {
			for j := range queue {
				var waited []time.Duration
				last := time.Now()
				tokens, err := to.write(ctx, j, func() {
					now := time.Now()
					waited = append(waited, now.Sub(last))
					last = now
				})
				mu.Lock()
				if err != nil {
					w.failed[err.Error()]++
				} else if len(waited) > 0 {
					w.first, w.between = append(w.first, waited[0]), append(w.between, waited[1:]...)
				}
				w.tokens += tokens
				mu.Unlock()
			}
		})
	}
	for _, j := range all {
		queue <- j
	}
	close(queue)
	group.Wait()
	w.took = time.Since(begin)
	return w
}

// speed is in tokens a second.
func (w *waits) speed() float64 { return float64(w.tokens) / w.took.Seconds() }

// percentiles are p50, p95 and p99 in milliseconds, by the nearest rank.
func percentiles(all []time.Duration) string {
	if len(all) == 0 {
		return "      -       -       -"
	}
	slices.Sort(all)
	var b strings.Builder
	for _, p := range []int{50, 95, 99} {
		rank := (p*len(all) + 99) / 100
		fmt.Fprintf(&b, "%7.1f ", all[rank-1].Seconds()*1000)
	}
	return strings.TrimRight(b.String(), " ")
}

func (w *waits) write(out io.Writer, to target, clients int) {
	fmt.Fprintf(out, "%7d  %s  %s  %8d  %8.1f  %s\n", clients, percentiles(w.first), percentiles(w.between), w.tokens, w.speed(), to.name())
	for said, n := range w.failed {
		fmt.Fprintf(out, "         %d requests failed: %s\n", n, said)
	}
}

// compare says how many times as fast the first target was as each other, by the rounds that were measured side by side.
func compare(out io.Writer, targets []target, rounds [][]*waits) {
	for i, other := range targets[1:] {
		var ratios []float64
		for _, round := range rounds {
			ratios = append(ratios, round[0].speed()/round[i+1].speed())
		}
		slices.Sort(ratios)
		fmt.Fprintf(out, "         %s is %.3f times as fast as %s (%.3f to %.3f in %d rounds)\n",
			targets[0].name(), (ratios[(len(ratios)-1)/2]+ratios[len(ratios)/2])/2, other.name(), ratios[0], ratios[len(ratios)-1], len(ratios))
	}
}
