package nn

import "math"

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
