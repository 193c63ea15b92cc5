package bench

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
)

type tensor = *cpu.Tensor[float32]

func measured(t *testing.T, only string, backends ...Backend) *Report {
	t.Helper()
	r, err := Run(t.Context(), Options{Mode: Quick, Only: regexp.MustCompile(only), Command: "test"}, backends...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// engineOf is the engine on other operations.
func engineOf(ops nn.Ops[tensor]) *Engine[tensor] {
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

// Operations that are wrong in ways that a kernel could be.
type (
	wrongLinear struct{ nn.Ops[tensor] } // a last column left out
	wrongWide   struct{ nn.Ops[tensor] } // the same, of rows as wide as those of models that are used
	wrongScan   struct{ nn.Ops[tensor] } // a state that forgets a little
	wrongSample struct{ nn.Ops[tensor] } // the seed ignored
	wrongAdamW  struct{ nn.Ops[tensor] } // clipping ignored
)

func (w wrongLinear) LinearAdd(y, r, x, q tensor) {
	w.Ops.LinearAdd(y, r, x, q)
	y.Data[len(y.Data)-1] *= 1.01
}

func (w wrongWide) LinearAdd(y, r, x, q tensor) {
	w.Ops.LinearAdd(y, r, x, q)
	if x.Shape[1] >= 1024 {
		y.Data[len(y.Data)-1] *= 1.01
	}
}

func (w wrongScan) TiedScan(z, f, state, starts tensor, s nn.Scan) {
	w.Ops.TiedScan(z, f, state, starts, s)
	for i := range state.Data {
		state.Data[i] *= 0.999
	}
}

func (w wrongSample) Sample(next, out, recent, logits tensor, p nn.Sampling) {
	p.Seed = 0
	w.Ops.Sample(next, out, recent, logits, p)
}

func (w wrongAdamW) AdamW(p, m, v, g, sumSquares, hyper tensor) {
	hyper.Data[nn.HyperClip] = 0
	w.Ops.AdamW(p, m, v, g, sumSquares, hyper)
}

func TestParityFindsWrongOperations(t *testing.T) {
	right := cpu.New()
	for _, c := range []struct {
		name, only, breaks string
		ops                nn.Ops[tensor]
	}{
		{"linear", "^parity/ops/linear", "parity/ops/linear", wrongLinear{right}},
		{"linear in a model", "^parity/model/tied/random", "parity/model/tied/random", wrongLinear{right}},
		{"wide linear", "^parity/ops/linear", "parity/ops/linear", wrongWide{right}},
		{"wide linear in a model", "^parity/model/tied", "parity/model/tied/wide", wrongWide{right}},
		{"scan in a model", "^parity/model/tied/repeated", "parity/model/tied/repeated", wrongScan{right}},
		{"sample in text", "^parity/text/tied/draw", "parity/text/tied/draw", wrongSample{right}},
		{"adamw in training", "^parity/training/tied", "parity/training/tied", wrongAdamW{right}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := measured(t, c.only, engineOf(c.ops)).Broken()
			if len(broken) != 1 || broken[0].Key != c.breaks || broken[0].Failures == nil {
				t.Errorf("a broken bound of %s wanted, %+v found", c.breaks, broken)
			}
		})
	}
}

func TestSpeedOfOperations(t *testing.T) {
	r := measured(t, "^op/(Step|SumSquares)/", CPU())
	if len(r.Ops) < 4 {
		t.Fatalf("4 rows or more wanted, %+v found", r.Ops)
	}
	for _, o := range r.Ops {
		if !strings.HasPrefix(o.Key, "op/S") {
			t.Errorf("%s was not asked for", o.Key)
		}
		if !(o.Seconds.Median > 0 && o.Floor > 0 && o.Bytes > 0 && o.FLOPs > 0) || o.Seconds.Count < 3 {
			t.Errorf("a measured row wanted, %+v found", o)
		}
	}
	if len(r.Parity) != 0 {
		t.Error("parity was not asked for")
	}
}

func TestWholeModels(t *testing.T) {
	o := Options{
		Mode: Quick, Only: regexp.MustCompile("^model|^head|^position"), Sizes: []Size{{32, 2, 64}}, Batches: []int{1, 3}, Command: "test",
	}
	r, err := Run(t.Context(), o, CPU())
	if err != nil || r.Failures != nil { // whether time is flat a busy machine cannot say
		t.Fatal(err, r.Failures)
	}
	if len(r.Models) != 2*2*3 || len(r.Heads) != 3 || len(r.Positions) != 2*2 {
		t.Fatalf("12 rows of models, 3 of heads, 4 of positions wanted; %d, %d, %d found", len(r.Models), len(r.Heads), len(r.Positions))
	}
	for _, m := range append(r.Models, r.Heads...) {
		if !(m.Seconds.Median > 0 && m.Floor > 0 && m.Bytes > 0 && m.FLOPs > 0 && m.Memory > 0) {
			t.Errorf("a measured row wanted, %+v found", m)
		}
	}
	for i, p := range r.Positions {
		if want := []int64{100, 10_000}[i%2]; p.Position < want || p.Position > want+100 || p.Memory != r.Positions[i/2*2].Memory {
			t.Errorf("position %d, and memory that does not grow, wanted, %+v found", want, p)
		}
	}
}

// A pattern that no row matches is a mistake, and said before anything is measured.
func TestOnlyMatchesSomething(t *testing.T) {
	for pattern, ok := range map[string]bool{
		"^parity/ops/linear$": true, "^op/NormHead/decode/.*I8": true, "^floor$": true, "^model/64x2/V512/text/delta/b8$": true, "^head/.*/F16": true,
		"^position/": true, "^parity/text/tied/top-p": true, "^parity/training/minibatch": true,
		"^nothing": false, "^model/9x9": false, "b64$": false,
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
		t.Errorf("what was measured before, and a note, wanted; %d rows and %q found", len(r.Ops), r.Notes)
	}
}
