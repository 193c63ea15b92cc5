package cpu

import (
	"math"
	"slices"

	"bitgpu/nn/cpu/simd"
	"bitgpu/nn/op"
)

// drawScratch is the scratch memory that a core draws a token with.
type drawScratch struct {
	logits  []float32 // a row with its penalty
	weights []float32
	kept    []float32 // logits that top-k keeps, in the order of the ids
	ids     []uint32  // theirs
	order   []float32 // for putting in order
	sums    []float64 // weights of a block
	mass    [1024]float64
}

func (o *Ops) sample(args *op.Sample[*Tensor[float32]]) {
	o.rows(args.Logits.Shape[0], 1, func(j *job, start, end int) {
		s := <-j.ops.slots
		defer func() { j.ops.slots <- s }()
		next, out, recent, rules, logits := j.t[0], j.t[1], j.t[2], j.t[3], j.t[4]
		K, V := out.Shape[1], logits.Shape[1]
		for b := start; b < end; b++ {
			seen := recent.Tokens[b*op.RecentSize : (b+1)*op.RecentSize]
			n := int(seen[op.RecentSampled])
			id := s.draw.token(op.DecodeRules(rules.Tokens[b*op.RulesSize:]), logits.Data[b*V:(b+1)*V], seen)
			out.Tokens[b*K+n%K], next.Tokens[b] = id, nextInput(id)
		}
	}, args.Next, args.Out, args.Recent, args.Rules, args.Logits)
}

// token is op.Sampling.Draw with vectorised exponentials: apart from their rounding, it draws the same token. The logits do not
// change.
func (d *drawScratch) token(p op.Sampling, logits []float32, recent []uint32) uint32 {
	id := op.NotFinite
	if finite(logits) {
		id = d.drawn(p, logits, recent)
	}
	recent[op.RecentSampled]++
	op.Push(recent, id)
	return id
}

// finite reports whether all numbers are finite. A finite sum of squares shows it quickly; an infinite one may come from a large
// number.
func finite(v []float32) bool {
	return op.FirstNotFinite([]float32{simd.SumSquares(v)}) < 0 || op.FirstNotFinite(v) < 0
}

func (d *drawScratch) drawn(p op.Sampling, logits []float32, recent []uint32) uint32 {
	if p.RepeatPenalty != 0 && p.RepeatPenalty != 1 {
		copy(room(&d.logits, len(logits)), logits)
		logits = d.logits[:len(logits)]
		p.Penalise(logits, recent)
	}
	best := simd.Max(logits)
	if p.Temperature == 0 {
		return uint32(slices.Index(logits, best))
	}
	return d.sampled(p, logits, best, op.Uniform(p.Seed, recent[op.RecentSampled]))
}

func (d *drawScratch) sampled(p op.Sampling, logits []float32, best, u float32) uint32 {
	topK := p.TopK > 0 && p.TopK < len(logits)
	if topK {
		d.keepLargest(logits, p.TopK)
		logits = d.kept
	}
	limit := float32(math.Inf(-1))
	if p.TopP > 0 && p.TopP < 1 {
		limit = d.nucleus(logits, best, p.TopP)
	}
	if p.MinP > 0 {
		limit = max(limit, best+float32(math.Log(float64(p.MinP))))
	}
	i := d.pick(logits, limit, best, p.Temperature, u)
	if topK {
		return d.ids[i]
	}
	return uint32(i)
}

// keepLargest sets kept and ids to the k largest logits and those that equal the last of them. At least k logits reach the k-th
// largest of the maxima of blocks, so only the few blocks that reach it need to be searched.
func (d *drawScratch) keepLargest(logits []float32, k int) {
	width := min(max(len(logits)/(4*k)&^7, 8), 256)
	blocks := (len(logits) + width - 1) / width
	block := func(b int) []float32 { return logits[b*width : min((b+1)*width, len(logits))] }
	maxima, bound := room(&d.weights, blocks), float32(math.Inf(-1))
	for b := range maxima {
		maxima[b] = simd.Max(block(b))
	}
	if k <= blocks {
		bound = d.largest(maxima, k)
	}
	d.kept, d.ids = d.kept[:0], d.ids[:0]
	for b, m := range maxima {
		if m < bound {
			continue
		}
		for i, l := range block(b) {
			if l >= bound {
				d.kept = append(d.kept, l)
				d.ids = append(d.ids, uint32(b*width+i))
			}
		}
	}
	if len(d.kept) <= k {
		return
	}
	limit, n := d.largest(d.kept, k), 0
	for i, l := range d.kept {
		if l >= limit {
			d.kept[n], d.ids[n] = l, d.ids[i]
			n++
		}
	}
	d.kept, d.ids = d.kept[:n], d.ids[:n]
}

// largest returns the k-th largest number of v.
func (d *drawScratch) largest(v []float32, k int) float32 {
	order := room(&d.order, len(v))
	copy(order, v)
	op.TopFirst(order, k)
	return slices.Min(order[:k])
}

// nucleus is the smallest logit of the most probable tokens that together reach p: the masses of
// bins of logits say in which bin it lies, and only that is put in order. Tokens further than depth
// below the best are together less probable than 1−p.
func (d *drawScratch) nucleus(logits []float32, best, p float32) float32 {
	weights := room(&d.weights, len(logits))
	goal := float64(p) * simd.ExpFrom(weights, logits, float32(math.Inf(-1)), best, 1)
	const bins = float32(len(d.mass))
	depth := float32(math.Log(float64(len(logits)) / (1 - float64(p))))
	scale := bins / depth
	clear(d.mass[:])
	for i, l := range logits {
		if at := (best - l) * scale; at < bins {
			d.mass[int(at)] += float64(weights[i])
		}
	}
	sum, bin := 0.0, 0
	for bin < len(d.mass)-1 && sum+d.mass[bin] < goal {
		sum += d.mass[bin]
		bin++
	}
	inside := d.order[:0]
	for _, l := range logits {
		if at := (best - l) * scale; at >= float32(bin) && at < float32(bin+1) {
			inside = append(inside, l)
		}
	}
	d.order = inside
	slices.Sort(inside)
	simd.ExpFrom(weights[:len(inside)], inside, float32(math.Inf(-1)), best, 1)
	for i := len(inside) - 1; i >= 0; i-- {
		if sum += float64(weights[i]); sum >= goal {
			return inside[i]
		}
	}
	if len(inside) > 0 {
		return inside[0]
	}
	return best - depth
}

// pickBlock is how many weights are summed together.
const pickBlock = 512

// pick draws by the inverse of the cumulative distribution, block by block, then inside of one.
func (d *drawScratch) pick(logits []float32, limit, best, temperature, u float32) int {
	weights := room(&d.weights, len(logits))
	d.sums = d.sums[:0]
	total := 0.0
	for at := 0; at < len(logits); at += pickBlock {
		to := min(at+pickBlock, len(logits))
		sum := simd.ExpFrom(weights[at:to], logits[at:to], limit, best, temperature)
		d.sums = append(d.sums, sum)
		total += sum
	}
	goal, sum, last := float64(u)*total, 0.0, 0
	for b, mass := range d.sums {
		if sum+mass <= goal {
			sum += mass
			continue
		}
		for i, w := range weights[b*pickBlock : min((b+1)*pickBlock, len(logits))] {
			if w == 0 {
				continue
			}
			last = b*pickBlock + i
			if sum += float64(w); sum > goal {
				break
			}
		}
		break
	}
	return last
}
