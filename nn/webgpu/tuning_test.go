package webgpu

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"testing"
	"time"

	"bitgpu/gpu/gputest"
	"bitgpu/nn/op"
	"bitgpu/nn/optest"
	"bitgpu/nn/quants"
	"bitgpu/wgsl"
)

// wide matches the cases of products whose rows are as wide as those of models.
var wide = regexp.MustCompile(`/\d+x\d{4}(/|$)`)

// TestChoices checks every variant that a product may be tuned to: of each kernel and format one with all of its own lanes, which
// needs wide rows, and of the many other cases a share, another one for each variant.
func TestChoices(t *testing.T) {
	for i, c := range choices {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			o := New(gputest.Device(t))
			defer o.Close()
			o.forced = &c
			optest.RunWhere(t, o, func(file, name string, place int) bool {
				switch {
				case !wide.MatchString(name):
					return slices.Contains([]string{"linear", "swiglu", "head"}, file) && inShare(place, i, 9)
				case file == "head", file == "swiglu":
					return true
				}
				return file == "linear" && inShare(place, i%3, 3)
			})
			if testing.Short() { // which leaves out most cases
				return
			}
			for _, p := range []struct {
				vector, matrix *wgsl.Kernel
				formats        []op.Format
			}{
				{wgsl.LinearVector, wgsl.LinearMatrix, []op.Format{op.Ternary, op.BF16}},
				{wgsl.SwiGLUVector, wgsl.SwiGLUMatrix, []op.Format{op.Ternary}},
				{wgsl.HeadVector, wgsl.HeadMatrix, []op.Format{op.F32, op.F16, op.BF16, op.I8, op.Ternary, op.Q8_0, op.Q4_0, op.Q4_K, op.Q6_K}},
			} {
				for _, format := range p.formats {
					whole := func(v variant) bool {
						if c.Tiles {
							return v.kernel == p.matrix && v.format == format
						}
						return v.kernel == p.vector && v.format == format && v.lanes == c.Lanes && v.quads == c.Quads && v.workgroup == c.Workgroup
					}
					if !slices.ContainsFunc(slices.Collect(maps.Keys(o.pipelines)), whole) {
						t.Errorf("no case takes %s, %v, by %+v", p.vector.Name, format, c)
					}
				}
			}
		})
	}
}

// products returns small products of every kind and format.
func products(t *testing.T, o *Ops, n int) {
	const D, H, V = 64, 40, 100
	h, gain := o.New(op.F32, n, D), o.New(op.F32, D)
	x, act, y, logits := o.New(op.F32, n, D), o.New(op.F32, n, H), o.New(op.F32, n, 2*H), o.New(op.F32, n, V)
	w := o.NewTernary(2*H, D, 2, true)
	tensors := []*Tensor{h, gain, x, act, y, logits, w}
	norm := &op.RMSNorm[*Tensor]{X: x, H: h, Gain: gain}
	run(t, o,
		norm, &op.Linear[*Tensor]{Y: y, X: x, W: w},
		&op.Linear[*Tensor]{Y: y, Addend: y, X: h, W: w},
		norm, &op.Linear[*Tensor]{Y: y, X: x, W: w}, &op.SwiGLU[*Tensor]{A: act, GateUp: y},
	)
	for _, format := range []op.Format{op.F32, op.F16, op.I8, op.Q8_0, op.Q4_0} {
		k, _ := format.Quants()
		head := o.Load(op.HostTensor{
			Format: format, Shape: []int{V, D}, F32: make([]float32, V*D), F16: make([]uint16, V*D), I8: make([]int8, V*D), Scales: make([]float32, V),
			Quants: quants.New(max(k, 0), V, D),
		})
		tensors = append(tensors, head)
		run(t, o, norm, &op.Head[*Tensor]{Logits: logits, X: x, W: head})
	}
	if err := o.Flush(); err != nil {
		t.Fatal(err)
	}
	o.Release(tensors...)
}

// TestTune: products are measured at the first use, the choices survive JSON, and nothing is left behind.
func TestTune(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	products(t, o, 1)
	before := o.BytesInUse()
	var tuning Tuning
	o.Tune(&tuning)
	o.tuned -= time.Hour // a software adapter is slow
	products(t, o, 1)
	products(t, o, 3)
	const kinds = 8
	if len(tuning.found) != 2*kinds || !tuning.Changed() {
		t.Fatalf("got %v, want %d classes", tuning.found, 2*kinds)
	}
	for c, chosen := range o.chosen {
		if !slices.Contains(o.candidates(c), chosen) {
			t.Errorf("%v: %+v is no candidate", c, chosen)
		}
	}
	if name := "swiglu_vector ternary norm n=4 quads=20 blocks=1"; tuning.found[name] == (choice{}) {
		t.Errorf("%q is missing from %v", name, slices.Sorted(maps.Keys(tuning.found)))
	}
	if now := o.BytesInUse(); now > before+1<<20 {
		t.Errorf("%d bytes in use after tuning, %d before", now, before)
	}

	lookUp := func() { o.choose(wgsl.LinearVector, variant{format: op.Ternary}, 1, 20, 1) }
	if n := testing.AllocsPerRun(10, lookUp); n != 0 {
		t.Errorf("%v allocations to look up what is known", n)
	}

	data, err := json.Marshal(&tuning)
	if err != nil {
		t.Fatal(err)
	}
	var read Tuning
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(read.found, tuning.found) {
		t.Errorf("got %v, want %v", read.found, tuning.found)
	}
	o.Tune(&read)
	o.tuned += 100 * tuningTime // nothing may be measured
	products(t, o, 1)
	products(t, o, 4)
	if read.Changed() || len(o.chosen) != 2*kinds {
		t.Errorf("measured again: %v", read.found)
	}
}

// TestTuneAgain checks that a choice which does not exist is measured again, and that without time the usual choices are taken.
func TestTuneAgain(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	c := class{wgsl.LinearVector, op.Ternary, 0, true, 1, 20, 1}
	var tuning Tuning
	if err := json.Unmarshal([]byte(`{"`+c.String()+`": {"lanes": 3, "workgroup": 7}}`), &tuning); err != nil {
		t.Fatal(err)
	}
	o.Tune(&tuning)
	o.tuned += 100 * tuningTime
	if got, want := o.choose(c.kernel, variant{format: c.format, norm: true}, 1, c.quads, c.stride), o.usual(1, c.quads, c.stride); got != want {
		t.Errorf("without time: got %+v, want %+v", got, want)
	}
	o.Tune(&tuning)
	o.choose(c.kernel, variant{format: c.format, norm: true}, 1, c.quads, c.stride)
	if found := tuning.found[c.String()]; !slices.Contains(o.candidates(c), found) || !tuning.Changed() {
		t.Errorf("%+v is still there", found)
	}
}

// TestTuneAfterAnError checks that an earlier error is not lost in a measurement, and that no choice is made after it.
func TestTuneAfterAnError(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	var tuning Tuning
	o.Tune(&tuning)
	before := errors.New("from before")
	o.dev.Fail(before)
	if got, want := o.choose(wgsl.LinearVector, variant{format: op.Ternary}, 1, 20, 1), o.usual(1, 20, 1); got != want || tuning.Changed() {
		t.Errorf("got %+v, want %+v, known %v", got, want, tuning.found)
	}
	if err := o.Flush(); err != before {
		t.Errorf("got %v, want %v", err, before)
	}
}

// TestRight checks that a single wrong number among all results is found, and that an error is not a result.
func TestRight(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	for _, c := range []class{
		{wgsl.LinearVector, op.Ternary, 0, false, 2, 20, 5}, {wgsl.LinearVector, op.Ternary, 0, true, 1, 20, 1},
		{wgsl.SwiGLUVector, op.Ternary, 0, true, 4, 30, 2}, {wgsl.HeadVector, op.F32, 0, true, 1, 50, 9},
		{wgsl.LinearVector, op.Ternary, 32, false, 2, 20, 5}, {wgsl.SwiGLUVector, op.Ternary, 128, true, 3, 30, 4}, {wgsl.HeadVector, op.Ternary, 96, true, 1, 50, 3},
		{wgsl.LinearVector, op.BF16, 0, true, 2, 20, 3}, {wgsl.HeadVector, op.F16, 0, true, 8, 50, 7}, {wgsl.HeadVector, op.I8, 0, true, 3, 50, 3},
		{wgsl.HeadVector, op.Q8_0, 32, true, 1, 50, 6}, {wgsl.HeadVector, op.Q4_0, 32, true, 3, 50, 7}, {wgsl.HeadVector, op.Q4_K, 0, true, 1, 50, 16},
		{wgsl.HeadVector, op.Q6_K, 0, true, 2, 50, 24},
	} {
		trial := o.newTrial(c)
		p, err := o.Prepare(trial.program)
		if err != nil {
			t.Fatal(err)
		}
		if !trial.right(p) {
			t.Errorf("%v: what is right is refused", c)
		}
		n := op.Count(trial.y.shape)
		for _, spoiled := range []func(){
			func() { o.Write(trial.y, 0, []float32{1e3}) },
			func() { o.Zero(trial.y) },
			func() { o.Write(trial.y, n-1, []float32{float32(math.NaN())}) },
			func() { o.dev.Fail(errors.New("a test's")) },
		} {
			trial.run = func(p op.Prepared) {
				p.Run()
				spoiled()
			}
			if trial.right(p) {
				t.Errorf("%v: what is wrong is let pass", c)
			}
		}
		o.Release(trial.tensors...)
	}
}

// TestFastest checks what is chosen from the measurements: the fastest variant that is right or, if the difference is small, the
// usual one.
func TestFastest(t *testing.T) {
	o := New(gputest.Device(t))
	defer o.Close()
	c := class{wgsl.HeadVector, op.F32, 0, true, 4, 8, 2}
	list := o.candidates(c)
	if len(list) < 4 {
		t.Fatalf("%+v: want at least 4 candidates", list)
	}
	const ms = time.Millisecond
	for name, k := range map[string]struct {
		takes []time.Duration // of the candidates; 0: its results are wrong
		want  int             // −1: none
	}{
		"fastest":          {[]time.Duration{20 * ms, 15 * ms, 5 * ms, 10 * ms}, 2},
		"usual":            {[]time.Duration{20 * ms, 20 * ms, 20 * ms, 19 * ms}, 0},
		"fast but wrong":   {[]time.Duration{20 * ms, 0, 0, 5 * ms}, 3},
		"the usual is bad": {[]time.Duration{0, 0, 10 * ms, 20 * ms}, 2},
		"nothing is right": {[]time.Duration{0, 0, 0, 0}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			trial := o.newTrial(c)
			defer o.Release(trial.tensors...)
			now, ways := time.Time{}, map[op.Prepared]time.Duration{}
			trial.now = func() time.Time { return now }
			trial.run = func(p op.Prepared) {
				takes, ok := ways[p]
				if !ok { // just prepared
					takes = k.takes[slices.Index(list, *o.forced)]
					ways[p] = takes
				}
				if p.Run(); takes == 0 {
					o.Zero(trial.y)
				}
				now = now.Add(takes)
			}
			switch chosen, ok := trial.fastest(list[:4]); {
			case ok != (k.want >= 0):
				t.Errorf("ok = %v, %+v", ok, chosen)
			case ok && chosen != list[k.want]:
				t.Errorf("got %+v, want %+v", chosen, list[k.want])
			}
		})
	}
}
