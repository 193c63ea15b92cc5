package optest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/x448/float16"

	"bitgpu/nn/op"
	"bitgpu/nn/quants"
	"bitgpu/nn/ternary"
)

// Bench makes the tensors of a case on one backend. Each is filled from a seed of its own, which
// depends on the names of the case and of the tensor.
type Bench[T any] struct {
	Ops      op.Executor[T]
	seed     string
	tensors  map[string]tensor[T]
	programs []op.Prepared
	err      error // the first of Prepare's
}

// tensor is a tensor of a bench.
type tensor[T any] struct {
	x      T
	format op.Format
	shape  []int
	start  []float32 // what it was made of; ternary: the weights, then the scales
}

// newBench makes the bench for a case.
func newBench[T any](ops op.Executor[T], seed string) *Bench[T] {
	return &Bench[T]{Ops: ops, seed: seed, tensors: map[string]tensor[T]{}}
}

func (b *Bench[T]) random(name string) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, b.seed, "\x00", name)
	return rand.New(rand.NewPCG(h.Sum64(), 0))
}

func (b *Bench[T]) keep(name string, t tensor[T]) T {
	if _, ok := b.tensors[name]; ok {
		panic("optest: two tensors are called " + name)
	}
	b.tensors[name] = t
	return t.x
}

// Floats makes an F32 tensor of given numbers.
func (b *Bench[T]) Floats(name string, values []float32, shape ...int) T {
	op.Check("optest: "+name, []int{len(values)}, op.Count(shape))
	t := b.Ops.New(op.F32, shape...)
	b.Ops.Write(t, 0, values)
	return b.keep(name, tensor[T]{t, op.F32, shape, values})
}

// Halves makes an F16 tensor of given numbers, rounded.
func (b *Bench[T]) Halves(name string, values []float32, shape ...int) T {
	t := b.Ops.New(op.F16, shape...)
	b.Ops.Write(t, 0, values)
	return b.keep(name, tensor[T]{t, op.F16, shape, values})
}

// fill makes an F32 tensor of what next returns.
func (b *Bench[T]) fill(name string, shape []int, next func(r *rand.Rand) float64) T {
	r, values := b.random(name), make([]float32, op.Count(shape))
	for i := range values {
		values[i] = float32(next(r))
	}
	return b.Floats(name, values, shape...)
}

// Normal makes an F32 tensor of normally distributed numbers.
func (b *Bench[T]) Normal(name string, std float64, shape ...int) T {
	return b.fill(name, shape, func(r *rand.Rand) float64 { return std * r.NormFloat64() })
}

// Near makes an F32 tensor of numbers around a middle.
func (b *Bench[T]) Near(name string, middle, std float64, shape ...int) T {
	return b.fill(name, shape, func(r *rand.Rand) float64 { return middle + std*r.NormFloat64() })
}

// Between makes an F32 tensor of numbers from low to high.
func (b *Bench[T]) Between(name string, low, high float64, shape ...int) T {
	return b.fill(name, shape, func(r *rand.Rand) float64 { return low + (high-low)*r.Float64() })
}

// Whole makes an F32 tensor of whole numbers from −limit to limit.
func (b *Bench[T]) Whole(name string, limit int, shape ...int) T {
	return b.fill(name, shape, func(r *rand.Rand) float64 { return float64(r.IntN(2*limit+1) - limit) })
}

// All makes an F32 tensor of one number.
func (b *Bench[T]) All(name string, value float64, shape ...int) T {
	return b.fill(name, shape, func(*rand.Rand) float64 { return value })
}

// NormalSet makes a set of F32 tensors of normally distributed numbers, called name.0, name.1, …
func (b *Bench[T]) NormalSet(name string, n int, std float64, shape ...int) []T {
	set := b.Ops.NewSet(n, op.F32, shape...)
	for i, t := range set {
		name := fmt.Sprintf("%s.%d", name, i)
		r, values := b.random(name), make([]float32, op.Count(shape))
		for j := range values {
			values[j] = float32(std * r.NormFloat64())
		}
		b.Ops.Write(t, 0, values)
		b.keep(name, tensor[T]{t, op.F32, shape, values})
	}
	return set
}

// Stale makes an F32 tensor that an operation must write: it holds numbers from before.
func (b *Bench[T]) Stale(name string, shape ...int) T {
	return b.Between(name, 900, 1000, shape...)
}

// IDs makes a U32 tensor.
func (b *Bench[T]) IDs(name string, ids []uint32, shape ...int) T {
	op.Check("optest: "+name, []int{len(ids)}, op.Count(shape))
	t := b.Ops.New(op.U32, shape...)
	b.Ops.WriteTokens(t, 0, ids)
	return b.keep(name, tensor[T]{t, op.U32, shape, fromIDs(ids)})
}

// Rules makes the tensor of sampling rules, the same for every row.
func (b *Bench[T]) Rules(name string, p op.Sampling, n int) T {
	rules := make([]uint32, n*op.RulesSize)
	for i := range n {
		p.Encode(rules[i*op.RulesSize:])
	}
	t := b.Ops.New(op.U32, n, op.RulesSize)
	b.Ops.WriteTokens(t, 0, rules)
	return b.keep(name, tensor[T]{t, op.U32, []int{n, op.RulesSize}, nil})
}

// Tokens makes a U32 tensor of n tokens of a vocabulary.
func (b *Bench[T]) Tokens(name string, vocab, n int) T {
	r, ids := b.random(name), make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(r.IntN(vocab))
	}
	return b.IDs(name, ids, n)
}

// Room makes a ternary matrix for Quantize to write.
func (b *Bench[T]) Room(name string, rows, cols, blocks int, absmean bool) T {
	return b.keep(name, tensor[T]{b.Ops.NewTernary(rows, cols, blocks, absmean), op.Ternary, []int{rows, cols}, nil})
}

// Ternary makes a ternary matrix of stacked blocks whose γ differ.
func (b *Bench[T]) Ternary(name string, rows, cols, blocks int, absmean bool) T {
	r, w := b.random(name), make([]float32, rows*cols)
	gammas := make([]float32, blocks)
	for i := range w {
		w[i] = float32(r.IntN(3) - 1)
	}
	for i := range gammas {
		gammas[i] = 0.25 * float32(i+1) // exact, so that products of whole numbers are
	}
	return b.Packed(name, w, gammas, rows, cols, absmean)
}

// Packed makes a ternary matrix of given weights and γ.
func (b *Bench[T]) Packed(name string, w, gammas []float32, rows, cols int, absmean bool) T {
	h := op.HostTensor{
		Format: op.Ternary, Shape: []int{rows, cols}, Absmean: absmean, Scales: gammas,
		Codes: make([]byte, rows*ternary.RowBytes(cols)),
	}
	ternary.Quantize(h.Codes, w, rows, cols, 1)
	return b.keep(name, tensor[T]{b.Ops.Load(h), op.Ternary, h.Shape, append(append([]float32(nil), w...), gammas...)})
}

// Groups makes a ternary matrix with a scale per `group` inputs of a row; scales are multiples of a quarter. Its Start is the
// weights times their scales.
func (b *Bench[T]) Groups(name string, rows, cols, group int) T {
	r, values := b.random(name), make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.IntN(3) - 1)
	}
	h := op.HostTensor{
		Format: op.Ternary, Shape: []int{rows, cols}, Codes: make([]byte, rows*ternary.RowBytes(cols)),
		Group: group, GroupScales: make([]uint16, rows*cols/group),
	}
	ternary.Quantize(h.Codes, values, rows, cols, 1)
	for i := range h.GroupScales {
		scale := 0.25 * float32(1+r.IntN(8))
		h.GroupScales[i] = float16.Fromfloat32(scale).Bits()
		for j := range group {
			values[i*group+j] *= scale
		}
	}
	return b.keep(name, tensor[T]{b.Ops.Load(h), op.Ternary, h.Shape, values})
}

// Table makes a matrix (rows, cols) in a format that tables may have.
func (b *Bench[T]) Table(name string, format op.Format, rows, cols int) T {
	r := b.random(name)
	h := op.HostTensor{Format: format, Shape: []int{rows, cols}}
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	if k, ok := format.Quants(); ok {
		h.Quants = randomQuants(k, rows, cols, r)
		return b.keep(name, tensor[T]{b.Ops.Load(h), format, h.Shape, h.Float32s()})
	}
	switch format {
	case op.F32:
		h.F32 = values
	case op.F16:
		for i, v := range values {
			half := float16.Fromfloat32(v)
			h.F16, values[i] = append(h.F16, half.Bits()), half.Float32()
		}
	case op.BF16:
		for i, v := range values {
			bits := math.Float32bits(v) >> 16
			h.F16, values[i] = append(h.F16, uint16(bits)), math.Float32frombits(bits<<16)
		}
	case op.Ternary: // with a γ a row
		h.Absmean, h.Codes = true, make([]byte, rows*ternary.RowBytes(cols))
		for i := range values {
			values[i] = float32(r.IntN(3) - 1)
		}
		ternary.Quantize(h.Codes, values, rows, cols, 1)
		for i := range rows {
			h.Scales = append(h.Scales, 0.25*float32(1+i%7))
		}
		for i := range values {
			values[i] *= h.Scales[i/cols]
		}
	case op.I8:
		for i := range rows {
			h.Scales = append(h.Scales, 0.01+0.001*float32(i%7))
		}
		for i := range values {
			q := int8(r.IntN(256) - 128)
			h.I8, values[i] = append(h.I8, q), float32(q)*h.Scales[i/cols]
		}
	}
	return b.keep(name, tensor[T]{b.Ops.Load(h), format, h.Shape, values})
}

// randomQuants returns a matrix of random numbers whose weights are around 1.
func randomQuants(k quants.Kind, rows, cols int, r *rand.Rand) *quants.Matrix {
	m, numbers := quants.New(k, rows, cols), make([]byte, cols)
	least := 1 // of a factor of the scale
	if k == quants.Q6_K {
		least = -63
	}
	scale := map[quants.Kind]float64{quants.Q8_0: 0.01, quants.Q4_0: 0.2, quants.Q4_K: 0.005, quants.Q6_K: 0.0015}[k]
	for i := range rows {
		for c := range numbers {
			numbers[c] = byte(r.Uint32())
		}
		m.Pack(i, numbers)
		for block := range cols / k.Span() {
			var factors, minima [16]byte
			for j := range factors {
				factors[j], minima[j] = byte(least+r.IntN(64-least)), byte(r.IntN(64))
			}
			d := func() uint16 { return float16.Fromfloat32(float32(scale * (0.5 + r.Float64()))).Bits() }
			m.SetScale(m.Words(i), block, d(), d(), &factors, &minima)
		}
	}
	return m
}

// Start returns the numbers that a tensor was made from.
func (b *Bench[T]) Start(name string) []float32 { return b.tensors[name].start }

// read reads a tensor of the bench.
func (b *Bench[T]) read(name string) ([]float32, error) {
	t, ok := b.tensors[name]
	if !ok {
		return nil, fmt.Errorf("the case has no tensor %q", name)
	}
	n := op.Count(t.shape)
	switch t.format {
	case op.F32, op.F16:
		values := make([]float32, n)
		return values, b.Ops.Download(t.x, 0, values)
	case op.U32:
		ids := make([]uint32, n)
		err := b.Ops.DownloadTokens(t.x, 0, ids)
		return fromIDs(ids), err
	case op.Ternary:
		h, err := b.Ops.DownloadTernary(t.x)
		if err != nil {
			return nil, err
		}
		if err := ternary.Validate(h.Codes, t.shape[0], t.shape[1]); err != nil {
			return nil, err
		}
		values := make([]float32, n)
		ternary.Unpack(values, h.Codes, t.shape[0], t.shape[1])
		return append(values, h.Scales...), nil
	}
	return nil, fmt.Errorf("%s: a %v tensor cannot be read back", name, t.format)
}

// program prepares operations on the first call, and runs them on every call.
func (b *Bench[T]) program(ops ...op.Op[T]) func() { return b.programOn(nil, ops...) }

// programOn is program with scratch, whose contents nobody reads.
func (b *Bench[T]) programOn(scratch []T, ops ...op.Op[T]) func() {
	var prepared op.Prepared
	return func() {
		if prepared == nil {
			p, err := b.Ops.Prepare(ops, scratch...)
			if err != nil {
				b.err = errors.Join(b.err, err)
				return
			}
			prepared = p
			b.programs = append(b.programs, p)
		}
		prepared.Run()
	}
}

// close releases the programs and the tensors.
func (b *Bench[T]) close() {
	for _, p := range b.programs {
		p.Release()
	}
	for _, t := range b.tensors {
		b.Ops.Release(t.x)
	}
}

// fromIDs converts token ids to floats; the ids of the cases are far below 2²⁴.
func fromIDs(ids []uint32) []float32 {
	values := make([]float32, len(ids))
	for i, id := range ids {
		values[i] = float32(id)
	}
	return values
}
