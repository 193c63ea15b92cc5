package device

import (
	"errors"
	"testing"
	"time"

	"bitgpu/nn"
	"bitgpu/nn/train"
)

var small = nn.Config{Vocab: 300, Width: 32, Layers: 2}.WithDefaults()

func smallOptions() train.Options {
	o := train.DefaultOptions()
	o.Batch, o.Time = 2, 8
	return o
}

// TestPlan: activations are kept where they fit, blocks are computed again where only that fits, and the rest is refused.
func TestPlan(t *testing.T) {
	d := CPU()
	defer d.Close()
	o := smallOptions()
	o.Batch, o.Time = 16, 128
	kept := o.Shape()
	again := kept
	again.Recompute = true
	most, least := d.Bytes(small, kept), d.Bytes(small, again)
	if least >= most {
		t.Fatalf("computing blocks again takes %d bytes, want less than %d", least, most)
	}
	for _, c := range []struct {
		room      int64
		recompute bool
		fits      bool
	}{{most, false, true}, {most - 1, true, true}, {least, true, true}, {least - 1, true, false}} {
		d.Room = c.room
		s, err := d.Plan(small, o)
		var m *RoomError
		if (err == nil) != c.fits || err != nil && (!errors.As(err, &m) || m.Need != least || m.Free != c.room || !m.Batch) || s.Recompute != c.recompute {
			t.Errorf("%d bytes: got recompute %v and %v, want %v and fits %v", c.room, s.Recompute, err, c.recompute, c.fits)
		}
	}
}

// TestRecipe: what is set stays, the text chooses the rest, and a time bounds model and steps.
func TestRecipe(t *testing.T) {
	rungs := []int{}
	r := Recipe{
		Auto: true, Bytes: 1 << 20, Tokens: 1 << 18, Given: func(name string) bool { return name == "batch-size" },
		Model: func(rung int) (nn.Config, error) {
			if rung < 0 {
				rung = train.Rung(1 << 20)
			}
			rungs = append(rungs, rung)
			c := small
			c.Layers = rung + 1
			return c, nil
		},
	}
	c, o, each, err := r.Fit(nil, small, smallOptions())
	if err != nil || each != 0 || o.Batch != 2 || o.Steps == smallOptions().Steps || len(rungs) != 1 || c.Layers != rungs[0]+1 {
		t.Errorf("got %+v, %+v, %v, %v (%v)", c, o, each, rungs, err)
	}
	d := CPU()
	defer d.Close()
	r.Within = time.Nanosecond
	c, o, each, err = r.Fit(d, small, smallOptions())
	if err != nil || each <= 0 || c.Layers != 1 || rungs[len(rungs)-1] != 0 {
		t.Errorf("with no time: got %d layers, %d steps, %v a step (%v), want the smallest model", c.Layers, o.Steps, each, err)
	}
	refused := errors.New("no such model")
	r.Model = func(int) (nn.Config, error) { return nn.Config{}, refused }
	if _, _, _, err := r.Fit(d, small, smallOptions()); err != refused {
		t.Errorf("got %v, want %v", err, refused)
	}
}
