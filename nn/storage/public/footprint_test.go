package public

import (
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/cpu"
	"bitgpu/nn/storage/public/publictest"
)

// The estimate of a decoder equals what the engine takes: weights as they are packed, keys, values, states, angles.
func TestFootprint(t *testing.T) {
	for _, family := range publictest.Families {
		for _, context := range []int{0, 10} {
			m, err := Open(publictest.File(t, family), Options{Context: context})
			if err != nil {
				t.Fatal(err)
			}
			if want := publictest.Context; m.Trained != want || context == 0 && m.Decoder.Context != want || context > 0 && m.Decoder.Context != context {
				t.Errorf("%s: got a context of %d of %d, want %d of %d", family, m.Decoder.Context, m.Trained, context, want)
			}
			c, ops := nn.OfDecoder(m.Decoder), cpu.New()
			model, err := nn.NewModel(ops, c, m.Weights)
			if err != nil {
				t.Fatal(err)
			}
			weights := int64(ops.BytesInUse())
			if host := nn.HostBytes(m.Weights); host != weights {
				t.Errorf("%s: got %d bytes of weights on the device, %d on the host", family, weights, host)
			}
			f := c.Footprint(1, 1)
			if floats := f.Weights - weights; family == "qwen3" && floats != 0 || floats > 0 || floats < -4096 { // the hybrid keeps two small matrices in floats
				t.Errorf("%s: estimated %d bytes of weights, %d taken", family, f.Weights, weights)
			}
			s, err := model.NewSession(1, c.DefaultScan())
			if err != nil {
				t.Fatal(err)
			}
			if got := int64(ops.BytesInUse()) - weights; got != f.Workspace+f.Session {
				t.Errorf("%s: estimated %d + %d bytes for a session, %d taken", family, f.Workspace, f.Session, got)
			}
			s.Close()
			model.Release()
		}
	}
}

// A context is as long as free memory holds, and no longer.
func TestFitContext(t *testing.T) {
	for _, family := range publictest.Families {
		m, err := Describe(publictest.File(t, family), Options{})
		if err != nil {
			t.Fatal(err)
		}
		m.Decoder.Context = 100_000
		c := nn.OfDecoder(m.Decoder)
		need := func(context int) int64 {
			d := *m.Decoder
			d.Context = context
			f := nn.OfDecoder(&d).Footprint(1, 1)
			return f.Workspace + f.Session
		}
		if a, b := need(1000), need(1001); b-a != c.TokenBytes() {
			t.Errorf("%s: got %d bytes a token, want %d", family, c.TokenBytes(), b-a)
		}
		for _, x := range []struct {
			free int64
			want int
		}{{need(100_000), 100_000}, {need(100_000) - 1, 99_840}, {need(512), 512}, {need(512) - 1, 256}, {need(200), 200}, {need(16), 16}, {need(16) - 1, 0}, {0, 0}} {
			if got := c.FitContext(x.free, 1); got != x.want {
				t.Errorf("%s: with %d bytes free got a context of %d, want %d", family, x.free, got, x.want)
			}
			if x.want < 16 {
				continue
			}
			short := *m.Decoder
			short.Context = x.want
			if got := c.FitContext(x.free+3*nn.OfDecoder(&short).Footprint(1, 1).Session, 4); got != x.want {
				t.Errorf("%s: with %d bytes free and three sessions more got a context of %d, want %d", family, x.free, got, x.want)
			}
		}
		if m.Decoder.CacheBytes(4)+4*int64(m.Decoder.Rope.Width) != c.TokenBytes() {
			t.Error("the bytes of a token are not those of its keys, values and angles")
		}
	}
	if (nn.Config{Width: 64}).FitContext(1, 1) != 0 {
		t.Error("one of our own models has a limit")
	}
}
