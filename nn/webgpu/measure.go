package webgpu

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"bitgpu/nn/op"
	"bitgpu/nn/quants"
	"bitgpu/nn/ternary"
	"bitgpu/wgsl"
)

const (
	trialBytes   = 32 << 20               // of weights, and of results, of a product that is measured
	trialPeriod  = 61                     // different rows of its weights; a prime, so that every thread of a team meets all of them
	trialRounds  = 5                      // over all candidates; the fastest round counts
	trialRun     = time.Millisecond       // how long a candidate runs in a round, at most 32 dispatches
	trialTime    = 100 * time.Millisecond // no round begins after this
	clearlyBelow = 0.9                    // of the usual choice's time: a slower variant does not replace it, so that noise does not decide
)

// race looks for the fastest way to run one program.
type race struct {
	o       *Ops
	program op.Program[*Tensor]
	scratch []*Tensor
	use     func(choice)      // prepare the next program this way
	run     func(op.Prepared) // nil: just run it
	now     func() time.Time
}

// prepare prepares the program in one way.
func (t *race) prepare(c choice) (op.Prepared, error) {
	t.use(c)
	return t.o.Prepare(t.program, t.scratch...)
}

func (t *race) start(p op.Prepared) {
	if t.run != nil {
		t.run(p)
		return
	}
	p.Run()
}

// trial is a product of a class on tensors of its own.
type trial struct {
	race
	n, R int
	// y (n, R) receives the product, gate and up for SwiGLU; act (n, R/2) receives the SwiGLU.
	y, act  *Tensor
	tensors []*Tensor
	want    [][]float64 // (n, trialPeriod)
	bound   []float64   // (n) largest error allowed in a row of results
}

// measure finds the fastest choice for a class among those with correct results. ok is false if there is none.
func (o *Ops) measure(c class) (best choice, ok bool) {
	t := o.newTrial(c)
	defer o.Release(t.tensors...)
	if o.Flush() != nil { // not enough memory
		return choice{}, false
	}
	return t.fastest(o.candidates(c))
}

// fastest returns the fastest of the candidates for the trial's product.
func (t *trial) fastest(candidates []choice) (best choice, ok bool) {
	defer func() { t.o.forced = nil }()
	return t.race.fastest(candidates, t.right)
}

// fastest returns the first candidate, which is the usual one, unless its results are wrong or another is clearly faster.
// right checks the results of a prepared program.
func (t *race) fastest(candidates []choice, right func(op.Prepared) bool) (best choice, ok bool) {
	type entry struct {
		choice
		prepared op.Prepared
		time     time.Duration
	}
	var entries []entry
	defer func() {
		for _, e := range entries {
			e.prepared.Release()
		}
	}()
	for _, c := range candidates {
		p, err := t.prepare(c)
		if err != nil {
			return choice{}, false
		}
		if !right(p) {
			p.Release()
			continue
		}
		entries = append(entries, entry{c, p, math.MaxInt64})
	}
	if len(entries) == 0 {
		return choice{}, false
	}
	start := t.now()
	for round := 0; round < trialRounds && (round < 2 || t.now().Sub(start) < trialTime); round++ {
		for i := range entries {
			e := &entries[i]
			times := min(max(trialRun/max(e.time, 1), 1), 32)
			took, err := t.time(e.prepared, int(times))
			if err != nil {
				return choice{}, false
			}
			e.time = min(e.time, took)
		}
	}
	first := entries[0]
	least := slices.MinFunc(entries, func(a, b entry) int { return cmp.Compare(a.time, b.time) })
	if first.choice == candidates[0] && float64(least.time) > clearlyBelow*float64(first.time) {
		return first.choice, true
	}
	return least.choice, true
}

// newTrial makes the tensors for a product of the class, with fewer rows of weights where there would be too many.
func (o *Ops) newTrial(c class) *trial {
	K := int(c.stride) * 4 * int(loadQuads[c.format])
	if c.format == op.Q6_K {
		K = K / 3 * 2 // one in three blocks has upper bits
	}
	if c.group > 0 {
		K = K / c.group * c.group
	}
	most := min(trialBytes, o.limit)
	R := 4 * max(min(c.quads, most/(4*loadBytes*int(c.stride)), most/(16*c.n)), 1)
	t := &trial{race: race{o: o, now: time.Now}, n: c.n, R: R}
	r := rand.New(rand.NewPCG(trialPeriod, uint64(K)))
	load := func(spread, middle float64, shape ...int) (*Tensor, []float32) {
		v := make([]float32, op.Count(shape))
		for i := range v {
			v[i] = float32(middle + spread*r.NormFloat64())
		}
		return t.keep(o.Load(op.HostTensor{Format: op.F32, Shape: shape, F32: v})), v
	}
	source, x := load(1, 0, c.n, K)
	gain, g := load(0.1, 1, K)
	base := make([]float32, trialPeriod*K) // in −1, 0, 1, which every format can hold
	for i := range base {
		base[i] = float32(r.IntN(3) - 1)
	}
	w := t.keep(o.Load(trialWeights(c, base, R, K)))
	t.expect(c, x, g, base, K)
	t.y = t.keep(o.New(op.F32, c.n, R))
	normed := t.keep(o.New(op.F32, c.n, K))
	norm := &op.RMSNorm[*Tensor]{X: normed, H: source, Gain: gain}
	switch c.kernel {
	case wgsl.SwiGLUVector:
		t.act = t.keep(o.New(op.F32, c.n, R/2))
		t.program = op.Program[*Tensor]{norm, &op.Linear[*Tensor]{Y: t.y, X: normed, W: w}, &op.SwiGLU[*Tensor]{A: t.act, GateUp: t.y}}
	case wgsl.HeadVector:
		t.program = op.Program[*Tensor]{norm, &op.Head[*Tensor]{Logits: t.y, X: normed, W: w}}
		if !c.norm {
			t.program = op.Program[*Tensor]{&op.Head[*Tensor]{Logits: t.y, X: source, W: w}}
		}
	default:
		addend := t.keep(o.New(op.F32, c.n, R))
		t.program = op.Program[*Tensor]{&op.Linear[*Tensor]{Y: t.y, Addend: addend, X: source, W: w}}
		if c.norm {
			t.program = op.Program[*Tensor]{norm, &op.Linear[*Tensor]{Y: t.y, X: normed, W: w}}
		}
	}
	t.use = func(c choice) { o.forced = &c }
	return t
}

func (t *trial) keep(x *Tensor) *Tensor {
	t.tensors = append(t.tensors, x)
	return x
}

// trialWeights returns a matrix (R, K) that repeats the rows of base, in any format.
func trialWeights(c class, base []float32, R, K int) op.HostTensor {
	h := op.HostTensor{Format: c.format, Shape: []int{R, K}}
	if k, ok := c.format.Quants(); ok {
		h.Quants = trialQuants(k, base, R, K)
		return h
	}
	switch c.format {
	case op.F32:
		h.F32 = repeat(base, R, K)
	case op.F16:
		const one, sign = 0x3C00, 0x8000
		halves := make([]uint16, len(base))
		for i, w := range base {
			halves[i] = map[float32]uint16{-1: one | sign, 0: 0, 1: one}[w]
		}
		h.F16 = repeat(halves, R, K)
	case op.BF16:
		halves := make([]uint16, len(base))
		for i, w := range base {
			halves[i] = uint16(math.Float32bits(w) >> 16)
		}
		h.F16 = repeat(halves, R, K)
	case op.I8:
		bytes, scales := make([]int8, len(base)), make([]float32, R)
		for i, w := range base {
			bytes[i] = int8(w)
		}
		for i := range scales {
			scales[i] = trialScale(op.I8, i)
		}
		h.I8, h.Scales = repeat(bytes, R, K), scales
	case op.Ternary:
		codes := make([]byte, trialPeriod*ternary.RowBytes(K))
		ternary.Quantize(codes, base, trialPeriod, K, 1)
		h.Codes = repeat(codes, R, ternary.RowBytes(K))
		if h.Group = c.group; c.group == 0 {
			h.Scales, h.Absmean = []float32{trialScale(op.Ternary, 0)}, true
			break
		}
		const one = 0x3C00 // float16 scales, a different power of two in each group of a cycle
		h.GroupScales = make([]uint16, R*K/c.group)
		for i := range h.GroupScales {
			h.GroupScales[i] = one - uint16(i%(K/c.group)%trialGroups)<<10
		}
	}
	return h
}

// trialQuants returns a matrix (R, K) that repeats the rows of base; the float16 scales of its groups cycle.
func trialQuants(k quants.Kind, base []float32, R, K int) *quants.Matrix {
	const one = 0x3C00
	m, numbers, factors := quants.New(k, R, K), make([]byte, K), [16]byte{}
	for i := range factors {
		factors[i] = 1
	}
	for r := range R {
		for i, w := range base[r%trialPeriod*K:][:K] {
			numbers[i] = byte(int(w) + k.Centre())
		}
		if k == quants.Q4_K { // it has minima
			for i := range numbers {
				numbers[i]++
			}
		}
		m.Pack(r, numbers)
		for block := range K / k.Span() {
			d := uint16(one)
			if k.Span() == groupUnit {
				d -= uint16(block%trialGroups) << 10
			}
			m.SetScale(m.Words(r), block, d, one, &factors, &factors)
		}
	}
	return m
}

// trialGroups is the length of the cycle of scales in a row.
const trialGroups = 3

// repeat returns R rows of length K that cycle through the trialPeriod rows of base.
func repeat[E any](base []E, R, K int) []E {
	all := make([]E, R*K)
	for at := 0; at < len(all); at += len(base) {
		copy(all[at:], base)
	}
	return all
}

// trialScale is the factor of the product with row r of a trial's weights.
func trialScale(format op.Format, r int) float32 {
	switch format {
	case op.I8:
		return float32(1+r%trialPeriod) / 64
	case op.Ternary:
		return 0.5
	}
	return 1
}

// expect computes the correct results on the host in float64.
func (t *trial) expect(c class, source, gain, base []float32, K int) {
	for i := range t.n {
		row, root := source[i*K:(i+1)*K], 1.0
		if c.norm {
			squares := 0.0
			for _, v := range row {
				squares += float64(v) * float64(v)
			}
			root = 1 / math.Sqrt(squares/float64(K)+1e-5)
		}
		x, size := make([]float64, K), 0.0
		for k, v := range row {
			x[k] = float64(v) * root
			if c.norm {
				x[k] *= float64(gain[k])
			}
			size += math.Abs(x[k])
		}
		want := make([]float64, trialPeriod)
		for r := range want {
			for k, w := range base[r*K : (r+1)*K] {
				if c.group > 0 {
					w = float32(math.Ldexp(float64(w), -(k / c.group % trialGroups)))
				}
				want[r] += x[k] * float64(w)
			}
			if c.group == 0 {
				want[r] *= float64(trialScale(c.format, r))
			}
		}
		t.want = append(t.want, want)
		t.bound = append(t.bound, 1e-5*size) // the sums reach 2·size, and each addition rounds by 6e-8 of them
	}
}

// right runs the prepared product once and reports whether all results are correct.
func (t *trial) right(p op.Prepared) bool {
	o := t.o
	o.Zero(t.y)
	t.start(p)
	y := make([]float32, t.n*t.R)
	if o.Flush() != nil || o.Download(t.y, 0, y) != nil {
		return false
	}
	near := func(got float32, want, bound float64) bool { return math.Abs(float64(got)-want) <= bound }
	for i := range y {
		if !near(y[i], t.want[i/t.R][i%t.R%trialPeriod], t.bound[i/t.R]) {
			return false
		}
	}
	if t.act == nil {
		return true
	}
	H := t.R / 2
	act := make([]float32, t.n*H)
	if o.Download(t.act, 0, act) != nil {
		return false
	}
	for i := range act {
		at := i/H*2*H + i%H
		gate, up := float64(y[at]), float64(y[at+H])
		want := gate / (1 + math.Exp(-gate)) * up
		if !near(act[i], want, 1e-4*math.Abs(want)+1e-6) {
			return false
		}
	}
	return true
}

// time returns how long one of several runs takes, from submit to completion, by the wall clock: a caller may be using the
// device's clock to time the program that is being prepared.
func (t *race) time(p op.Prepared, times int) (time.Duration, error) {
	start := t.now()
	for range times {
		t.start(p)
	}
	err := t.o.Flush()
	return t.now().Sub(start) / time.Duration(times), err
}
