package webgpu

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"bitgpu/nn/op"
	"bitgpu/wgsl"
)

// tunedRows is up to how many rows of activations a product's variant is measured. Beyond, tiles win everywhere.
const tunedRows = 64

// Measuring takes at most tuningTime and a share of 1/tuningShare of the time since it was allowed; what has had no
// turn by then is computed as usual and measured another time.
const (
	tuningTime  = 500 * time.Millisecond
	tuningShare = 10
)

// What is usual where nothing was measured.
const (
	maxLanes  = 16   // of a team
	manyQuads = 8192 // from how many quads on a team takes several
)

// choice is how a product is computed: by tiles, or row by row by teams of threads. Of the blocks of a model, only
// Workgroup counts.
type choice struct {
	Tiles     bool   `json:"tiles,omitempty"`
	Lanes     uint32 `json:"lanes,omitempty"`     // threads of a team
	Quads     uint32 `json:"quads,omitempty"`     // of rows of weights that a team takes, 1 or 4
	Workgroup uint32 `json:"workgroup,omitempty"` // threads
}

// choices are what a product can be tuned to; lanes are an upper bound.
var choices = []choice{
	{Lanes: 16, Quads: 1, Workgroup: 64}, {Lanes: 16, Quads: 4, Workgroup: 64}, {Lanes: 4, Quads: 4, Workgroup: 64},
	{Lanes: 32, Quads: 1, Workgroup: 128}, {Lanes: 16, Quads: 1, Workgroup: 256}, {Tiles: true},
}

// fit lowers the lanes to the blocks that a row of weights has: more would be idle.
func (c choice) fit(stride uint32) choice {
	c.Lanes = min(c.Lanes, 1<<(bits.Len32(stride)-1))
	return c
}

// class are products for which one choice is taken.
type class struct {
	kernel *wgsl.Kernel // row by row
	format op.Format    // of the weights
	group  int          // inputs that share a float16 scale
	norm   bool
	n      int // rows of activations, up to the next power of two
	quads  int // of rows of weights
	stride uint32
}

// String names a class in what is remembered.
func (c class) String() string {
	norm := ""
	if c.norm {
		norm = " norm"
	}
	if c.group > 0 {
		norm += fmt.Sprintf(" group=%d", c.group)
	}
	return fmt.Sprintf("%s %v%s n=%d quads=%d blocks=%d", c.kernel.Name, c.format, norm, c.n, c.quads, c.stride)
}

// usual is what is chosen without a measurement: tiles begin to win late where loads cost more than arithmetic, as on
// a software adapter, and there a team takes several quads, as it does where quads are enough for every thread.
func (o *Ops) usual(n, quads int, stride uint32) choice {
	if n > o.tileAbove {
		return choice{Tiles: true}
	}
	c := choice{Lanes: maxLanes, Quads: 1, Workgroup: o.workgroup}
	if !o.dev.Info().Hardware() || quads >= manyQuads {
		c.Quads = 4
	}
	return c.fit(stride)
}

// candidates are the choices for a class, the usual one first.
func (o *Ops) candidates(c class) []choice {
	list := []choice{o.usual(c.n, c.quads, c.stride)}
	for _, t := range choices {
		t = t.fit(c.stride)
		if t.Tiles && c.n == 1 || t.Workgroup > o.dev.Limits().MaxInvocationsPerWorkgroup || slices.Contains(list, t) {
			continue
		}
		list = append(list, t)
	}
	return list
}

// choose says how to compute a product of n rows of activations.
func (o *Ops) choose(kernel *wgsl.Kernel, v variant, n, quads int, stride uint32) choice {
	n = o.chosenFor(n)
	switch {
	case o.forced != nil:
		return o.forced.fit(stride)
	case o.tuning == nil || n > tunedRows:
		return o.usual(n, quads, stride)
	}
	c := class{kernel, v.format, v.group, v.norm, 1 << bits.Len(uint(n-1)), quads, stride}
	if chosen, ok := o.chosen[c]; ok {
		return chosen
	}
	chosen, ok := o.tuning.found[c.String()]
	if !ok || !slices.Contains(o.candidates(c), chosen) { // what a file holds may be anything
		if chosen, ok = o.tune(c.String(), func() (choice, bool) { return o.measure(c) }); !ok {
			return o.usual(n, quads, stride)
		}
	}
	o.chosen[c] = chosen
	return chosen
}

// tune measures something and remembers the choice by its name, if there is time for it and nothing has gone wrong
// before.
func (o *Ops) tune(name string, measure func() (choice, bool)) (choice, bool) {
	if o.dev.Err() != nil || o.tuned > tuningTime+time.Since(o.tuningFrom)/tuningShare {
		return choice{}, false
	}
	if err := o.Flush(); err != nil {
		o.dev.Fail(err)
		return choice{}, false
	}
	start := time.Now()
	chosen, ok := measure()
	o.tuned += time.Since(start)
	if ok {
		o.tuning.remember(name, chosen)
	}
	return chosen, ok
}

// Tuning is which variant of each product was the fastest on one device: of an Ops at a time. The zero value knows
// nothing. As JSON it outlives the program; it is valid for one TuningKey.
type Tuning struct {
	found   map[string]choice // by the name of what was measured
	changed bool
}

func (t *Tuning) remember(name string, chosen choice) {
	if t.found == nil {
		t.found = map[string]choice{}
	}
	t.found[name] = chosen
	t.changed = true
}

// Changed says whether something was measured that Tuning did not know when it was made or read.
func (t *Tuning) Changed() bool { return t.changed }

// MarshalJSON writes an object with a member for each product measured.
func (t *Tuning) MarshalJSON() ([]byte, error) { return json.Marshal(t.found) }

// UnmarshalJSON reads what MarshalJSON wrote. A choice that does not exist is measured again.
func (t *Tuning) UnmarshalJSON(data []byte) error {
	*t = Tuning{}
	return json.Unmarshal(data, &t.found)
}

// Tune lets the operations choose the variants of products by measurement: from t what it knows, the rest at first
// use, which t then knows too. Measuring flushes. Without Tune, or with nil, all is computed as usual.
func (o *Ops) Tune(t *Tuning) {
	o.tuning, o.chosen = t, map[class]choice{}
	o.tuned, o.tuningFrom = 0, time.Now()
}
