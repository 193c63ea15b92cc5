package simd

import (
	"fmt"
	"math"
	"slices"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/ternary"
)

// ternaryStride is the number of bytes in a packed row.
func ternaryStride(cols int) int { return (cols + 3) / 4 }

// TernaryDecode sets dst (rows, cols) to the weights −1, 0, +1 of packed codes. The
// code 3, which no writer produces, gives 0.
func TernaryDecode(dst []float32, codes []byte, rows, cols int) {
	checkTernary("TernaryDecode", len(dst), len(codes), rows, cols)
	k := active.Load()
	if cols%4 == 0 { // rows follow each other without padding
		rows, cols = 1, rows*cols
	}
	j := codeJobs.get()
	*j = codeJob{k: k, w: dst, codes: codes, rows: rows, cols: cols}
	j.run()
}

// TernaryQuantize packs Q = clamp(round(W/γ), −1, +1), halves rounded away from
// zero, of w (rows, cols) into codes; the padding of a row gets code 1. The quotient
// is rounded to float32 first, as a division in float32 is. A NaN gives 0.
func TernaryQuantize(codes []byte, w []float32, rows, cols int, gamma float32) {
	checkTernary("TernaryQuantize", len(w), len(codes), rows, cols)
	k := active.Load()
	if cols%4 == 0 {
		rows, cols = 1, rows*cols
	}
	j := codeJobs.get()
	*j = codeJob{k: k, w: w, codes: codes, rows: rows, cols: cols, gamma: gamma, encode: true}
	j.run()
}

// AddMagnitudes adds |w| to sum, as [ternary.Sum.Add] does.
func AddMagnitudes(sum *ternary.Sum, w []float32) {
	k, m := active.Load(), magnitudesRooms.get()
	for len(w) >= magnitudesGrain {
		part := w[:min(len(w)/magnitudesGrain*magnitudesGrain, magnitudesPart)]
		w = w[len(part):]
		if total, least, most := m.of(k, part); !sum.AddTotal(total, len(part), least, most) {
			sum.Add(part)
		}
	}
	magnitudesRooms.put(m)
	sum.Add(w)
}

const (
	magnitudesGrain = 32      // weights that a kernel takes in one round
	magnitudesPart  = 1 << 10 // added up together: of more, some would often be too small beside the largest to be exact
)

// magnitudes holds the results of kernels.magnitudes, lane by lane.
type magnitudes struct {
	totals      [8]float64
	least, most [16]uint32
}

var magnitudesRooms = newFreeList[magnitudes]()

// of returns Σ|w| in float64, and the bits of the least |w| that is not 0 and of the largest.
func (m *magnitudes) of(k *kernels, w []float32) (total float64, least, most uint32) {
	*m = magnitudes{}
	for i := range m.least {
		m.least[i] = math.MaxUint32
	}
	k.magnitudes(w, &m.totals[0], &m.least[0], &m.most[0])
	for _, t := range m.totals {
		total += t
	}
	return total, slices.Min(m.least[:]) + 1, slices.Max(m.most[:])
}

func checkTernary(op string, w, codes, rows, cols int) {
	if rows < 0 || cols < 0 || w != rows*cols || codes != rows*ternaryStride(cols) {
		panic(fmt.Sprintf("simd: %s: %d weights, %d bytes of codes for rows %d, cols %d (want %d, %d)",
			op, w, codes, rows, cols, rows*cols, rows*ternaryStride(cols)))
	}
}

// codeJob turns weights into codes or back: one row in pieces of codeGrain
// columns, or several rows.
type codeJob struct {
	k          *kernels
	w          []float32
	codes      []byte
	rows, cols int
	gamma      float32
	encode     bool
}

var codeJobs = newFreeList[codeJob]()

const codeGrain = 1 << 14 // weights; a multiple of 4

func (j *codeJob) run() {
	if j.rows == 1 {
		parallel.For(j.cols, codeGrain, j)
	} else if j.cols > 0 {
		parallel.For(j.rows, codeGrain/j.cols+1, j)
	}
	*j = codeJob{}
	codeJobs.put(j)
}

// Run converts the columns start to end of a single row, or the rows start to end.
func (j *codeJob) Run(start, end int) {
	if j.rows == 1 {
		j.piece(j.w[start:end], j.codes[start/4:(end+3)/4])
		return
	}
	stride := ternaryStride(j.cols)
	for r := start; r < end; r++ {
		j.piece(j.w[r*j.cols:(r+1)*j.cols], j.codes[r*stride:(r+1)*stride])
	}
}

func (j *codeJob) piece(w []float32, codes []byte) {
	if j.encode {
		j.k.ternaryQuantize(codes, w, j.gamma)
	} else {
		j.k.ternaryDecode(w, codes, 1)
	}
}
