package public

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"bitgpu/io/ggml"
	"bitgpu/io/regular"
	"bitgpu/io/trit"
	"bitgpu/nn/op"

	"github.com/x448/float16"
)

// rowsOf is a ternary matrix in a file. Its rows are copied once, to where they belong.
type rowsOf struct {
	codes func(dst []byte, r int) // writes the packed codes of row r of the file, unchecked
	whole []byte                  // all codes, where they have already been copied
	group int                     // how many inputs share a scale
	alike int                     // how many rows share a scale
	// Either scales (rows/alike, cols/group), or halves, which writes the float16 bits of a row where alike is 1.
	scales []float32
	halves func(dst []uint16, r int)

	order  []int // the rows to take, nil: all in order
	blocks []int // the columns to take, in blocks of `width`, nil: all in order
	width  int
	shared int // how many inputs share a scale in that order; 0: group
}

// ofTrit takes a matrix that has been checked.
func ofTrit(m *trit.Matrix) *rowsOf {
	return &rowsOf{
		codes: func(dst []byte, r int) { copy(dst, m.Row(r)) }, whole: m.Codes, group: m.ColBlock, alike: m.RowBlock, scales: m.Scales,
	}
}

// ofGGML takes a matrix of a GGUF file.
func ofGGML(m *ggml.Matrix) (*rowsOf, error) {
	if m.Layout == ggml.LayoutI2_S {
		t, err := m.Ternary()
		if err != nil {
			return nil, err
		}
		return ofTrit(t), nil
	}
	if err := m.Packable(); err != nil {
		return nil, err
	}
	group, _ := m.Layout.Block()
	return &rowsOf{codes: m.PackedRow, group: group, alike: 1, halves: m.HalfScales}, nil
}

// oneScale returns the scale of a ternary part, if it has just one. A block without one, whose weights are all zero, has any.
func (x *part) oneScale() (one float32, ok bool) {
	t := x.ternary
	if t.halves == nil {
		return t.scales[0], len(t.scales) == 1
	}
	halves, codes := make([]uint16, x.cols/t.group), make([]byte, trit.RowBytes(x.cols))
	for r := range x.rows {
		t.halves(halves, r)
		t.codes(codes, r)
		for i, half := range halves {
			scale := float16.Frombits(half).Float32()
			if scale == 0 && zeros(codes[i*t.group/4:(i+1)*t.group/4]) {
				continue
			}
			if scale == 0 || one != 0 && scale != one {
				return 0, false
			}
			one = scale
		}
	}
	return one, true
}

// pick selects and reorders rows.
func (t *rowsOf) pick(order []int) {
	if t.order != nil {
		for i, r := range order {
			order[i] = t.order[r]
		}
	}
	t.order = order
}

// row returns the file's row that row i stands for.
func (t *rowsOf) row(i int) int {
	if t.order != nil {
		return t.order[i]
	}
	return i
}

// pickColumns reorders blocks of `width` columns of a ternary part: block i of the result is block order[i].
func (x *part) pickColumns(order []int, width int) error {
	t := x.ternary
	switch {
	case t == nil:
		return fmt.Errorf("%s: got floats, want ternary weights", x.name)
	case len(order)*width != x.cols || width%4 != 0:
		return fmt.Errorf("%s: got %d inputs, want %d heads of a multiple of 4", x.name, x.cols, len(order))
	}
	t.blocks, t.width = order, width
	if t.group != x.cols { // a group of the file may hold heads that are not neighbours here
		t.shared = gcd(t.group, width)
	}
	return nil
}

// gcd returns the greatest number that divides both.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// each returns how many inputs share a scale in the order of the tensor.
func (t *rowsOf) each() int { return cmp.Or(t.shared, t.group) }

// ternaryTensor fills a host tensor with ternary parts. Where all rows have one scale each it has γ, otherwise scales of
// groups.
func ternaryTensor(h *op.HostTensor, parts []*part) error {
	h.Format, h.Absmean = op.Ternary, true
	cols := h.Shape[1]
	group := cols
	for _, x := range parts {
		if x.ternary == nil {
			return fmt.Errorf("%s: got floats, want ternary weights as in %s", x.name, parts[0].name)
		}
		group = min(group, x.ternary.each())
	}
	const least = 32 // the kernels take this many at once
	if group != cols && group%least != 0 {
		return fmt.Errorf("%s: got a scale each %d inputs, want a multiple of %d", parts[0].name, group, least)
	}
	for _, x := range parts {
		if x.ternary.each()%group != 0 {
			return fmt.Errorf("%s: got a scale each %d inputs beside one each %d in the same product, want multiples", x.name, x.ternary.each(), group)
		}
	}
	if t := parts[0].ternary; len(parts) == 1 && t.whole != nil && t.order == nil && t.blocks == nil {
		h.Codes = t.whole
	} else {
		h.Codes = make([]byte, h.Shape[0]*trit.RowBytes(cols))
	}
	if group == cols {
		var err error
		if h.Scales, err = rowScales(parts); err != nil {
			return err
		}
	} else {
		h.Absmean, h.Group = false, group
		h.GroupScales = make([]uint16, h.Shape[0]*cols/group)
	}
	first := 0
	for _, x := range parts {
		if err := x.fill(h, first); err != nil {
			return err
		}
		first += x.rows
	}
	if group == 64 && cols%128 == 0 {
		mergePairs(h) // files with groups of 64 store each scale twice
	}
	return nil
}

// fill writes the codes, and the scales of groups, into the rows of a host tensor starting at first.
func (x *part) fill(h *op.HostTensor, first int) error {
	t, stride := x.ternary, trit.RowBytes(x.cols)
	kept := len(h.Codes) > 0 && len(t.whole) == len(h.Codes) && &t.whole[0] == &h.Codes[0]
	return inPieces(x.rows, stride, func(from, to int) error {
		row, scales := make([]byte, stride), make([]uint16, x.cols/t.group)
		for i := from; i < to && !kept; i++ {
			dst := h.Codes[(first+i)*stride : (first+i+1)*stride]
			if t.blocks == nil {
				t.codes(dst, t.row(i))
				continue
			}
			t.codes(row, t.row(i))
			for j, b := range t.blocks {
				copy(dst[j*t.width/4:(j+1)*t.width/4], row[b*t.width/4:])
			}
		}
		if err := trit.CheckCodes(h.Codes[(first+from)*stride:(first+to)*stride], x.cols, from); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
		if h.Group == 0 {
			return nil
		}
		n := x.cols / h.Group
		for i := from; i < to; i++ {
			if err := t.halfRow(scales, t.row(i)); err != nil {
				return fmt.Errorf("%s: row %d: %w", x.name, i, err)
			}
			dst := h.GroupScales[(first+i)*n : (first+i+1)*n]
			if t.blocks == nil && t.group == h.Group {
				copy(dst, scales)
				continue
			}
			for j := range dst {
				c := j * h.Group
				if t.blocks != nil {
					c = t.blocks[c/t.width]*t.width + c%t.width
				}
				dst[j] = scales[c/t.group]
			}
		}
		return nil
	})
}

// halfRow writes the scales of a row of the file as float16.
func (t *rowsOf) halfRow(dst []uint16, r int) error {
	if t.halves != nil {
		t.halves(dst, r)
		if bad := firstNotFinite(dst, op.F16); bad >= 0 {
			return fmt.Errorf("scale %d is %v, want a finite number", bad, float16.Frombits(dst[bad]))
		}
		return nil
	}
	for i := range dst {
		scale := t.scales[r/t.alike*len(dst)+i]
		half := float16.Fromfloat32(scale)
		if half.Float32() != scale {
			return fmt.Errorf("got the scale %v, want one that float16 can hold", scale)
		}
		dst[i] = half.Bits()
	}
	return nil
}

// rowScales returns the γ: one per part where its rows all have the same, otherwise one per row.
func rowScales(parts []*part) (scales []float32, err error) {
	whole := true
	for _, x := range parts {
		whole = whole && x.ternary.halves == nil && len(x.ternary.scales) == 1 && x.rows == parts[0].rows
	}
	for _, x := range parts {
		t := x.ternary
		if whole {
			scales = append(scales, t.scales[0])
			continue
		}
		for i := range x.rows {
			if t.halves == nil {
				scales = append(scales, t.scales[t.row(i)/t.alike])
				continue
			}
			var half [1]uint16
			if err := t.halfRow(half[:], t.row(i)); err != nil {
				return nil, fmt.Errorf("%s: row %d: %w", x.name, i, err)
			}
			scales = append(scales, float16.Frombits(half[0]).Float32())
		}
	}
	return scales, nil
}

// mergePairs puts two neighbouring groups of inputs under one scale where that changes no weight: where their scales are
// equal, or one has only zeros.
func mergePairs(h *op.HostTensor) {
	bytes := h.Group / 4
	empty := func(group int) bool { return zeros(h.Codes[group*bytes : (group+1)*bytes]) }
	merged := make([]uint16, len(h.GroupScales)/2)
	for i := range merged {
		a, b := h.GroupScales[2*i], h.GroupScales[2*i+1]
		switch {
		case a == b || empty(2*i+1):
			merged[i] = a
		case empty(2 * i):
			merged[i] = b
		default:
			return
		}
	}
	if h.Group, h.GroupScales = 2*h.Group, merged; h.Group < h.Shape[1] {
		return
	}
	h.Absmean, h.Group, h.GroupScales, h.Scales = true, 0, nil, make([]float32, len(merged))
	for i, half := range merged {
		h.Scales[i] = float16.Frombits(half).Float32()
	}
}

// zeros reports whether packed codes are all those of zero weights.
func zeros(codes []byte) bool {
	return !slices.ContainsFunc(codes, func(b byte) bool { return b != 0b01010101 })
}

// inPieces calls with for ranges that cover 0 to n, concurrently where there is enough to do; each number stands for `bytes`
// bytes of work.
func inPieces(n, bytes int, with func(from, to int) error) error {
	const least = 1 << 18 // that another goroutine pays off for
	each := max(least/max(bytes, 1), 1)
	if n <= each {
		return with(0, n)
	}
	var lock sync.Mutex
	var first error
	next := 0
	take := func() (from, to int) {
		lock.Lock()
		defer lock.Unlock()
		if first != nil {
			return n, n
		}
		from = next
		next = min(next+each, n)
		return from, next
	}
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (n+each-1)/each) {
		all.Go(func() {
			for from, to := take(); from < to; from, to = take() {
				if err := regular.Guard(func() error { return with(from, to) }); err != nil {
					lock.Lock()
					if first == nil {
						first = err
					}
					lock.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	return first
}
