package train

import (
	"math"

	"bitgpu/nn"
)

// EvaluationMemory is how many bytes of device memory an Evaluator takes beside the model.
func EvaluationMemory(c nn.Config, batch, time int) int64 {
	b := float64(batch)
	n := b * float64(time)
	D, d, H, mix := float64(c.Width), float64(c.MemoryWidth), float64(c.MLPWidth()), float64(c.MixWidth())
	row := 2*D + mix + d + 2*H + H // of a block
	state := b * d * float64(c.HeadWidth())
	if c.Delta() {
		row += float64(c.Heads) + mix + d
		state += b * nn.ConvTail * 3 * d
	}
	rows := math.Min(math.Max(logitsRoom/(4*float64(c.Vocab)), 1), n) // headRows, of any n
	rows = math.Floor(rows)
	floats := n*(row+2*D+2) + state + rows*(float64(c.Vocab)+2+nn.RecentSize) + 1
	return bytesOf(4 * floats)
}

// bytesOf is a number of bytes, the largest where an int64 does not hold it.
func bytesOf(n float64) int64 {
	if n >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(n)
}
