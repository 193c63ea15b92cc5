package optest

import (
	"fmt"

	"bitgpu/nn/cpu"
	"bitgpu/nn/op"
)

// Sequences of several documents: each document gives what it gives as a sequence of its own, forward and backward; on the reference,
// to the bit.

// rowsOfDocuments are the lengths of the documents of sequences of as many tokens each: short ones, some that begin or end with a
// chunk or a tile, and long ones.
var rowsOfDocuments = [][][]int{
	{{1, 15, 3, 1, 21, 4}, {45}},
	{{16, 16, 2, 1, 1, 9}, {2, 37, 6}},
	{{70, 64, 6}},
	{{3, 1}, {2, 2}, {1, 3}},
	{{1, 2}, {2, 1}},
}

// packed describes a case of documents.
type packed[T any] struct {
	b         *Bench[T]
	rows      [][]int
	time      int
	documents T
	spans     [][2]int // first row and rows of each document
	forward   op.Program[T]
	backward  op.Program[T]
	outputs   []string
	also      []string
	same      [][2]any // name and width of what documents alone have, too
}

func newPacked[T any](b *Bench[T], rows [][]int) *packed[T] {
	p := &packed[T]{b: b, rows: rows}
	for _, n := range rows[0] {
		p.time += n
	}
	var ids []uint32
	for _, row := range rows {
		for _, n := range row {
			p.spans = append(p.spans, [2]int{len(ids), n})
			ids = append(append(ids, op.NewDocument), make([]uint32, n-1)...)
		}
	}
	documents := make([]uint32, 2*len(ids))
	op.SplitDocuments(ids, documents, ids, p.time)
	p.documents = b.IDs("documents", documents, len(ids), 2)
	return p
}

// n returns the number of rows.
func (p *packed[T]) n() int { return len(p.rows) * p.time }

// each visits the sequences: all, with documents and no suffix to their names, and each document alone.
func (p *packed[T]) each(visit func(suffix string, first, B, time int, documents T)) {
	visit("", 0, len(p.rows), p.time, p.documents)
	var none T
	for i, span := range p.spans {
		visit(fmt.Sprint(".", i), span[0], 1, span[1], none)
	}
}

// given makes rows of a tensor that an operation reads; change: it also writes them, so it gets a copy.
func (p *packed[T]) given(to *op.Program[T], name, suffix string, all T, first, n, width int, change bool) T {
	if suffix == "" && !change {
		return all
	}
	if suffix == "" {
		suffix = ".read"
	}
	t := p.b.Stale(name+suffix, n, width)
	to.Add(&op.Copy[T]{Dst: t, Src: all, SrcOffset: first * width, N: n * width})
	return t
}

// made makes rows that an operation writes.
func (p *packed[T]) made(names *[]string, name, suffix string, n, width int) T {
	*names = append(*names, name+suffix)
	if suffix == "" {
		p.same = append(p.same, [2]any{name, width})
	}
	return p.b.Stale(name+suffix, n, width)
}

// trial returns the trial that compares all of this.
func (p *packed[T]) trial(t Trial[T], tolerance Tolerance) Trial[T] {
	t.Forward, t.Backward = p.b.program(p.forward...), p.b.program(p.backward...)
	t.Outputs, t.Also = append(t.Outputs, p.outputs...), append(t.Also, p.also...)
	if _, reference := any(p.b.Ops).(*cpu.Scalar[float64]); reference {
		tolerance = exact
	}
	t.Check = func(v Values) error {
		for _, s := range p.same {
			name, width := s[0].(string), s[1].(int)
			for i, span := range p.spans {
				alone := v(fmt.Sprint(name, ".", i))
				if err := tolerance.compare(fmt.Sprintf("%s of document %d", name, i), v(name)[span[0]*width:(span[0]+span[1])*width], alone); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return t
}

func documentCases[T any]() (all []Case[T]) {
	for _, rows := range rowsOfDocuments {
		for _, chunk := range []int{7, 16, 64} {
			name := fmt.Sprintf("documents/%v/chunk%d", rows, chunk)
			of := func(file string, needs op.Op[T], make func(p *packed[T]) Trial[T]) {
				all = append(all, Case[T]{Op: file, Name: name, Tolerance: Tolerance{2e-4, 1e-4, "norms and unit lengths divide by what may be short"}, Needs: []op.Op[T]{needs},
					Make: func(b *Bench[T]) Trial[T] { return make(newPacked(b, rows)) }})
			}
			of("tiedscan", &op.TiedScanBackward[T]{}, func(p *packed[T]) Trial[T] { return p.tied(chunk) })
			of("deltascan", &op.DeltaScanBackward[T]{}, func(p *packed[T]) Trial[T] { return p.delta(chunk) })
			of("gateddelta", &op.GatedDeltaBackward[T]{}, func(p *packed[T]) Trial[T] { return p.gated(chunk) })
		}
		for _, gate := range []bool{false, true} {
			all = append(all, Case[T]{Op: "attention", Name: fmt.Sprintf("documents/%v/gate=%v", rows, gate), Tolerance: scanned, Needs: []op.Op[T]{&op.AttentionBackward[T]{}},
				Make: func(b *Bench[T]) Trial[T] { return newPacked(b, rows).attends(gate) }})
		}
	}
	return append(all, Case[T]{
		Op: "tiedscan", Name: "refuses/documents", Refuses: true,
		Make: func(b *Bench[T]) Trial[T] {
			p := newPacked(b, [][]int{{2, 2}})
			return Trial[T]{Forward: b.program(&op.TiedScan[T]{
				Z: b.Stale("z", 4, 3), F: b.Normal("f", 1, 4, 3), State: b.All("state", 0, 1, 1, 3, 3), Documents: p.documents, Scan: op.Scan{Chunk: 2, Rate: 0.1, Minibatch: true},
			})}
		},
	})
}

func (p *packed[T]) tied(chunk int) Trial[T] {
	const d = 9
	b, scan := p.b, op.Scan{Chunk: chunk, Rate: 0.5}
	f, dz := b.Normal("f", 1, p.n(), d), b.Normal("dz", 1, p.n(), d)
	p.each(func(suffix string, first, B, time int, documents T) {
		n, name := B*time, func(name string) string { return name + suffix }
		keys, up := p.given(&p.forward, "f", suffix, f, first, n, d, false), p.given(&p.backward, "dz", suffix, dz, first, n, d, false)
		state, starts := b.Stale(name("state"), B, 1, d, d), b.Stale(name("starts"), B, op.Chunks(n, B, chunk), d, d)
		p.forward.Add(&op.Zero[T]{X: state}, &op.TiedScan[T]{
			Z: p.made(&p.outputs, "z", suffix, n, d), F: keys, State: state, Starts: starts, Documents: documents, Scan: scan,
		})
		p.backward.Add(&op.TiedScanBackward[T]{DF: p.made(&p.also, "df", suffix, n, d), DZ: up, F: keys, Starts: starts, Documents: documents, Scan: scan})
	})
	return p.trial(Trial[T]{Upstream: []string{"z"}, Writes: []string{"f"}}, scanned)
}

func (p *packed[T]) delta(chunk int) Trial[T] {
	const h, c = 2, 12
	const d = h * c
	b := p.b
	u, beta, do := b.Normal("u", 1, p.n(), 3*d), b.Between("b", 0.2, 0.9, p.n(), h), b.Normal("do", 0.3, p.n(), d)
	conv, gain := b.Normal("conv", 0.5, 3, d, op.ConvTaps), b.Near("gain", 1, 0.3, c)
	dconv, dgain := b.Normal("dconv", 1, 3, d, op.ConvTaps), b.Normal("dgain", 1, c)
	var alone [2]T // gradients of the parameters, from all documents
	alone[0], alone[1] = b.Stale("alone.dconv", 3, d, op.ConvTaps), b.Stale("alone.dgain", c)
	p.backward.Add(&op.Copy[T]{Dst: alone[0], Src: dconv, N: 3 * d * op.ConvTaps}, &op.Copy[T]{Dst: alone[1], Src: dgain, N: c})
	p.each(func(suffix string, first, B, time int, documents T) {
		n, name := B*time, func(name string) string { return name + suffix }
		rows := func(what string, all T, width int) T {
			return p.given(&p.forward, what, suffix, all, first, n, width, false)
		}
		uRows, bRows, up := rows("u", u, 3*d), rows("b", beta, h), rows("do", do, d)
		state, tail, starts := b.Stale(name("state"), B, h, c, c), b.Stale(name("tail"), B, 3, op.ConvTail, d), b.Stale(name("starts"), B, op.Chunks(n, B, chunk), h, c, c)
		kqv, answers := p.made(&p.outputs, "kqv", suffix, n, 3*d), p.made(&p.outputs, "answers", suffix, n, d)
		p.forward.Add(&op.Zero[T]{X: state}, &op.Zero[T]{X: tail}, &op.DeltaScan[T]{
			O: p.made(&p.outputs, "o", suffix, n, d), U: uRows, Beta: bRows, Conv: conv, Gain: gain, State: state, Tail: tail, KQV: kqv, Answers: answers,
			Starts: starts, Documents: documents, Chunk: chunk, Eps: 1e-2,
		})
		to := alone
		if suffix == "" {
			to = [2]T{dconv, dgain}
		}
		p.backward.Add(&op.DeltaScanBackward[T]{
			DU: p.made(&p.also, "du", suffix, n, 3*d), DBeta: p.made(&p.also, "db", suffix, n, h), DConv: to[0], DGain: to[1], DO: up, U: uRows, Beta: bRows,
			Conv: conv, Gain: gain, KQV: kqv, Answers: answers, Starts: starts, Documents: documents, Chunk: chunk, Eps: 1e-2,
		})
	})
	p.also = append(p.also, "alone.dconv", "alone.dgain")
	t := p.trial(Trial[T]{Upstream: []string{"o"}, Writes: []string{"u", "b"}, Adds: []string{"conv", "gain"}}, Tolerance{2e-4, 1e-4, "norms"})
	same := t.Check
	t.Check = func(v Values) error {
		for _, name := range []string{"dconv", "dgain"} {
			if err := summed.compare(name, v(name), v("alone."+name)); err != nil {
				return err
			}
		}
		return same(v)
	}
	return t
}

func (p *packed[T]) gated(chunk int) Trial[T] {
	const keyHeads, heads, k, v, taps = 2, 4, 8, 5, 4
	const channels, inner = 2*keyHeads*k + heads*v, heads * v
	b := p.b
	u, bs, as, do := b.Normal("u", 1, p.n(), channels+inner), b.Normal("b", 1, p.n(), heads), b.Normal("a", 1, p.n(), heads), b.Normal("do", 1, p.n(), inner)
	conv, decay, bias, gain := b.Normal("conv", 0.6, channels, taps), b.Floats("decay", []float32{-1.7, -2e-38, -0.4, -0.9}, heads), b.Normal("bias", 1, heads), b.Near("gain", 1, 0.3, v)
	dconv, ddecay := b.Normal("dconv", 1, channels, taps), b.Normal("ddecay", 1, heads)
	alone := [2]T{b.Stale("alone.dconv", channels, taps), b.Stale("alone.ddecay", heads)} // gradients of the parameters, from all documents
	p.backward.Add(&op.Copy[T]{Dst: alone[0], Src: dconv, N: channels * taps}, &op.Copy[T]{Dst: alone[1], Src: ddecay, N: heads})
	p.each(func(suffix string, first, B, time int, documents T) {
		n, name := B*time, func(name string) string { return name + suffix }
		rows := func(what string, all T, width int) T {
			return p.given(&p.forward, what, suffix, all, first, n, width, false)
		}
		uRows, bRows, aRows, up := rows("u", u, channels+inner), rows("b", bs, heads), rows("a", as, heads), rows("do", do, inner)
		state, tail, starts := b.Stale(name("state"), B, heads, v, k), b.Stale(name("tail"), B, taps-1, channels), b.Stale(name("starts"), B, op.Chunks(n, B, chunk), heads, v, k)
		qkv := p.made(&p.outputs, "qkv", suffix, n, channels)
		p.forward.Add(&op.Zero[T]{X: state}, &op.Zero[T]{X: tail}, &op.GatedDelta[T]{
			O: p.made(&p.outputs, "o", suffix, n, inner), U: uRows, B: bRows, A: aRows, Conv: conv, Decay: decay, Bias: bias, Gain: gain, State: state, Tail: tail,
			QKV: qkv, Starts: starts, Documents: documents, KeyHeads: keyHeads, Chunk: chunk, Eps: 1e-3,
		})
		to := alone
		if suffix == "" {
			to = [2]T{dconv, ddecay}
		}
		p.backward.Add(&op.GatedDeltaBackward[T]{
			DConv: to[0], DLogDecay: to[1], DU: p.made(&p.also, "du", suffix, n, channels+inner), DB: p.made(&p.also, "db", suffix, n, heads), DA: p.made(&p.also, "da", suffix, n, heads),
			DO: up, U: uRows, B: bRows, A: aRows, Conv: conv, Decay: decay, Bias: bias, Gain: gain, QKV: qkv, Starts: starts, Documents: documents,
			KeyHeads: keyHeads, Chunk: chunk, Eps: 1e-3,
		})
	})
	p.also = append(p.also, "alone.dconv", "alone.ddecay")
	t := p.trial(Trial[T]{Upstream: []string{"o"}, Writes: []string{"u", "b", "a"}, Adds: []string{"conv"}, AddsLog: []string{"decay"}}, Tolerance{2e-4, 1e-4, "norms"})
	same := t.Check
	t.Check = func(v Values) error {
		for _, name := range []string{"dconv", "ddecay"} {
			if err := summed.compare(name, v(name), v("alone."+name)); err != nil {
				return err
			}
		}
		return same(v)
	}
	return t
}

func (p *packed[T]) attends(gate bool) Trial[T] {
	const heads, kv, c, turned = 4, 2, 12, 8
	const inner = heads * c
	wide := (heads + 2*kv) * c
	if gate {
		wide += inner
	}
	b := p.b
	qkv, do := b.Normal("qkv", 1, p.n(), wide), b.Normal("do", 1, p.n(), inner)
	angles, qgain, kgain := b.Normal("angles", 1, p.time, turned), b.Near("qgain", 1, 0.3, c), b.Near("kgain", 1, 0.3, c)
	p.each(func(suffix string, first, B, time int, documents T) {
		n, name := B*time, func(name string) string { return name + suffix }
		up := p.given(&p.forward, "do", suffix, do, first, n, inner, false)
		rows := p.given(&p.forward, "qkv", suffix, qkv, first, n, wide, true)
		keys, values, raw := b.Stale(name("keys"), B, time, kv*c), b.Stale(name("values"), B, time, kv*c), b.Stale(name("raw"), n, (heads+kv)*c)
		position, dqkv := b.IDs(name("position"), make([]uint32, B), B), p.made(&p.also, "dqkv", suffix, n, wide)
		turns := b.Ops.Rows(angles, time)
		p.forward.Add(
			&op.RoPE[T]{
				QKV: rows, QGain: qgain, KGain: kgain, Angles: turns, Position: position, Keys: keys, Values: values, Raw: raw, Documents: documents,
				Heads: heads, KVHeads: kv, Eps: 1e-3,
			},
			&op.Attention[T]{
				O: p.made(&p.outputs, "o", suffix, n, inner), QKV: rows, Keys: keys, Values: values, Position: position, Documents: documents,
				Heads: heads, KVHeads: kv, Gate: gate,
			},
		)
		p.backward.Add(
			&op.AttentionBackward[T]{DQKV: dqkv, DO: up, QKV: rows, Keys: keys, Documents: documents, Heads: heads, KVHeads: kv, Gate: gate},
			&op.RoPEBackward[T]{
				DQKV: dqkv, Raw: raw, QGain: qgain, KGain: kgain, Angles: turns, Position: position, Keys: keys, Documents: documents,
				Heads: heads, KVHeads: kv, Eps: 1e-3,
			},
		)
	})
	return p.trial(Trial[T]{Upstream: []string{"o"}, Writes: []string{"qkv"}}, scanned)
}
