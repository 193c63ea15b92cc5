// Package simd holds the inner loops of the CPU engine: matrix products, products
// with packed ternary weights, and the element-wise steps of the forward and
// backward passes, on float32 slices. On amd64 they are assembly for AVX-512 or
// AVX2, with VNNI and AMX if the machine has them; on arm64 for NEON, with
// dot-product instructions if it has them. Elsewhere they are plain Go, which is
// also the definition that the assembly is tested against.
//
// It is not a tensor library: there are no shapes beyond rows and columns, no
// memory management, and nothing here knows what a model is. Nor is it for
// unchecked input: lengths that do not match panic.
//
// Matrices are row-major. Nothing allocates after the first calls. Functions of a
// matrix (Gemm, the MatVec and Ternary families) run on all cores; those of a
// vector run on the caller's. For one instruction level, results do not depend on
// the number of cores.
//
// # Why
//
// Why a table of functions? The level is chosen once, when the program starts, and
// tests can go through all levels of the machine in one run. A level is one value
// of the table: there is one place to see what it replaces.
//
// Why generated assembly? The kernels for both register widths, with their masked
// tails, come from one description in the folder asm; registers are allocated and
// argument offsets computed by the generator. That for arm64 is asm/neon.
//
// Why are tails masked and not left to Go? So that an element's result does not
// depend on its place in the vector, and work can be divided anywhere.
package simd

import (
	"fmt"
	"sync/atomic"
)

//go:generate go run ./asm
//go:generate go run ./asm/neon

// Level is a set of instructions.
type Level int

// The levels of each kind of processor, slowest first.
const (
	Portable Level = iota // plain Go
	AVX2                  // AVX2, FMA, F16C and BMI2
	AVXVNNI               // and AVX-VNNI, which Intel's processors without AVX-512 have since 2021
	AVX512                // AVX-512 F, BW, DQ and VL
	NEON                  // what every arm64 processor has
	DotProd               // and dot products of bytes
)

func (l Level) String() string {
	switch l {
	case Portable:
		return "portable"
	case AVX2:
		return "AVX2"
	case AVXVNNI:
		return "AVX2 with VNNI"
	case AVX512:
		return "AVX-512"
	case NEON:
		return "NEON"
	case DotProd:
		return "NEON with dot products"
	}
	return fmt.Sprintf("Level(%d)", int(l))
}

// kernels are the functions that differ between levels. Their callers have
// checked all lengths; slices named together have one length.
type kernels struct {
	level Level

	dot        func(x, y []float32) float32
	sumSquares func(x []float32) float32
	maximum    func(x []float32) float32 // of at least one element
	dot3       func(x, y, z []float32) float32
	axpy       func(alpha float32, x, y []float32)
	scale      func(alpha float32, x []float32)
	add        func(dst, a, b []float32)
	mul        func(dst, a, b []float32)
	mulAdd     func(dst, a, b []float32)                          // dst += a·b
	scaledMul  func(dst []float32, alpha float32, a, b []float32) // alpha·a·b
	ger        func(w []float32, alpha float32, e, k []float32)

	expSum          func(dst, x []float32, shift float32) float64                 // dst = exp(x-shift), and its sum
	expFrom         func(dst, x []float32, limit, shift, divisor float32) float64 // see ExpFrom
	sigmoid         func(dst, x []float32)
	silu            func(dst, x []float32)
	siluBackward    func(dx, dy, x []float32)
	siluMul         func(dst, gate, up []float32)
	siluMulBackward func(dgate, dup, dact, gate, up []float32)

	rmsNormBackward func(dx, dgain, dy, x, gain []float32, rstd, pull float32)
	adamW           func(w, g, m, v []float32, gscale, keep1, add1, keep2, add2, invC2, eps, rate, shrink float32)

	dotHalf  func(x []float32, y []uint16) float32
	axpyHalf func(alpha float32, x []uint16, y []float32)
	widen    func(dst []float32, src []uint16)
	narrow   func(dst []uint16, src []float32)
	quants   [4]quantsKernels // by quants.Kind
	// dequantize sets dst = scale·(q − centre) − minimum, with q in int8, and a scale and a minimum for 16 of them: len(scales) times 16.
	dequantize func(dst []float32, q []byte, scales, minima []float32, centre float32)

	gemm gemmKernels
	// substitute subtracts from row t of x (n, cols), which begins at x[t·xStep], the rows
	// s < t times l[t·lRow+s·lStep], from the first row on. n and cols are not 0.
	substitute func(x *float32, xStep, n, cols int, l *float32, lRow, lStep int)

	// Products of a few vectors with the rows of a matrix, by the format of its weights.
	float   rowKernels[float32]
	half    rowKernels[uint16]
	bfloat  rowKernels[uint16]
	int8    rowKernels[int8]
	ternary rowKernels[byte]

	// Rows of a cache, which lie apart; nil if there is nothing better than one row at a time.
	floatCache cacheKernels[float32]
	halfCache  cacheKernels[uint16]

	group  groupKernels
	lookup *lookupKernels // of Interleaved; nil where dots or group is as fast
	dots   *dotKernels    // of Interleaved, of int8 alone or of floats too; nil where the processor has no such instruction

	// Products with vectors in int8, without and with scales of groups.
	codes, groupCodes codesKernels
	packInt8          func(dst, q *int8, chunks, units int) // see codesKernels
	absMax            func(x []float32) float32
	quantizeInt8      func(q []int8, x []float32, scale float32) // a multiple of 32 elements

	ternaryDecode   func(dst []float32, codes []byte, scale float32)
	ternaryQuantize func(codes []byte, w []float32, gamma float32)
	// magnitudes sums |w| of magnitudesGrain weights or a multiple, and finds the bits of the least |w|, minus one so that 0 counts
	// as the largest, and of the largest: as many of each as a register has lanes.
	magnitudes func(w []float32, totals *float64, least, most *uint32)

	fmaLoop func(n int) int // n rounds of multiply-adds; their number in one round
}

var (
	levels []*kernels // of this machine, slowest first
	active atomic.Pointer[kernels]
)

func init() {
	levels = append([]*kernels{&portable}, machineLevels()...)
	active.Store(levels[len(levels)-1])
}

// Known lists the levels that this kind of processor can have, slowest first.
func Known() []Level { return append([]Level{Portable}, known...) }

// Active returns the level in use: at first the best of the machine.
func Active() Level { return active.Load().level }

// Instructions names the level in use, and what the processor has beyond it.
func Instructions() string {
	k, more := active.Load(), ""
	if k.level == AVX512 && k.dots != nil {
		more = " with VNNI"
		if k.dots.amx != nil {
			more += " and AMX"
		}
	}
	return k.level.String() + more
}

// Levels lists what the machine has, slowest first.
func Levels() []Level {
	list := make([]Level, len(levels))
	for i, k := range levels {
		list[i] = k.level
	}
	return list
}

// Use makes l the level of all calls from now on, for tests and measurements. It
// fails if the machine lacks l.
func Use(l Level) error {
	for _, k := range levels {
		if k.level == l {
			active.Store(k)
			return nil
		}
	}
	return fmt.Errorf("simd: want level %v, this machine has %v", l, Levels())
}

func checkSame(op string, n int, others ...int) {
	for _, m := range others {
		if m != n {
			panic(fmt.Sprintf("simd: %s: lengths %d and %d differ", op, n, m))
		}
	}
}
