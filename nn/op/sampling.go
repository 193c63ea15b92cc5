package op

import (
	"fmt"
	"math"
	"slices"
)

// Sampling says how a token is drawn from logits. In order: the repeat penalty, top-k, top-p,
// min-p, each on the probabilities at temperature 1, then the temperature and one draw. The order
// is llama.cpp's. Every filter is a threshold on the logit, so tokens that tie at it all stay.
type Sampling struct {
	Temperature   float32 // 0 = greedy: the largest logit, the lowest id on a tie
	TopK          int     // keep the k largest, 0 = all
	TopP          float32 // keep the most probable that together reach p, 0 or 1 = all
	MinP          float32 // keep those at least p times as probable as the first, 0 = all
	RepeatPenalty float32 // divide positive, multiply negative logits of recent tokens, 0 or 1 = off
	Seed          uint64
}

// Validate says in one sentence what is out of range.
func (s Sampling) Validate() error {
	bad := func(x float32) bool { return x != x || math.IsInf(float64(x), 0) }
	switch {
	case bad(s.Temperature) || s.Temperature < 0:
		return fmt.Errorf("temperature: got %v, want 0 or more", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("top-k: got %d, want 0 or more", s.TopK)
	case bad(s.TopP) || s.TopP < 0 || s.TopP > 1:
		return fmt.Errorf("top-p: got %v, want 0 to 1", s.TopP)
	case bad(s.MinP) || s.MinP < 0 || s.MinP > 1:
		return fmt.Errorf("min-p: got %v, want 0 to 1", s.MinP)
	case bad(s.RepeatPenalty) || s.RepeatPenalty < 0:
		return fmt.Errorf("repeat-penalty: got %v, want 0 or more", s.RepeatPenalty)
	}
	return nil
}

// Uniform is draw number n of the random stream of a seed: a number in [0, 1) with 24 random bits. It is pcg3d (Jarzynski and
// Olano, JCGT 9(3), 2020) of (n, seed), computed the same by every backend, so a seed gives the same text everywhere and the
// only state of a stream is n.
func Uniform(seed uint64, n uint32) float32 {
	x, y, z := n, uint32(seed), uint32(seed>>32)
	x, y, z = x*1664525+1013904223, y*1664525+1013904223, z*1664525+1013904223
	x += y * z
	y += z * x
	z += x * y
	x ^= x >> 16
	y ^= y >> 16
	z ^= z >> 16
	x += y * z
	return float32(x>>8) / (1 << 24)
}

// Push appends a token to a row of recent tokens, RecentSize long.
func Push(recent []uint32, id uint32) {
	recent[RecentRing+recent[RecentPushed]%RecentWindow] = id
	recent[RecentPushed]++
}

// Draw is the scalar twin of Sample for one row: it draws a token from logits (V), which the penalty changes, and appends it
// to recent. It returns NotFinite if a logit is not finite. scratch has a length of at least V.
func (s Sampling) Draw(logits []float32, recent []uint32, scratch []float32) uint32 {
	id := NotFinite
	if FirstNotFinite(logits) < 0 {
		id = s.draw(logits, recent, scratch)
	}
	recent[RecentSampled]++
	Push(recent, id)
	return id
}

func (s Sampling) draw(logits []float32, recent []uint32, scratch []float32) uint32 {
	s.Penalise(logits, recent)
	best := 0
	for i, l := range logits {
		if l > logits[best] {
			best = i
		}
	}
	if s.Temperature == 0 {
		return uint32(best)
	}
	limit := s.threshold(logits, logits[best], scratch)
	return s.pick(logits, limit, logits[best], Uniform(s.Seed, recent[RecentSampled]), scratch)
}

// Penalise applies the repeat penalty to a row of logits; finite logits stay finite.
func (s Sampling) Penalise(logits []float32, recent []uint32) {
	if s.RepeatPenalty == 0 || s.RepeatPenalty == 1 {
		return
	}
	seen := recent[RecentRing : RecentRing+min(recent[RecentPushed], RecentWindow)]
	for i, id := range seen {
		if int(id) >= len(logits) || slices.Contains(seen[:i], id) {
			continue
		}
		l := &logits[id]
		if *l > 0 {
			*l /= s.RepeatPenalty
		} else {
			*l *= s.RepeatPenalty
		}
		*l = min(max(*l, -math.MaxFloat32), math.MaxFloat32)
	}
}

// threshold is the smallest logit that passes top-k, top-p and min-p.
func (s Sampling) threshold(logits []float32, best float32, scratch []float32) float32 {
	limit := float32(math.Inf(-1))
	topK := s.TopK > 0 && s.TopK < len(logits)
	topP := s.TopP > 0 && s.TopP < 1
	order := scratch[:len(logits)]
	if topK || topP {
		copy(order, logits)
	}
	if topK {
		TopFirst(order, s.TopK)
		limit = slices.Min(order[:s.TopK])
	}
	if topP {
		limit = s.nucleus(logits, best, limit, order)
	}
	if s.MinP > 0 {
		limit = max(limit, best+float32(math.Log(float64(s.MinP))))
	}
	return limit
}

// nucleus is the smallest logit of the most probable tokens that together reach top-p, among those from limit up. A few
// hundred are usually enough, so only a part is sorted at first.
func (s Sampling) nucleus(logits []float32, best, limit float32, order []float32) float32 {
	total := 0.0
	for _, l := range logits {
		if l >= limit {
			total += math.Exp(float64(l - best))
		}
	}
	for n := min(256, len(order)); ; n = min(8*n, len(order)) {
		TopFirst(order, n)
		slices.Sort(order[:n])
		sum := 0.0
		for i := n - 1; i >= 0 && order[i] >= limit; i-- {
			sum += math.Exp(float64(order[i] - best))
			if sum >= float64(s.TopP)*total {
				return order[i]
			}
		}
		if n == len(order) {
			return limit
		}
	}
}

// TopFirst reorders v so that its k largest come first: quickselect with a three-way partition, so that equal values and NaN
// do not slow it down.
func TopFirst(v []float32, k int) {
	for lo, hi := 0, len(v); hi-lo > 1; {
		pivot := v[lo+(hi-lo)/2]
		larger, i, smaller := lo, lo, hi // [lo, larger) > pivot, [larger, i) = pivot, [smaller, hi) < pivot
		for i < smaller {
			switch x := v[i]; {
			case x > pivot:
				v[i], v[larger] = v[larger], x
				larger++
				i++
			case x < pivot:
				smaller--
				v[i], v[smaller] = v[smaller], x
			default:
				i++
			}
		}
		switch {
		case k <= larger:
			hi = larger
		case k >= smaller:
			lo = smaller
		default:
			return
		}
	}
}

// pick draws by the inverse of the cumulative distribution, in the order of the ids. weights is scratch memory, one number
// per logit.
func (s Sampling) pick(logits []float32, limit, best, u float32, weights []float32) uint32 {
	total := 0.0
	for i, l := range logits {
		weights[i] = 0
		if l >= limit {
			weights[i] = float32(math.Exp(float64((l - best) / s.Temperature)))
			total += float64(weights[i])
		}
	}
	goal, sum, last := float64(u)*total, 0.0, 0
	for i, l := range logits {
		if l >= limit {
			sum += float64(weights[i])
			last = i
			if sum > goal {
				break
			}
		}
	}
	return uint32(last)
}
