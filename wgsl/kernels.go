package wgsl

// All is the table of every kernel. A test holds it against the shader files.
func All() []*Kernel {
	return []*Kernel{
		Copy, FMA,
		Gather, Scatter, CopyColumns, Embed, RMSNorm, LinearVector, LinearMatrix, LinearRound, SwiGLUVector, SwiGLUMatrix, SwiGLUActivate, HeadVector, HeadMatrix, Sample,
		TiedKeys, TiedScan, TiedStep, StepSize, DeltaConv, DeltaProducts, DeltaScan, DeltaOutput, DeltaStep, DeltaToken, DeltaDecode,
		Blocks, BlocksPack,
		RoPE, Advance, Attention, AttentionJoin, GatedConv, GatedRule, GatedOutput, Hadamard, SquaredReLU,
		LowRankIn, LowRankOut, LowRankDLow, LowRankDB, LowRankDA, LowRankDX, LowRankMerge,
		RoPERaw, RoPEBackward, HeadGain, AttentionRows, AttentionQueries, AttentionKeys, SquaredReLUBackward,
		GatedRuleKept, GatedBorders, GatedOutputBackward, GatedProducts, GatedReverse, GatedInputs, GatedSlopes, GatedConvActivation, GatedConvInputs, GatedConvTaps,
		EmbedBackward, RMSNormBackward, RMSNormGain, LinearDX, LinearDW, QuantizeRows, QuantizeGamma, QuantizeCodes, QuantizeGroups,
		Dropout, SwiGLUBackward, TiedReverse, TiedInputs, UnitBackward, StepSizeDX, StepSizeDW, DeltaReverse, DeltaInputs, DeltaConvActivation,
		DeltaConvInputs, DeltaConvTaps, HeadDX, HeadDW, CrossEntropy, CrossEntropyTotal, AdamW, SquareSums, SquareTotal,
		InnerLoss, RangeOfMemory, RangeOfLosses, DrawRectangles, DrawGlyphs, HeatMap, HeatScale, TraceCurves, DrawCurves, Present,
	}
}

// CopyParams are the parameters of Copy.
type CopyParams struct {
	N uint32 // vec4s to copy, 16 bytes each
}

// Copy copies a buffer: the bandwidth that other kernels' times are held against.
var Copy = &Kernel{
	Name:   "copy",
	File:   "copy.wgsl",
	Params: CopyParams{},
	Bindings: []Binding{
		{"params", Uniform},
		{"src", Read},
		{"dst", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 256},
}

// FMAParams are the parameters of FMA.
type FMAParams struct {
	Iterations uint32
	Scale      float32
	Shift      float32
}

// FMA runs multiply-adds on registers: the arithmetic rate that other kernels' times are held against. Each of the
// WORKGROUP threads of a workgroup makes FMAPerIteration multiply-adds an iteration.
var FMA = &Kernel{
	Name:   "fma",
	Entry:  "fma_loop",
	File:   "fma.wgsl",
	Params: FMAParams{},
	Bindings: []Binding{
		{"params", Uniform},
		{"sums", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 256},
}

// FMAPerIteration is how many multiply-adds (two operations each) a thread of FMA makes an iteration.
const FMAPerIteration = 32
