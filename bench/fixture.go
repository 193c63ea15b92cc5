package bench

import (
	"errors"
	"math/rand/v2"

	"github.com/x448/float16"

	"bitgpu/nn/op"
	"bitgpu/nn/ternary"
)

// fixture makes the tensors of an operation, random but the same every time, and releases them.
type fixture[T any] struct {
	ops   op.Executor[T]
	r     *rand.Rand
	owned []T
	made  []op.Prepared
	err   error // the first of run
}

func newFixture[T any](ops op.Executor[T]) *fixture[T] {
	return &fixture[T]{ops: ops, r: rand.New(rand.NewPCG(1, 2))}
}

func (b *fixture[T]) own(t T) T {
	b.owned = append(b.owned, t)
	return t
}

// close releases the tensors.
func (b *fixture[T]) close() {
	for _, p := range b.made {
		p.Release()
	}
	b.ops.Release(b.owned...)
	b.owned, b.made = nil, nil
}

// run prepares operations and returns what runs them.
func (b *fixture[T]) run(ops ...op.Op[T]) func() {
	p, err := b.ops.Prepare(ops)
	if err != nil {
		b.err = errors.Join(b.err, err)
		return func() {}
	}
	b.made = append(b.made, p)
	return p.Run
}

// rules makes the tensor of sampling rules, the same for every row.
func (b *fixture[T]) rules(s op.Sampling, n int) T {
	rows := make([]uint32, n*op.RulesSize)
	for i := range n {
		s.Encode(rows[i*op.RulesSize:])
	}
	t := b.own(b.ops.New(op.U32, n, op.RulesSize))
	b.ops.WriteTokens(t, 0, rows)
	return t
}

// room makes an F32 tensor of zeros.
func (b *fixture[T]) room(shape ...int) T { return b.own(b.ops.New(op.F32, shape...)) }

// normals holds the numbers that all tensors are filled with: drawing new ones each time would take
// longer than the measurement.
var normals = func() []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	v := make([]float32, 1<<16+13)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}()

// values returns n normally distributed numbers.
func (b *fixture[T]) values(n int) []float32 { return randomNormals(b.r, n) }

func randomNormals(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for at := 0; at < n; {
		at += copy(v[at:], normals[r.IntN(len(normals)/2):])
	}
	return v
}

// normal makes an F32 tensor of normally distributed numbers.
func (b *fixture[T]) normal(shape ...int) T {
	t := b.room(shape...)
	b.ops.Write(t, 0, b.values(op.Count(shape)))
	return t
}

// ternary makes a packed matrix of stacked blocks.
func (b *fixture[T]) ternary(rows, cols, blocks int) T {
	h := op.HostTensor{
		Format: op.Ternary, Shape: []int{rows, cols}, Absmean: true,
		Codes: make([]byte, rows*ternary.RowBytes(cols)), Scales: make([]float32, blocks),
	}
	for i := range h.Scales {
		h.Scales[i] = 0.05
	}
	ternary.Quantize(h.Codes, b.values(rows*cols), rows, cols, 0.8)
	return b.own(b.ops.Load(h))
}

// table makes a matrix in one of the formats of tables.
func (b *fixture[T]) table(format op.Format, rows, cols int) T {
	return b.own(b.ops.Load(convertTable(op.HostTensor{Shape: []int{rows, cols}, F32: b.values(rows * cols)}, format)))
}

// tokens makes a tensor of ids.
func (b *fixture[T]) tokens(vocab, n int) T {
	t := b.own(b.ops.New(op.U32, n))
	b.ops.WriteTokens(t, 0, randomTokens(b.r, vocab, n))
	return t
}

func randomTokens(r *rand.Rand, vocab, n int) []uint32 {
	ids := make([]uint32, n)
	for i := range ids {
		ids[i] = uint32(r.IntN(vocab))
	}
	return ids
}

// convertTable stores a float32 table (rows, cols) in another format; int8 has one scale a row,
// its largest magnitude ÷ 127.
func convertTable(t op.HostTensor, format op.Format) op.HostTensor {
	rows, cols := t.Shape[0], t.Shape[1]
	h := op.HostTensor{Format: format, Shape: t.Shape}
	switch format {
	case op.F16:
		h.F16 = make([]uint16, len(t.F32))
		for i, x := range t.F32 {
			h.F16[i] = float16.Fromfloat32(x).Bits()
		}
	case op.I8:
		h.I8, h.Scales = op.PackInt8(t.F32, rows, cols)
	default:
		h.F32 = t.F32
	}
	return h
}
