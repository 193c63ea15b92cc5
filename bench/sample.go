package bench

import (
	"slices"
	"time"
)

// Sample is one quantity measured several times.
type Sample struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`  // the smallest
	High   float64 `json:"high"` // the largest
	Count  int     `json:"count"`
}

// newSample orders the repetitions, of which there is at least one.
func newSample(values []float64) Sample {
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	return Sample{Median: (v[(n-1)/2] + v[n/2]) / 2, Low: v[0], High: v[n-1], Count: n}
}

// per is the sample of work done a second, from the seconds that work takes.
func (s Sample) per(work float64) Sample {
	return Sample{Median: work / s.Median, Low: work / s.High, High: work / s.Low, Count: s.Count}
}

// Spread is half of the range, as a share of the median.
func (s Sample) Spread() float64 {
	if s.Median == 0 {
		return 0
	}
	return (s.High - s.Low) / 2 / s.Median
}

// timer measures the time of what record starts, until it is done.
type timer = func(record func()) (time.Duration, error)

// repeated measures the seconds of one call of run, a number of times. Calls shorter than each
// are taken together, as many as fill it.
func repeated(clock timer, repeats int, each time.Duration, run func()) (Sample, error) {
	batch := func(n int) (time.Duration, error) {
		return clock(func() {
			for range n {
				run()
			}
		})
	}
	if _, err := batch(1); err != nil { // caches, shaders and first allocations
		return Sample{}, err
	}
	n, took := 1, time.Duration(0)
	for {
		var err error
		if took, err = batch(n); err != nil {
			return Sample{}, err
		}
		if took >= each/2 || n >= maxTogether {
			break
		}
		grow := max(2, min(16, int(each/max(took, 1))))
		n = min(n*grow, maxTogether)
	}
	seconds := []float64{took.Seconds() / float64(n)}
	for len(seconds) < repeats {
		t, err := batch(n)
		if err != nil {
			return Sample{}, err
		}
		seconds = append(seconds, t.Seconds()/float64(n))
	}
	return newSample(seconds), nil
}

// maxTogether bounds the calls of one repetition, so that a call that takes no time ends.
const maxTogether = 1 << 16

// scaled multiplies every number.
func (s Sample) scaled(by float64) Sample {
	return Sample{s.Median * by, s.Low * by, s.High * by, s.Count}
}
