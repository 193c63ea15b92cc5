package simd

// GemmTernary is Gemm for packed ternary B, whose rows each begin at a byte: (k, n), or
// with transB (n, k). The codes are turned into floats while panels are packed; there is
// never a whole matrix of floats in memory.
func GemmTernary(m, n, k int, alpha float32, a []float32, lda int, transA bool, b []byte, transB bool, beta float32, c []float32, ldc int) {
	checkOperand("A", m, k, len(a), lda, transA)
	checkOperand("C", m, n, len(c), ldc, false)
	rows, cols := k, n
	if transB {
		rows, cols = n, k
	}
	checkTernary("GemmTernary", rows*cols, len(b), rows, cols)
	multiply(operands{
		m: m, n: n, k: k,
		alpha: alpha, a: a, lda: lda, transA: transA, codes: b, transB: transB,
		c: c, ldc: ldc,
	}, beta)
}

// GemmTernaryGroup sets C = A·Wᵀ + beta·C for C (m, n), A (m, k) and packed ternary W (n, k) with a
// scale for each group of weights, as of TernaryGroupMatMul.
func GemmTernaryGroup(m, n, k int, a []float32, lda int, codes []byte, scales []uint16, group int, beta float32, c []float32, ldc int) {
	checkOperand("A", m, k, len(a), lda, false)
	checkOperand("C", m, n, len(c), ldc, false)
	checkTernary("GemmTernaryGroup", n*k, len(codes), n, k)
	checkGroups("GemmTernaryGroup", len(scales), group, n, k)
	multiply(operands{
		m: m, n: n, k: k,
		alpha: 1, a: a, lda: lda, codes: codes, scales: scales, group: group, transB: true,
		c: c, ldc: ldc,
	}, beta)
}

// decoded is room for the lines of a panel as floats, their beginnings in different sets
// of the cache.
type decoded [maxWidth * decodedStep]float32

const (
	maxWidth    = 32 // of a tile
	decodedStep = blockK + 8
)

var decodedRooms = newFreeList[decoded]()

// packCodes packs a panel of codes. If a step begins within a byte, the codes before it
// are decoded, too, and left out.
func (p *packPhase) packCodes(dst []float32, first, count int) {
	width := p.kern.width
	if !p.transB {
		p.packCodeRows(dst, first, count)
		return
	}
	lead := p.step % 4
	room := decodedRooms.get()
	for i := range count {
		p.decodeLine(room[i*decodedStep:][:lead+p.steps], first+i, p.step-lead)
	}
	for i := 0; i < count; i += p.kern.lanes {
		p.kern.transpose(&dst[i], width, &room[i*decodedStep+lead], decodedStep, min(p.kern.lanes, count-i), p.steps)
	}
	decodedRooms.put(room)
}

// decodeLine sets dst to weights of a line of B, starting with one that begins a byte.
func (p *packPhase) decodeLine(dst []float32, line, from int) {
	codes := p.codes[line*ternaryStride(p.k)+from/4:]
	if p.scales == nil {
		p.kern.decode(dst, codes, 1)
		return
	}
	for len(dst) > 0 {
		n := min(p.group-from%p.group, len(dst))
		p.kern.decode(dst[:n], codes, half(p.scales[line*(p.k/p.group)+from/p.group]))
		dst, codes, from = dst[n:], codes[ceilDiv(n, 4):], from+n
	}
}

// packCodeRows packs the columns first to first+count of rows of codes; first is that of
// a panel, so it begins at a byte.
func (p *packPhase) packCodeRows(dst []float32, first, count int) {
	width, stride := p.kern.width, ternaryStride(p.n)
	codes := p.codes[p.step*stride+first/4:]
	if count < width || p.kern.decodeBlocks == nil {
		for s := range p.steps {
			p.kern.decode(dst[s*width:s*width+count], codes[s*stride:], 1)
		}
		return
	}
	for i := 0; i < width; i += codeBlock {
		p.kern.decodeBlocks(&dst[i], width, &codes[i/4], stride, p.steps)
	}
}

// codeBlock is the number of weights that decodeBlocks takes from a row.
const codeBlock = 16
