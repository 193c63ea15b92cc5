package simd

import (
	"os"
	"testing"
	"unsafe"

	"bitgpu/nn/ternary"

	"golang.org/x/sys/unix"
)

// atEdge copies x to memory whose next byte cannot be read, like the byte after the
// last page of a mapped file.
func atEdge[T any](t *testing.T, x []T) []T {
	t.Helper()
	size := len(x) * int(unsafe.Sizeof(*new(T)))
	page := os.Getpagesize()
	body := (size/page + 1) * page
	memory, err := unix.Mmap(-1, 0, body+page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(memory) })
	if err := unix.Mprotect(memory[body:], unix.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	edge := unsafe.Slice((*T)(unsafe.Pointer(&memory[body-size])), len(x))
	copy(edge, x)
	return edge
}

// TestNothingIsReadBeyondTheEnd would end in a segmentation fault.
func TestNothingIsReadBeyondTheEnd(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		for cols := 1; cols <= 70; cols++ {
			m := randomMatrix(5, cols)
			m.float, m.half, m.bfloat, m.int8 = atEdge(t, m.float), atEdge(t, m.half), atEdge(t, m.bfloat), atEdge(t, m.int8)
			m.codes, m.scale = atEdge(t, m.codes), atEdge(t, m.scale)
			for _, op := range multiplications {
				for _, n := range []int{1, 4, 5} {
					op.run(&m, atEdge(t, make([]float32, 5*n)), atEdge(t, random(n*cols, 1)), n)
				}
			}
			TernaryDecode(m.float, m.codes, m.rows, m.cols)
			TernaryQuantize(m.codes, m.float, m.rows, m.cols, 1)
			AddMagnitudes(new(ternary.Sum), m.float)

			for _, op := range operations {
				var out, in [][]float32
				for range op.outs {
					out = append(out, atEdge(t, random(cols, 2)))
				}
				for range op.ins {
					in = append(in, atEdge(t, random(cols, 3)))
				}
				op.run(active.Load(), out, in)
			}
			x := atEdge(t, random(cols, 4))
			Dot(x, x)
			Max(x)
			h := atEdge(t, randomHalves(cols, 5))
			axpyF16(dotF16(x, h), h, x)
			Float32s(x, h)
			Float16s(h, x)
			q := atEdge(t, randomInt8(5*cols, 6))
			QuantizeI8(q[:cols], x)
			TernaryMatMulI8(atEdge(t, make([]float32, 25)), m.codes, q, atEdge(t, divisors(5)), 5, cols, 5)
			active.Load().dot3(x, x, x)
			Ger(m.float, 1, atEdge(t, random(5, 5)), x)
			Substitute(m.float, atEdge(t, random(25, 6)), m.rows, cols, false)
			Substitute(m.float, atEdge(t, random(25, 6)), m.rows, cols, true)
		}
		for _, group := range groupLengths {
			m := randomGrouped(5, 2*group, group)
			m.codes, m.scales = atEdge(t, m.codes), atEdge(t, m.scales)
			for _, n := range []int{1, 5} {
				x, y := atEdge(t, random(n*m.cols, 1)), atEdge(t, make([]float32, 5*n))
				TernaryGroupMatMul(y, m.codes, m.scales, group, x, m.rows, m.cols, n)
				GemmTernaryGroup(n, m.rows, m.cols, x, m.cols, m.codes, m.scales, group, 0, y, m.rows)
				wide := randomGrouped(lookupRows, m.cols, group)
				if i := Interleave(atEdge(t, wide.codes), atEdge(t, wide.scales), group, wide.rows, wide.cols, false, false); i != nil {
					i.codes, i.scales = atEdge(t, i.codes), atEdge(t, i.scales)
					i.MatMul(atEdge(t, make([]float32, n*wide.rows)), x, n)
				}
				q, scales := atEdge(t, randomInt8(n*m.cols, 1)), atEdge(t, divisors(n))
				TernaryGroupMatMulI8(y, m.codes, m.scales, group, q, scales, m.rows, m.cols, n)
			}
		}
		for size := 1; size <= 40; size++ {
			for form := range 4 {
				p := product{size, 41 - size, 3 + size/2, form&1 != 0, form&2 != 0, 1, 1}
				a, b, c, lda, ldb, ldc := p.operands(0)
				Gemm(p.m, p.n, p.k, 1, atEdge(t, a), lda, p.transA, atEdge(t, b), ldb, p.transB, 1, atEdge(t, c), ldc)
				rows, cols := p.k, p.n
				if p.transB {
					rows, cols = p.n, p.k
				}
				codes := atEdge(t, randomMatrix(rows, cols).codes)
				GemmTernary(p.m, p.n, p.k, 1, atEdge(t, a), lda, p.transA, codes, p.transB, 1, atEdge(t, c), ldc)
			}
		}
	})
}
