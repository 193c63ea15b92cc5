package nn

import "math"

// leastContext is how many tokens a context is worth having for.
const leastContext = 16

// TokenBytes is what each token of a context takes on a device of float32: its keys, its values and its angles. It is 0 of our own
// models, whose memory does not grow.
func (c Config) TokenBytes() int64 {
	d := c.Decoder
	if d == nil {
		return 0
	}
	return d.CacheBytes(4) + 4*int64(d.Rope.Width)
}

// FitContext is the longest context, up to the configuration's own, with which so many sessions and their workspace take at most free
// bytes, besides the weights; a multiple of 256 where it is shorter than that. It is 0 where not even the shortest fits, or there is
// no limit.
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
