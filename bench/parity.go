package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"bitgpu/nn/optest"
)

// Parity is how far an engine lies from the reference in one kind of comparison.
type Parity struct {
	Engine  string `json:"engine"`
	Variant string `json:"variant,omitempty"` // of its kernels
	Key     string `json:"key"`
	Cases   int    `json:"cases"`
	Numbers int64  `json:"numbers"` // compared
	Bound   string `json:"bound"`   // in words
	// MaxAbs is the largest error, and MaxRel the largest as a share of the number wanted or of the
	// root mean square of its tensor, whichever is more.
	MaxAbs float64 `json:"max_abs"`
	MaxRel float64 `json:"max_rel"`
	// OfBound is the largest share of what the bound allows; above 1 it is broken.
	OfBound float64   `json:"of_bound"`
	Errors  Histogram `json:"errors"` // by their relative size

	// Of next-token distributions: how many have the same most probable token as the reference, and
	// the KL divergence from the reference, in nats.
	TopTokens int64   `json:"top_tokens,omitempty"`
	TopEqual  int64   `json:"top_equal,omitempty"`
	MeanKL    float64 `json:"mean_kl,omitempty"`
	MaxKL     float64 `json:"max_kl,omitempty"`

	Failures []string `json:"failures,omitempty"` // the first few, a sentence each
	Failed   int      `json:"failed"`             // all of them
}

// Holds reports whether every bound holds.
func (p Parity) Holds() bool { return p.Failed == 0 }

// TopShare returns the share of equal top tokens.
func (p Parity) TopShare() float64 { return float64(p.TopEqual) / float64(max(p.TopTokens, 1)) }

// Histogram counts relative errors by decade: none, below 10⁻⁹, below 10⁻⁸, … and 1 or more.
type Histogram [histogramSize]int64

const (
	histogramSize  = 12
	firstDecade    = -9 // bin 1 lies below 10 to the power of it
	keptFailures   = 5
	notFiniteError = math.MaxFloat64 // stands for an error that is no number, which JSON has not
)

// bin returns the bin that a relative error is counted in.
func bin(relative float64) int {
	if relative == 0 {
		return 0
	}
	return min(max(int(math.Floor(math.Log10(relative)))-firstDecade+2, 1), histogramSize-1)
}

// binName describes what a bin counts.
func binName(i int) string {
	switch i {
	case 0:
		return "0"
	case histogramSize - 1:
		return fmt.Sprintf("≥1e%d", firstDecade+histogramSize-3)
	}
	return fmt.Sprintf("<1e%d", firstDecade+i-1)
}

func (p *Parity) fail(format string, args ...any) {
	p.Failed++
	if len(p.Failures) < keptFailures {
		p.Failures = append(p.Failures, fmt.Sprintf(format, args...))
	}
}

// compare counts the errors of one tensor. allowed returns the bound of a number, given the number
// wanted and the tensor's root mean square.
func (p *Parity) compare(what string, got, want []float32, allowed func(want, rms float64) float64) {
	if len(got) != len(want) {
		p.fail("%s: got %d numbers, want %d", what, len(got), len(want))
		return
	}
	var squares float64
	for _, w := range want {
		squares += float64(w) * float64(w)
	}
	rms := math.Sqrt(squares / float64(max(len(want), 1)))
	worst, at := 0.0, 0
	for i := range want {
		w, g := float64(want[i]), float64(got[i])
		absolute := math.Abs(g - w)
		if g == w {
			absolute = 0 // infinities that agree too
		} else if !(absolute <= math.MaxFloat32) {
			absolute = notFiniteError
		}
		relative, share := 0.0, 0.0
		if absolute > 0 {
			relative = absolute
			if size := max(math.Abs(w), rms); size > 0 {
				relative /= size
			}
			share = min(absolute/allowed(w, rms), notFiniteError)
		}
		p.Errors[bin(relative)]++
		p.MaxAbs, p.MaxRel = max(p.MaxAbs, absolute), max(p.MaxRel, min(relative, notFiniteError))
		if share > worst {
			worst, at = share, i
		}
	}
	p.Numbers += int64(len(want))
	p.OfBound = max(p.OfBound, worst)
	if worst > 1 {
		p.fail("%s: element %d: got %v, want %v, %.2g times what the bound allows", what, at, got[at], want[at], worst)
	}
}

// count adds the errors of numbers whose bound the caller checks.
func (p *Parity) count(got, want []float32) {
	p.compare("", got, want, func(_, _ float64) float64 { return notFiniteError })
}

// parity compares every variant of the engine with the reference.
func (e *Engine[T]) parity(s *suite) {
	variants := e.Variants
	if len(variants) == 0 {
		variants = []Variant{{Use: func() error { return nil }}}
	}
	for _, v := range variants {
		if err := v.Use(); err != nil {
			s.report.fail(e.Info.Name, "parity of "+v.Name, err)
			continue
		}
		add := func(p Parity) {
			p.Engine, p.Variant = e.Info.Name, v.Name
			s.report.Parity = append(s.report.Parity, p)
		}
		s.progress(strings.TrimSpace(e.Info.Name + " parity " + v.Name))
		e.opsParity(s, v, add)
		if v.Only == nil {
			e.modelParity(s, add)
			e.textParity(s, add)
			e.trainingParity(s, add)
		}
	}
}

// opsParity runs the cases that the tests run, and records how far within the bounds the operations
// are, in a row for each file of cases.
func (e *Engine[T]) opsParity(s *suite, v Variant, add func(Parity)) {
	wanted := func(op, name string) bool {
		kind, _, _ := strings.Cut(name, "/")
		// Operations without variants are run once, with the engine's own choice.
		concerned := v.Only == nil || slices.Contains(v.Only, op) && kind != "backward" && kind != "quantize"
		return concerned && s.wants("parity/ops/"+op)
	}
	rows := map[string]*Parity{}
	var order []string
	last := ""
	optest.Deviations(e.Ops, &s.references, wanted, func(d optest.Deviation) {
		op, _, _ := strings.Cut(d.Case, "/")
		key := "parity/ops/" + op
		row := rows[key]
		if row == nil {
			row = &Parity{Key: key, Bound: "the case's own, such as 3e-5 + 1e-5·|x| for sums"}
			rows[key], order = row, append(order, key)
		}
		if d.Case != last {
			row.Cases++
			last = d.Case
		}
		if d.Err != nil {
			row.fail("%s: %v", d.Case, d.Err)
			return
		}
		row.compare(d.Case+": "+d.Tensor, d.Got, d.Want, func(want, _ float64) float64 {
			return d.Tolerance.Abs + d.Tolerance.Rel*math.Abs(want)
		})
	})
	for _, key := range order {
		add(*rows[key])
	}
}
