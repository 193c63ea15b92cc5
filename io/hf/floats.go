package hf

import (
	"fmt"
	"math"

	"bitgpu/io/safetensors"
	"bitgpu/io/trit"
)

// Rounding says how a weight exactly between two codes is rounded.
type Rounding int

const (
	// HalfEven is the rounding of PyTorch and so of transformers: ±0.5 becomes 0.
	HalfEven Rounding = iota
	// HalfUp is the rounding of onebitllms, with which Falcon-E was trained: 0.5 becomes 1, −0.5 becomes 0.
	HalfUp
)

// ParseRounding returns the rounding with a name: half-even or half-up.
func ParseRounding(name string) (Rounding, error) {
	switch name {
	case "half-even":
		return HalfEven, nil
	case "half-up":
		return HalfUp, nil
	}
	return 0, fmt.Errorf("got %q, want half-up or half-even", name)
}

// minMean prevents a division by zero for a matrix of zeros, as in transformers' integrations/bitnet.py.
const minMean = 1e-5

// Quantize rounds a master (out, in) as the BitNet papers and transformers do, in float32: with s = 1/max(mean|W|, 1e-5) the
// codes are clamp(round(W·s), −1, 1) and the scale is 1/s. The mean is summed in float64, because PyTorch's result depends on
// its number of threads.
func Quantize(t safetensors.Tensor, rounding Rounding) (*trit.Matrix, error) {
	sum := 0.0
	err := eachRow(t, func(_ int, w []float32) {
		for _, x := range w {
			sum += math.Abs(float64(x))
		}
	})
	if err != nil {
		return nil, err
	}
	rows, cols := t.Shape[0], t.Shape[1]
	s := 1 / max(float32(sum/float64(rows*cols)), minMean)
	m := perMatrix(t.Name, rows, cols, 1/s)
	err = eachRow(t, func(r int, w []float32) {
		row := m.Row(r)
		for c, x := range w {
			trit.Set(row, c, rounding.round(float32(x*s)))
		}
	})
	if err != nil {
		return nil, err
	}
	return m, m.Check()
}

// round returns the code of v; HalfUp is floor(v + 0.5) in float32, where the sum is rounded too.
func (r Rounding) round(v float32) int {
	low, high := v < -0.5, v > 0.5
	if r == HalfUp {
		up := float32(v + 0.5)
		low, high = up < 0, up >= 1
	}
	switch {
	case high:
		return 1
	case low:
		return -1
	}
	return 0
}

// eachRow calls with for each row of a matrix of floats, which must be finite. Only one row is in memory at a time.
func eachRow(t safetensors.Tensor, with func(r int, w []float32)) error {
	if len(t.Shape) != 2 || t.Len() == 0 {
		return fmt.Errorf("shape %s, want a matrix", safetensors.FormatShape(t.Shape))
	}
	row := safetensors.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape[1:]}
	size := t.Shape[1] * t.DType.Size()
	for r := range t.Shape[0] {
		row.Data = t.Data[r*size : (r+1)*size]
		w, ok := row.FloatView()
		if !ok {
			var err error
			if w, err = row.Float32s(); err != nil {
				return err
			}
		}
		for c, x := range w {
			if x != x || math.IsInf(float64(x), 0) {
				return fmt.Errorf("row %d, input %d is %v, want a finite number", r, c, x)
			}
		}
		with(r, w)
	}
	return nil
}

// groupSize is how many inputs of a row share a scale in Bonsai's models.
const groupSize = 128

// minShared is how many weights at least must share a scale: a few numbers could always be explained by scales of their own.
const minShared = 32

// Unpacked finds the codes and scales of floats that are already ternary: a matrix (out, in) whose weights are {−a, 0, a}
// with one a for all of it, for each of several equal blocks of rows or columns (TriLM has one per shard), or for each 128
// inputs of a row (Bonsai). It takes the fewest scales that give every weight bit for bit. If there are none, the error says
// which weight is how far off for the smallest groups.
func Unpacked(t safetensors.Tensor) (*trit.Matrix, error) {
	if len(t.Shape) != 2 || t.Len() == 0 { // checked before memory is allocated for rows
		return nil, fmt.Errorf("shape %s, want a matrix", safetensors.FormatShape(t.Shape))
	}
	rows, cols := t.Shape[0], t.Shape[1]
	group := groupSize
	if cols%group != 0 {
		group = cols
	}
	groups := cols / group
	byRow, byCol, byGroup := make([]float32, rows), make([]float32, cols), make([]float32, rows*groups)
	err := eachRow(t, func(r int, w []float32) {
		for c, x := range w {
			a := abs(x)
			byRow[r], byCol[c], byGroup[r*groups+c/group] = max(byRow[r], a), max(byCol[c], a), max(byGroup[r*groups+c/group], a)
		}
	})
	if err != nil {
		return nil, err
	}
	rowsFit, colsFit, groupsFit := true, true, true
	off := -1.0 // the largest distance of a weight from its group's two magnitudes, relative to the larger one
	var worst error
	err = eachRow(t, func(r int, w []float32) {
		for c, x := range w {
			a := abs(x)
			if a == 0 {
				continue
			}
			rowsFit = rowsFit && a == byRow[r]
			colsFit = colsFit && a == byCol[c]
			if d := byGroup[r*groups+c/group]; a != d {
				groupsFit = false
				if far := float64(min(a, d-a)) / float64(d); far > off {
					off = far
					first := c / group * group
					worst = fmt.Errorf("is not ternary: row %d, input %d is %v, neither 0 nor ±%v, the largest of inputs %d to %d (off by %.3g %%)",
						r, c, x, d, first, first+group-1, 100*far)
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	m := &trit.Matrix{Name: t.Name, Rows: rows, Cols: cols}
	consider := func(rowBlock, colBlock int, scales []float32) {
		if len(scales)*minShared <= rows*cols && (m.Scales == nil || len(scales) < len(m.Scales)) {
			m.RowBlock, m.ColBlock, m.Scales = rowBlock, colBlock, scales
		}
	}
	if rowsFit {
		block, scales := blocks(byRow)
		consider(block, cols, scales)
	}
	if colsFit {
		block, scales := blocks(byCol)
		consider(rows, block, scales)
	}
	if groupsFit {
		consider(1, group, byGroup)
	}
	switch {
	case m.Scales == nil && groupsFit:
		return nil, fmt.Errorf("is not ternary: fewer than %d weights share a magnitude", minShared)
	case m.Scales == nil:
		return nil, worst
	}
	m.Codes = trit.Zeros(rows, cols)
	err = eachRow(t, func(r int, w []float32) {
		row := m.Row(r)
		for c, x := range w {
			switch {
			case x > 0:
				trit.Set(row, c, 1)
			case x < 0:
				trit.Set(row, c, -1)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return m, m.Check()
}

func abs(x float32) float32 { return float32(math.Abs(float64(x))) }

// blocks finds the longest equal blocks within which all magnitudes that are not zero are equal, and returns those
// magnitudes.
func blocks(magnitudes []float32) (length int, scales []float32) {
	n := len(magnitudes)
	for length = n; length > 1; length-- {
		if n%length != 0 {
			continue
		}
		if scales = uniform(magnitudes, length); scales != nil {
			return length, scales
		}
	}
	return 1, magnitudes
}

// uniform returns the single magnitude of each block of a length, or nil if a block has two.
func uniform(magnitudes []float32, length int) []float32 {
	scales := make([]float32, len(magnitudes)/length)
	for i, a := range magnitudes {
		switch s := &scales[i/length]; {
		case a == 0 || a == *s:
		case *s == 0:
			*s = a
		default:
			return nil
		}
	}
	return scales
}
