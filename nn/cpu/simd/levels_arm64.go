package simd

import "golang.org/x/sys/cpu"

// known lists the levels above Portable of this kind of processor.
var known = []Level{NEON, DotProd}

// machineLevels lists those that this machine has.
func machineLevels() []*kernels {
	found := []*kernels{&neon}
	if cpu.ARM64.HasASIMDDP {
		found = append(found, &dotProd)
	}
	return found
}

var neon, dotProd = neonKernels(), dotProdKernels()

// panelLanes is how many lines of a panel transpose and gather handle.
const panelLanes = 16

func neonKernels() kernels {
	return kernels{
		level:           NEON,
		dot:             dotNEON,
		sumSquares:      sumSquaresNEON,
		maximum:         maximumNEON,
		dot3:            dot3NEON,
		axpy:            axpyNEON,
		scale:           scaleNEON,
		add:             addNEON,
		mul:             mulNEON,
		mulAdd:          mulAddNEON,
		scaledMul:       scaledMulNEON,
		ger:             gerNEON,
		expSum:          expSumNEON,
		expFrom:         expFromNEON,
		sigmoid:         sigmoidNEON,
		silu:            siluNEON,
		siluBackward:    siluBackwardNEON,
		siluMul:         siluMulNEON,
		siluMulBackward: siluMulBackwardNEON,
		rmsNormBackward: rmsNormBackwardNEON,
		adamW:           adamWNEON,
		dotHalf:         dotHalfNEON,
		axpyHalf:        axpyHalfNEON,
		widen:           widenNEON,
		narrow:          narrowNEON,
		dequantize:      dequantizeNEON,
		gemm: gemmKernels{
			width:     16,
			heights:   []int{6, 4, 2, 1},
			tiles:     []tileFunc{tile6NEON, tile4NEON, tile2NEON, tile1NEON},
			transpose: transposeNEON,
			gather:    gatherNEON,
			lanes:     panelLanes,

			decode:       ternaryDecodeNEON,
			decodeBlocks: decodeBlocksNEON,
		},
		substitute:      substituteNEON,
		float:           rowKernels[float32]{floatOneNEON, floatFourNEON},
		half:            rowKernels[uint16]{halfOneNEON, halfFourNEON},
		bfloat:          rowKernels[uint16]{bfloatOneNEON, bfloatFourNEON},
		int8:            rowKernels[int8]{int8OneNEON, int8FourNEON},
		ternary:         rowKernels[byte]{ternaryOneNEON, ternaryFourNEON},
		floatCache:      cacheKernels[float32]{floatScoresNEON, floatWeightedNEON},
		halfCache:       cacheKernels[uint16]{halfScoresNEON, halfWeightedNEON},
		group:           groupKernels{groupOneNEON, groupFourNEON},
		lookup:          &lookupKernels{interleaveNEON, splitNibblesNEON, lookupTablesNEON, lookupVectorNEON, lookupProducts1NEON, lookupProducts4NEON, nil},
		codes:           codesKernels{codesOneNEON, codesFourNEON},
		groupCodes:      codesKernels{groupCodesOneNEON, groupCodesFourNEON},
		packInt8:        packInt8NEON,
		absMax:          absMaxNEON,
		quantizeInt8:    quantizeInt8NEON,
		ternaryDecode:   ternaryDecodeNEON,
		ternaryQuantize: ternaryQuantizeNEON,
		magnitudes:      magnitudesNEON,
		fmaLoop:         fmaLoopNEON,
	}
}

func dotProdKernels() kernels {
	k := neonKernels()
	k.level = DotProd
	k.codes = codesKernels{codesOneDotProd, codesFourDotProd}
	k.groupCodes = codesKernels{groupCodesOneDotProd, groupCodesFourDotProd}
	return k
}
