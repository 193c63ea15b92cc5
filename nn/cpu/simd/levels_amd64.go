package simd

import "golang.org/x/sys/cpu"

// machineLevels are the levels above Portable that the processor has.
func machineLevels() []*kernels {
	x := &cpu.X86
	var found []*kernels
	if x.HasAVX2 && x.HasFMA && x.HasF16C && x.HasBMI2 {
		found = append(found, &avx2)
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			found = append(found, &avx512)
		}
	}
	return found
}

var avx2, avx512 = avx2Kernels(), avx512Kernels()

func avx2Kernels() kernels {
	k := portable
	k.level = AVX2
	k.gemm = gemmKernels{
		width:     16,
		heights:   []int{6, 4, 2, 1},
		tiles:     []tileFunc{tile6AVX2, tile4AVX2, tile2AVX2, tile1AVX2},
		transpose: transposeAVX2,
		gather:    gatherAVX2,
		lanes:     8,
	}
	return k
}

func avx512Kernels() kernels {
	k := portable
	k.level = AVX512
	k.gemm = gemmKernels{
		width:     32,
		heights:   []int{14, 8, 4, 2, 1},
		tiles:     []tileFunc{tile14AVX512, tile8AVX512, tile4AVX512, tile2AVX512, tile1AVX512},
		transpose: transposeAVX512,
		gather:    gatherAVX512,
		lanes:     16,
	}
	return k
}
