package simd

import (
	"bitgpu/nn/quants"

	"golang.org/x/sys/cpu"
)

// known lists the levels above Portable of this kind of processor.
var known = []Level{AVX2, AVXVNNI, AVX512}

// machineLevels lists those that this machine has.
func machineLevels() []*kernels {
	x := &cpu.X86
	var found []*kernels
	if x.HasAVX2 && x.HasFMA && x.HasF16C && x.HasBMI2 {
		found = append(found, &avx2)
		if x.HasAVXVNNI {
			found = append(found, &avxVNNI)
		}
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			if x.HasAVX512VNNI {
				avx512.dots = &vnni
				if x.HasAMXTile && x.HasAMXInt8 && allowAMX() {
					vnni.amx = &amx
				}
			}
			found = append(found, &avx512)
		}
	}
	return found
}

var avx2, avxVNNI, avx512 = avx2Kernels(), avxVNNIKernels(), avx512Kernels()

// vnni has the kernels for AVX-512 with VNNI, which all but the first such processors have.
var vnni = dotKernels{
	planes: dotPlanesAVX512,
	bytes:  dotBytesAVX512,
	three:  dotProducts{[4]dotProduct{dots3x1x1AVX512, dots3x2x1AVX512, dots3x4x1AVX512, dots3x8x1AVX512}, dots3x1x4AVX512, 4},
	one:    dotProducts{[4]dotProduct{dots1x1x1AVX512, dots1x2x1AVX512, dots1x4x1AVX512, dots1x8x1AVX512}, dots1x1x4AVX512, 4},

	batches: []*batchKernels{&batch16AVX512, &batch8AVX512},
}

// amx has the kernels for AMX, which Xeons have from the fourth generation on.
var amx = amxKernels{amxPlanesAVX512, amxBytesAVX512, amx3AVX512, amx1AVX512}

// bytePairs has the kernels for AVX2. AVX-512 without VNNI keeps its products along the rows, with registers twice as wide.
var bytePairs = dotKernels{
	bytes: dotBytesAVX2,
	one:   dotProducts{[4]dotProduct{dots1x1x1AVX2, dots1x2x1AVX2, dots1x4x1AVX2}, dots1x1x4AVX2, 4},
}

// The kernels for several vectors at once, after the vectors for which BenchmarkInterleaved shows them to be the fastest.
var (
	batch8        = batchKernels{8, 5, batchWholeAVX2, batchTables8AVX2, batchProducts8AVX2, batchEnd8AVX2}
	batch8AVX512  = batchKernels{8, 6, batchWholeAVX512, batchTables8AVX2, batchProducts8AVX512, batchEnd8AVX512}
	batch16AVX512 = batchKernels{16, 12, batchWholeAVX512, batchTables16AVX512, batchProducts16AVX512, batchEnd16AVX512}
)

func avx2Kernels() kernels {
	return kernels{
		level:           AVX2,
		dot:             dotAVX2,
		sumSquares:      sumSquaresAVX2,
		maximum:         maximumAVX2,
		dot3:            dot3AVX2,
		axpy:            axpyAVX2,
		scale:           scaleAVX2,
		add:             addAVX2,
		mul:             mulAVX2,
		mulAdd:          mulAddAVX2,
		scaledMul:       scaledMulAVX2,
		ger:             gerAVX2,
		expSum:          expSumAVX2,
		expFrom:         expFromAVX2,
		sigmoid:         sigmoidAVX2,
		silu:            siluAVX2,
		siluBackward:    siluBackwardAVX2,
		siluMul:         siluMulAVX2,
		siluMulBackward: siluMulBackwardAVX2,
		rmsNormBackward: rmsNormBackwardAVX2,
		adamW:           adamWAVX2,
		dotHalf:         dotHalfAVX2,
		axpyHalf:        axpyHalfAVX2,
		widen:           widenAVX2,
		quants:          quantsAVX2,
		narrow:          narrowAVX2,
		dequantize:      dequantizeAVX2,
		gemm: gemmKernels{
			width:     16,
			heights:   []int{6, 4, 2, 1},
			tiles:     []tileFunc{tile6AVX2, tile4AVX2, tile2AVX2, tile1AVX2},
			transpose: transposeAVX2,
			gather:    gatherAVX2,
			lanes:     8,

			decode:       ternaryDecodeAVX2,
			decodeBlocks: decodeBlocksAVX2,
		},
		substitute:      substituteAVX2,
		float:           rowKernels[float32]{floatOneAVX2, floatFourAVX2},
		half:            rowKernels[uint16]{halfOneAVX2, halfFourAVX2},
		bfloat:          rowKernels[uint16]{bfloatOneAVX2, bfloatFourAVX2},
		int8:            rowKernels[int8]{int8OneAVX2, int8FourAVX2},
		ternary:         rowKernels[byte]{ternaryOneAVX2, ternaryFourAVX2},
		floatCache:      cacheKernels[float32]{floatScoresAVX2, floatWeightedAVX2},
		halfCache:       cacheKernels[uint16]{halfScoresAVX2, halfWeightedAVX2},
		group:           groupKernels{groupOneAVX2, groupFourAVX2},
		lookup:          &lookupKernels{interleaveAVX2, splitNibblesAVX2, lookupTablesAVX2, lookupVectorAVX2, lookupProducts1AVX2, lookupProducts4AVX2, []*batchKernels{&batch8}},
		dots:            &bytePairs,
		codes:           codesKernels{codesOneAVX2, codesFourAVX2},
		groupCodes:      codesKernels{groupCodesOneAVX2, groupCodesFourAVX2},
		packInt8:        packInt8AVX2,
		absMax:          absMaxAVX2,
		quantizeInt8:    quantizeInt8AVX2,
		ternaryDecode:   ternaryDecodeAVX2,
		ternaryQuantize: ternaryQuantizeAVX2,
		magnitudes:      magnitudesAVX2,
		fmaLoop:         fmaLoopAVX2,
	}
}

func avxVNNIKernels() kernels {
	k := avx2Kernels()
	k.level = AVXVNNI
	k.lookup = nil
	k.dots = &dotKernels{
		planes: dotPlanesAVX2,
		bytes:  dotBytesAVX2,
		three:  dotProducts{[4]dotProduct{vnni3x1x1AVX2, vnni3x2x1AVX2}, nil, 0},
		one:    dotProducts{[4]dotProduct{vnni1x1x1AVX2, vnni1x2x1AVX2, vnni1x4x1AVX2}, vnni1x1x4AVX2, 4},
	}
	return k
}

func avx512Kernels() kernels {
	return kernels{
		level:           AVX512,
		dot:             dotAVX512,
		sumSquares:      sumSquaresAVX512,
		maximum:         maximumAVX512,
		dot3:            dot3AVX512,
		axpy:            axpyAVX512,
		scale:           scaleAVX512,
		add:             addAVX512,
		mul:             mulAVX512,
		mulAdd:          mulAddAVX512,
		scaledMul:       scaledMulAVX512,
		ger:             gerAVX512,
		expSum:          expSumAVX512,
		expFrom:         expFromAVX512,
		sigmoid:         sigmoidAVX512,
		silu:            siluAVX512,
		siluBackward:    siluBackwardAVX512,
		siluMul:         siluMulAVX512,
		siluMulBackward: siluMulBackwardAVX512,
		rmsNormBackward: rmsNormBackwardAVX512,
		adamW:           adamWAVX512,
		dotHalf:         dotHalfAVX512,
		axpyHalf:        axpyHalfAVX512,
		widen:           widenAVX512,
		quants:          quantsAVX2,
		narrow:          narrowAVX512,
		dequantize:      dequantizeAVX512,
		gemm: gemmKernels{
			width:     32,
			heights:   []int{14, 8, 4, 2, 1},
			tiles:     []tileFunc{tile14AVX512, tile8AVX512, tile4AVX512, tile2AVX512, tile1AVX512},
			transpose: transposeAVX512,
			gather:    gatherAVX512,
			lanes:     16,

			decode:       ternaryDecodeAVX512,
			decodeBlocks: decodeBlocksAVX512,
		},
		substitute:      substituteAVX512,
		float:           rowKernels[float32]{floatOneAVX512, floatFourAVX512},
		half:            rowKernels[uint16]{halfOneAVX512, halfFourAVX512},
		bfloat:          rowKernels[uint16]{bfloatOneAVX512, bfloatFourAVX512},
		int8:            rowKernels[int8]{int8OneAVX512, int8FourAVX512},
		ternary:         rowKernels[byte]{ternaryOneAVX512, ternaryFourAVX512},
		floatCache:      cacheKernels[float32]{floatScoresAVX512, floatWeightedAVX512},
		halfCache:       cacheKernels[uint16]{halfScoresAVX512, halfWeightedAVX512},
		group:           groupKernels{groupOneAVX512, groupFourAVX512},
		codes:           codesKernels{codesOneAVX512, codesFourAVX512},
		groupCodes:      codesKernels{groupCodesOneAVX512, groupCodesFourAVX512},
		packInt8:        packInt8AVX512,
		absMax:          absMaxAVX512,
		quantizeInt8:    quantizeInt8AVX512,
		ternaryDecode:   ternaryDecodeAVX512,
		ternaryQuantize: ternaryQuantizeAVX512,
		magnitudes:      magnitudesAVX512,
		fmaLoop:         fmaLoopAVX512,
	}
}

// quantsAVX2 is kernels.quants.
var quantsAVX2 = [4]quantsKernels{
	quants.Q8_0: {quantsDot8x1AVX2, quantsDot8x4AVX2},
	quants.Q4_0: {quantsDot4x1AVX2, quantsDot4x4AVX2},
	quants.Q4_K: {quantsDot4x1AVX2, quantsDot4x4AVX2},
	quants.Q6_K: {quantsDot6x1AVX2, quantsDot6x4AVX2},
}
