package optest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/x448/float16"

	"bitgpu/nn"
	"bitgpu/nn/ternary"
)

// Bench is where a case makes its tensors on one backend. Each is filled from a seed of its own
// that comes from the names of the case and of the tensor.
type Bench[T any] struct {
	Ops     nn.Ops[T]
	seed    string
	tensors map[string]tensor[T]
}

// tensor is one of a bench.
type tensor[T any] struct {
	x      T
	format nn.Format
	shape  []int
	start  []float32 // what it was made of; ternary: the weights, then the scales
}

// newBench makes the bench of a case.
func newBench[T any](ops nn.Ops[T], seed string) *Bench[T] {
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
	nn.Check("optest: "+name, []int{len(values)}, nn.Count(shape))
	t := b.Ops.New(nn.F32, shape...)
	b.Ops.Write(t, 0, values)
	return b.keep(name, tensor[T]{t, nn.F32, shape, values})
}

// fill makes an F32 tensor of what next returns.
func (b *Bench[T]) fill(name string, shape []int, next func(r *rand.Rand) float64) T {
	r, values := b.random(name), make([]float32, nn.Count(shape))
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
	set := b.Ops.NewSet(n, nn.F32, shape...)
	for i, t := range set {
		name := fmt.Sprintf("%s.%d", name, i)
		r, values := b.random(name), make([]float32, nn.Count(shape))
		for j := range values {
			values[j] = float32(std * r.NormFloat64())
		}
		b.Ops.Write(t, 0, values)
		b.keep(name, tensor[T]{t, nn.F32, shape, values})
	}
	return set
}

// Stale makes an F32 tensor that an operation must write: it holds numbers from before.
func (b *Bench[T]) Stale(name string, shape ...int) T {
	return b.Between(name, 900, 1000, shape...)
}

// IDs makes a U32 tensor.
func (b *Bench[T]) IDs(name string, ids []uint32, shape ...int) T {
	nn.Check("optest: "+name, []int{len(ids)}, nn.Count(shape))
	t := b.Ops.New(nn.U32, shape...)
	b.Ops.WriteTokens(t, 0, ids)
	return b.keep(name, tensor[T]{t, nn.U32, shape, fromIDs(ids)})
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
	return b.keep(name, tensor[T]{b.Ops.NewTernary(rows, cols, blocks, absmean), nn.Ternary, []int{rows, cols}, nil})
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
	h := nn.HostTensor{
		Format: nn.Ternary, Shape: []int{rows, cols}, Absmean: absmean, Scales: gammas,
		Codes: make([]byte, rows*ternary.RowBytes(cols)),
	}
	ternary.Quantize(h.Codes, w, rows, cols, 1)
	return b.keep(name, tensor[T]{b.Ops.Load(h), nn.Ternary, h.Shape, append(append([]float32(nil), w...), gammas...)})
}

// Table makes a matrix (rows, cols) in a format that tables may have.
func (b *Bench[T]) Table(name string, format nn.Format, rows, cols int) T {
	r := b.random(name)
	h := nn.HostTensor{Format: format, Shape: []int{rows, cols}}
	values := make([]float32, rows*cols)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	switch format {
	case nn.F32:
		h.F32 = values
	case nn.F16:
		for i, v := range values {
			half := float16.Fromfloat32(v)
			h.F16, values[i] = append(h.F16, half.Bits()), half.Float32()
		}
	case nn.I8:
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

// Start is what a tensor was made of.
func (b *Bench[T]) Start(name string) []float32 { return b.tensors[name].start }

// read reads a tensor of the bench.
func (b *Bench[T]) read(name string) ([]float32, error) {
	t, ok := b.tensors[name]
	if !ok {
		return nil, fmt.Errorf("the case has no tensor %q", name)
	}
	n := nn.Count(t.shape)
	switch t.format {
	case nn.F32:
		values := make([]float32, n)
		return values, b.Ops.Read(t.x, 0, values)
	case nn.U32:
		ids := make([]uint32, n)
		err := b.Ops.ReadTokens(t.x, 0, ids)
		return fromIDs(ids), err
	case nn.Ternary:
		h, err := b.Ops.ReadTernary(t.x)
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

// close gives the tensors back.
func (b *Bench[T]) close() {
	for _, t := range b.tensors {
		b.Ops.Release(t.x)
	}
}

// fromIDs shows token ids as numbers; ids of the table are far below 2²⁴.
func fromIDs(ids []uint32) []float32 {
	values := make([]float32, len(ids))
	for i, id := range ids {
		values[i] = float32(id)
	}
	return values
}
