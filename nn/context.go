package nn

import (
	"fmt"
	"math"

	"bitgpu/nn/op"
)

// Raise makes room for `tokens` tokens in each session of a model with attention, including those under way, which keep what
// they have read. With less than Capacity it does nothing. Until it returns, the device holds the old caches and the new ones.
// An error, such as a lack of memory, leaves everything as it was.
//
// A GPU divides the keys of a token into parts by the capacity, so the last bits of its logits may follow the capacity, as
// they do between models that were loaded with different ones. That is why capacity grows only on request: a text must not
// depend on when another one needed more room.
func (m *Model[T]) Raise(tokens int) error {
	if m.Config.Decoder == nil || tokens <= m.Config.Capacity() {
		return nil
	}
	b, c, d := m.Backend, m.Config, *m.Config.Decoder
	d.Context, c.Decoder = tokens, &d
	var angles T
	if m.work.attends {
		angles = b.New(op.F32, tokens, d.Rope.Width)
	}
	raised := make([]slots[T], len(m.batches))
	for i, h := range m.batches {
		if h.size > 0 {
			raised[i] = makeSlots(op.Tensors[T](b), c, h.size)
		}
	}
	if err := b.Flush(); err != nil {
		for i := range raised {
			raised[i].release(b, c)
		}
		if m.work.attends {
			b.Release(angles)
		}
		return fmt.Errorf("making room for %d tokens: %w", tokens, err)
	}
	m.Config = c
	for i, h := range m.batches {
		h.move(raised[i])
	}
	if m.work.attends {
		b.Release(m.work.angles)
		m.work.angles, m.work.turned = angles, false
		m.work.fill(b, c)
	}
	return b.Flush()
}

// leastContext is the smallest context worth offering, in tokens.
const leastContext = 16

// TokenBytes returns the bytes per token of context on a float32 device: keys, values and angles. It is 0 for our own models,
// whose memory does not grow.
func (c Config) TokenBytes() int64 {
	d := c.Decoder
	if d == nil {
		return 0
	}
	return d.CacheBytes(4) + 4*int64(d.Rope.Width)
}

// FitContext returns the longest context, up to the configuration's own, with which `sessions` sessions and their workspace
// take at most free bytes besides the weights. Contexts shorter than the configuration's are multiples of 256. The result is
// 0 if not even the shortest fits, or if there is no limit.
func (c Config) FitContext(free int64, sessions int) int {
	d := c.Decoder
	if d == nil {
		return 0
	}
	least := *d
	least.Context = min(leastContext, d.Context)
	f := OfDecoder(&least).Footprint(1, 1)
	left := free - f.Workspace - int64(sessions)*f.Session
	if left < 0 {
		return 0
	}
	tokens := int(min(left/max(c.TokenBytes()+int64(sessions-1)*d.CacheBytes(4), 1), math.MaxInt32)) + least.Context
	if tokens >= d.Context {
		return d.Context
	}
	if tokens > 256 {
		tokens -= tokens % 256
	}
	return tokens
}
