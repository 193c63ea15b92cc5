package bench

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

type tensor = *cpu.Tensor[float32]

func measured(t *testing.T, only string, backends ...Target) *Report {
	t.Helper()
	r, err := Run(t.Context(), Options{Mode: Quick, Only: regexp.MustCompile(only), Command: "test", unhurried: true}, backends...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// engineOf returns the engine with other operations.
func engineOf(ops op.Executor[tensor]) *Engine[tensor] {
	e := CPU().(*Engine[tensor])
	e.Ops, e.Variants = ops, nil
	return e
}

func TestParityHolds(t *testing.T) {
	r := measured(t, "^parity/(ops/(linear|sample)|model|text|training)", engineOf(cpu.New()))
	for _, p := range r.Broken() {
		t.Errorf("%s (%s): %v", p.Key, p.Variant, p.Failures)
	}
	paths := Options{Mode: Quick}.paths()
	for _, p := range r.Parity {
		if !slices.Contains(paths, p.Key) {
			t.Errorf("%s is none of the rows that can be chosen", p.Key)
		}
	}
	for _, kind := range []string{"ops/linear", "model/delta/repeated", "model/tied/wide", "text/tied/draw", "text/delta/all", "training/minibatch"} {
		found := false
		for _, p := range r.Parity {
			found = found || p.Key == "parity/"+kind && p.Numbers >= 100
		}
		if !found {
			t.Errorf("nothing was compared for %s", kind)
		}
	}
}

// wrong is a backend that does something extra after or before operations.
type wrong struct {
	op.Executor[tensor]
	before, after func(o op.Op[tensor])
}

// wrongProgram is a program of one backend, an operation at a time.
type wrongProgram struct {
	wrong
	ops   op.Program[tensor]
	parts []op.Prepared
}

func (w wrong) Prepare(p op.Program[tensor], _ ...tensor) (op.Prepared, error) {
	all := wrongProgram{wrong: w, ops: p}
	for _, o := range p {
		part, err := w.Executor.Prepare(op.Program[tensor]{o})
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, part)
	}
	return all, nil
}

func (p wrongProgram) Run() {
	for i, part := range p.parts {
		if p.before != nil {
			p.before(p.ops[i])
		}
		part.Run()
		if p.after != nil {
			p.after(p.ops[i])
		}
	}
}

func (p wrongProgram) Release() {}

// Operations that are wrong in ways that a kernel could be.

// wrongLinear leaves out the last column of rows of at least a given width.
func wrongLinear(width int) wrong {
	return wrong{Executor: cpu.New(), after: func(o op.Op[tensor]) {
		if l, ok := o.(*op.Linear[tensor]); ok && l.X.Shape[1] >= width {
			l.Y.Data[len(l.Y.Data)-1] *= 1.01
		}
	}}
}

// wrongScan has a state that forgets a little.
func wrongScan() wrong {
	return wrong{Executor: cpu.New(), after: func(o op.Op[tensor]) {
		if s, ok := o.(*op.TiedScan[tensor]); ok {
			for i := range s.State.Data {
				s.State.Data[i] *= 0.999
			}
		}
	}}
}

// wrongSample ignores the seed, wrongAdamW the clipping.
func wrongSample() wrong {
	return wrong{Executor: cpu.New(), before: func(o op.Op[tensor]) {
		if s, ok := o.(*op.Sample[tensor]); ok {
			for row := 0; row < len(s.Rules.Tokens); row += op.RulesSize {
				s.Rules.Tokens[row+op.RuleSeedLow], s.Rules.Tokens[row+op.RuleSeedHigh] = 0, 0
			}
		}
	}}
}

func wrongAdamW() wrong {
	return wrong{Executor: cpu.New(), before: func(o op.Op[tensor]) {
		if a, ok := o.(*op.AdamW[tensor]); ok {
			a.Hyper.Data[op.HyperClip] = 0
		}
	}}
}

func TestParityFindsWrongOperations(t *testing.T) {
	for _, c := range []struct {
		name, only, breaks string
		ops                op.Executor[tensor]
	}{
		{"linear", "^parity/ops/linear", "parity/ops/linear", wrongLinear(0)},
		{"linear in a model", "^parity/model/tied/random", "parity/model/tied/random", wrongLinear(0)},
		{"wide linear", "^parity/ops/linear", "parity/ops/linear", wrongLinear(1024)},
		{"wide linear in a model", "^parity/model/tied", "parity/model/tied/wide", wrongLinear(1024)},
		{"scan in a model", "^parity/model/tied/repeated", "parity/model/tied/repeated", wrongScan()},
		{"sample in text", "^parity/text/tied/draw", "parity/text/tied/draw", wrongSample()},
		{"adamw in training", "^parity/training/tied", "parity/training/tied", wrongAdamW()},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := measured(t, c.only, engineOf(c.ops)).Broken()
			if len(broken) != 1 || broken[0].Key != c.breaks || broken[0].Failures == nil {
				t.Errorf("got %+v, want a broken bound of %s", broken, c.breaks)
			}
		})
	}
}

func TestSpeedOfOperations(t *testing.T) {
	r := measured(t, "^op/(Step|SumSquares)/", CPU())
	if len(r.Ops) < 4 {
		t.Fatalf("got %+v, want 4 rows or more", r.Ops)
	}
	for _, o := range r.Ops {
		if !strings.HasPrefix(o.Key, "op/S") {
			t.Errorf("%s was not asked for", o.Key)
		}
		if !(o.Seconds.Median > 0 && o.Floor > 0 && o.Bytes > 0 && o.FLOPs > 0) || o.Seconds.Count < 3 {
			t.Errorf("got %+v, want a measured row", o)
		}
	}
	if len(r.Parity) != 0 {
		t.Error("parity was not asked for")
	}
}

func TestWholeModels(t *testing.T) {
	o := Options{
		Mode: Quick, Only: regexp.MustCompile("^model|^head|^position"), Sizes: []Size{{32, 2, 64}}, Batches: []int{1, 3}, Command: "test",
		unhurried: true,
	}
	r, err := Run(t.Context(), o, CPU())
	if err != nil || r.Failures != nil { // whether time is flat a busy machine cannot say
		t.Fatal(err, r.Failures)
	}
	if len(r.Models) != 2*2*4 || len(r.Heads) != 3 || len(r.Positions) != 2*2 {
		t.Fatalf("got %d, %d, %d, want 16 rows of models, 3 of heads, 4 of positions", len(r.Models), len(r.Heads), len(r.Positions))
	}
	for _, m := range append(r.Models, r.Heads...) {
		if !(m.Seconds.Median > 0 && m.Floor > 0 && m.Bytes > 0 && m.FLOPs > 0 && m.Memory > 0) {
			t.Errorf("got %+v, want a measured row", m)
		}
	}
	for i, p := range r.Positions {
		// A measurement that was disturbed is repeated, so that no number of tokens follows the position for certain.
		if want := []int64{100, 10_000}[i%2]; p.Position < want || p.Memory != r.Positions[i/2*2].Memory {
			t.Errorf("got %+v, want position %d or more, and memory that does not grow", p, want)
		}
	}
}

// A pattern that no row matches is an error before anything is measured.
func TestOnlyMatchesSomething(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"^parity/ops/linear$": true, "^op/NormHead/decode/.*I8": true, "^floor$": true, "^model/64x2/V512/text/delta/b8$": true, "^head/.*/F16": true,
		"^position/": true, "^parity/text/tied/top-p": true, "^parity/training/minibatch": true,
		"^nothing": false, "^model/9x9": false, "b65$": false, "streams/tied/b64$": true,
	} {
		err := Options{Mode: Quick, Only: regexp.MustCompile(pattern)}.Validate()
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

func TestStopping(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	o := Options{Mode: Quick, Only: regexp.MustCompile("^op/"), Command: "test", Progress: func(string) { stop() }}
	r, err := Run(ctx, o, CPU())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Ops) > 1 || len(r.Notes) == 0 || !strings.Contains(strings.Join(r.Notes, " "), "stopped before the end") {
		t.Errorf("got %d rows and %q, want what was measured before, and a note", len(r.Ops), r.Notes)
	}
}
