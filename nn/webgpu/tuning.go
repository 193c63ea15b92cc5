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

// tunedRows is the largest number of rows of activations for which variants are measured. Above that tiles win everywhere.
const tunedRows = 64

// Measuring takes at most tuningTime, and at most 1/tuningShare of the time since Tune was called. Products whose turn has
// not come by then are computed as usual and measured another time.
const (
	tuningTime  = 500 * time.Millisecond
	tuningShare = 10
)

// The usual choice.
const (
	maxLanes  = 16   // of a team
	manyQuads = 8192 // from this many quads on a team takes several
)

// choice says how to compute a product: by tiles, or row by row with teams of threads. For the kernel of all blocks only
// Workgroup applies.
type choice struct {
	Tiles     bool   `json:"tiles,omitempty"`
	Lanes     uint32 `json:"lanes,omitempty"`     // threads per team
	Quads     uint32 `json:"quads,omitempty"`     // quads of rows of weights per team, 1 or 4
	Workgroup uint32 `json:"workgroup,omitempty"` // threads
}

// choices are the ways that tuning can choose for a product; lanes are upper bounds.
var choices = []choice{
	{Lanes: 16, Quads: 1, Workgroup: 64}, {Lanes: 16, Quads: 4, Workgroup: 64}, {Lanes: 4, Quads: 4, Workgroup: 64},
	{Lanes: 32, Quads: 1, Workgroup: 128}, {Lanes: 16, Quads: 1, Workgroup: 256}, {Tiles: true},
}

// fit limits the lanes to the loads that a row of weights has; more would be idle.
func (c choice) fit(stride uint32) choice {
	c.Lanes = min(c.Lanes, 1<<(bits.Len32(stride)-1))
	return c
}

// class identifies products that share one choice.
type class struct {
	kernel *wgsl.Kernel // the row-by-row kernel
	format op.Format    // of the weights
	group  int          // inputs that share a float16 scale
	norm   bool
	n      int // rows of activations, rounded up to a power of two
	quads  int // quads of rows of weights
	stride uint32
}

// String names a class in the saved measurements.
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

// usual is the choice without a measurement. Where loads cost more than arithmetic, as on a software adapter, tiles start to
// win late and a team takes several quads. Teams elsewhere do so only if there are enough quads for every thread.
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

// candidates lists the choices for a class, the usual one first.
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

// choose decides how to compute a product of n rows of activations.
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
	if !ok || !slices.Contains(o.candidates(c), chosen) { // a file may contain anything
		if chosen, ok = o.tune(c.String(), func() (choice, bool) { return o.measure(c) }); !ok {
			return o.usual(n, quads, stride)
		}
	}
	o.chosen[c] = chosen
	return chosen
}

// tune runs a measurement and remembers the choice by its name, if there is time left and no earlier error.
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

// Tuning records the fastest variant of each product on one device. Only one Ops may use it at a time. The zero value is
// empty. Saved as JSON it is valid for the same TuningKey.
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

// Changed reports whether Tuning has measured something since it was made or read.
func (t *Tuning) Changed() bool { return t.changed }

// MarshalJSON writes an object with a member for each measured product.
func (t *Tuning) MarshalJSON() ([]byte, error) { return json.Marshal(t.found) }

// UnmarshalJSON reads what MarshalJSON wrote. Choices that no longer exist are measured again.
func (t *Tuning) UnmarshalJSON(data []byte) error {
	*t = Tuning{}
	return json.Unmarshal(data, &t.found)
}

// Tune lets measurements choose the variants of products: those in t are used, others are measured at first use and added to
// t. Measuring flushes. Without Tune, or with nil, everything is computed the usual way.
func (o *Ops) Tune(t *Tuning) {
	o.tuning, o.chosen = t, map[class]choice{}
	o.tuned, o.tuningFrom = 0, time.Now()
}
