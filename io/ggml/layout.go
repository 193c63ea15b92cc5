package ggml

import "fmt"

// Layout says how to read the bytes of a tensor. Zero is none.
//
// I2_S is in the form of bitnet.cpp's converter and of all published files, with 128 codes in 32 bytes. Since November 2025
// the program writes another form on ARM processors, with 64 codes in 16 bytes, and nothing in a file tells the two apart.
type Layout uint8

// The layouts. Blocks do not cross rows, except those of I2_S.
const (
	LayoutF32       Layout = iota + 1
	LayoutF16              // IEEE 754 half precision
	LayoutBF16             // the upper half of a float32
	LayoutQ8_0             // 32 int8 with a float16 scale
	LayoutQ4_0             // 32 nibbles, minus 8, with a float16 scale
	LayoutQ4_K             // 256 nibbles with a scale and a minimum per 32
	LayoutQ6_K             // 256 weights of 6 bits with a scale per 16
	LayoutTQ1_0            // 256 trits, five per byte, with a float16 scale
	LayoutTQ2_0            // 256 codes of 2 bits with a float16 scale
	LayoutI2_S             // codes of 2 bits with one float32 scale per tensor, by bitnet.cpp
	LayoutQ2_0             // 64 codes of 2 bits after a float16 scale
	LayoutPQ2_0            // 128 codes of 2 bits after a float16 scale; also type 42 in Prism's files before July 2026
	LayoutPTQ1_0           // 128 trits, five per byte, with a float16 scale
	LayoutTQ2_0G128        // 128 codes of 2 bits before a float16 scale; type 42 in oxibonsai's files
)

// format describes a layout: its blocks and, for a ternary one, where weights and scale are.
type format struct {
	kind
	typ     Type // in files
	odd     bool // typ alone does not identify it
	places  []place
	ordered bool // weights are in the order of package trit
	trits   bool // five codes per byte instead of four
	runs    []run
	shifts  []uint8 // of the n-th weights of a run, unless they are trits
	scaleAt int     // offset of the float16
	floats  func(dst []float32, block []byte)
	stepped *stepped // of whole numbers, from which floats are computed
}

// place is where a code is: the byte, and in it the lower of two bits, or the digit counted from the most significant.
type place struct{ at, digit uint8 }

var layouts = [...]format{
	LayoutF32:       {kind: kinds[F32], typ: F32, floats: f32},
	LayoutF16:       {kind: kinds[F16], typ: F16, floats: f16},
	LayoutBF16:      {kind: kinds[BF16], typ: BF16, floats: bf16},
	LayoutQ8_0:      whole(format{kind: kinds[Q8_0], typ: Q8_0}, stepped{signed: true, group: 32, numbers: q8_0, steps: alone}),
	LayoutQ4_0:      whole(format{kind: kinds[Q4_0], typ: Q4_0}, stepped{centre: 8, group: 32, numbers: q4_0, steps: alone}),
	LayoutQ4_K:      whole(format{kind: kinds[Q4_K], typ: Q4_K}, stepped{group: 32, numbers: q4_k, steps: q4_kSteps}),
	LayoutQ6_K:      whole(format{kind: kinds[Q6_K], typ: Q6_K}, stepped{centre: 32, group: 16, signed: true, numbers: q6_k, steps: q6_kSteps}),
	LayoutTQ1_0:     strided(format{kind: kinds[TQ1_0], typ: TQ1_0, trits: true, scaleAt: 52}, run{0, 32, 5}, run{32, 16, 5}, run{48, 4, 4}),
	LayoutTQ2_0:     strided(format{kind: kinds[TQ2_0], typ: TQ2_0, scaleAt: 64, shifts: []uint8{0, 2, 4, 6}}, run{0, 32, 4}, run{32, 32, 4}),
	LayoutI2_S:      strided(format{kind: kinds[I2_S], typ: I2_S, shifts: []uint8{6, 4, 2, 0}}, run{0, 32, 4}),
	LayoutQ2_0:      {kind: kinds[Q2_0], typ: Q2_0, ordered: true, places: inOrder(2, 64)},
	LayoutPQ2_0:     {kind: kinds[PQ2_0], typ: PQ2_0, ordered: true, places: inOrder(2, 128)},
	LayoutPTQ1_0:    strided(format{kind: kinds[PTQ1_0], typ: PTQ1_0, trits: true, scaleAt: 26}, run{0, 16, 5}, run{16, 8, 5}, run{24, 2, 4}),
	LayoutTQ2_0G128: {kind: kind{"TQ2_0_G128", 128, 34}, typ: Q2_0, odd: true, scaleAt: 32, ordered: true, places: inOrder(0, 128)},
}

// whole returns a format of whole numbers.
func whole(f format, s stepped) format {
	f.stepped, f.floats = &s, s.floats
	return f
}

// run is a range of bytes with several weights in each. Neighbouring weights are in neighbouring bytes.
type run struct{ at, bytes, weights int }

// strided places the weights of runs; the n-th weights of a run's bytes are at shifts[n], or are digit n.
func strided(f format, runs ...run) format {
	f.runs = runs
	for _, r := range runs {
		for n := range r.weights {
			digit := uint8(n)
			if f.shifts != nil {
				digit = f.shifts[n]
			}
			for m := range r.bytes {
				f.places = append(f.places, place{uint8(r.at + m), digit})
			}
		}
	}
	return f
}

// inOrder places weights in order, two bits each from the lowest up, starting at byte at.
func inOrder(at, weights int) []place {
	var all []place
	for i := range weights {
		all = append(all, place{uint8(at + i/4), uint8(2 * (i % 4))})
	}
	return all
}

func (l Layout) format() *format { return &layouts[l] }

// Known reports whether l is one of the layouts.
func (l Layout) Known() bool { return 0 < l && int(l) < len(layouts) }

// String returns the layout's name, which is that of its type if the type has only one layout.
func (l Layout) String() string {
	if !l.Known() {
		return fmt.Sprintf("layout %d", uint8(l))
	}
	return l.format().name
}

// Type returns the number that files use for the layout.
func (l Layout) Type() Type { return l.format().typ }

// Ternary reports whether weights are codes −1, 0, +1 with scales.
func (l Layout) Ternary() bool { return l.Known() && l.format().places != nil }

// Stepped reports whether weights are whole numbers with scales, which [Matrix.Numbers] and [Matrix.Steps] return.
func (l Layout) Stepped() bool { return l.Known() && l.format().stepped != nil }

// Block returns how many weights share a scale, and their size in bytes; for I2_S the scale is the whole tensor's.
func (l Layout) Block() (weights, bytes int) { return l.format().weights, l.format().bytes }

// Bytes returns the size of rows of cols weights, as [Type.Bytes] does.
func (l Layout) Bytes(rows, cols int) (int, error) {
	if !l.Known() {
		return 0, fmt.Errorf("%v is not known", l)
	}
	return l.format().size(rows, cols, l == LayoutI2_S)
}

// digits are the five base-3 digits of a byte b, the n-th ((b·3ⁿ mod 256)·3) >> 8.
var digits = func() (all [256][5]uint8) {
	for b := range all {
		power := 1
		for n := range all[b] {
			all[b][n] = uint8((b * power & 255) * 3 >> 8)
			power *= 3
		}
	}
	return all
}()

// unpack writes the codes of a block, one per byte.
func (f *format) unpack(codes, block []byte) {
	if f.trits {
		for i, p := range f.places {
			codes[i] = digits[block[p.at]][p.digit]
		}
		return
	}
	for i, p := range f.places {
		codes[i] = block[p.at] >> p.digit & 3
	}
}

// powers has the powers of 3 by digit.
var powers = [5]uint16{81, 27, 9, 3, 1}

// pack writes a block's codes, each below 3, into block without changing its other bytes. A byte of trits is ceil(v·256/243),
// where v is the number that its five digits form.
func (f *format) pack(block, codes []byte) {
	var sums [256]uint16
	for i, p := range f.places {
		if f.trits {
			sums[p.at] += uint16(codes[i]) * powers[p.digit]
		} else {
			sums[p.at] |= uint16(codes[i]) << p.digit
		}
	}
	first, last := f.places[0].at, f.places[len(f.places)-1].at
	for at := int(first); at <= int(last); at++ {
		v := sums[at]
		if f.trits {
			v = uint16((uint32(v)*256 + 242) / 243)
		}
		block[at] = byte(v)
	}
}
