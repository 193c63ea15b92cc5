package wgsl

// EmbedBackwardParams are the parameters of EmbedBackward.
type EmbedBackwardParams struct {
	N, Width, Rows, First uint32
}

// EmbedBackward adds rows of a gradient into the embedding's.
var EmbedBackward = &Kernel{
	Name: "embed_backward", File: "embed_backward.wgsl", Params: EmbedBackwardParams{},
	Bindings: []Binding{{"params", Uniform}, {"tokens", Read}, {"dh", Read}, {"dtable", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// ColumnsTogether is how many columns a workgroup of a kernel that sums over rows takes.
const ColumnsTogether = 16

// UnitParams are the parameters of UnitBackward.
type UnitParams struct{ N, Width uint32 }

// RMSNormParams are the parameters of RMSNormBackward and RMSNormGain.
type RMSNormParams struct {
	N, Width uint32
	Eps      float32
}

var rmsnormBindings = []Binding{
	{"params", Uniform}, {"dx", Read}, {"h", Read}, {"gain", Read}, {"roots", ReadWrite}, {"dh", ReadWrite}, {"dgain", ReadWrite},
}

// RMSNormBackward makes the gradient of the norm's input, then RMSNormGain that of its gain.
var (
	RMSNormBackward = &Kernel{
		Name: "rmsnorm_backward", File: "rmsnorm.wgsl", Params: RMSNormParams{}, Bindings: rmsnormBindings, Consts: Consts{"WORKGROUP": 64},
	}
	RMSNormGain = &Kernel{
		Name: "rmsnorm_gain", File: "rmsnorm.wgsl", Params: RMSNormParams{}, Bindings: rmsnormBindings, Consts: Consts{"WORKGROUP": 64},
	}
)

var (
	linearBackwardBindings = []Binding{
		{"params", Uniform}, {"dy", Read}, {"x", Read}, {"weights", Read}, {"scales", Read}, {"dx", ReadWrite}, {"dw", ReadWrite},
	}
	linearBackwardConsts = Consts{"SIDE": 8, "ACROSS": 16, "TILE_QUADS": 256, "FORMAT": 3, "GROUP": 0}
)

// LinearBackwardParams are the parameters of LinearDX and LinearDW.
type LinearBackwardParams struct {
	N, Width, Stride, Rows, First, Total, BlockRows, Absmean uint32
}

// LinearDX and LinearDW are the backward of a product with a ternary matrix.
var (
	LinearDX = &Kernel{
		Name: "linear_dx", File: "linear_backward.wgsl", Params: LinearBackwardParams{}, Bindings: linearBackwardBindings,
		Consts: with(with(linearBackwardConsts, "SCALED", 1), "INT8", 0),
	}
	LinearDW = &Kernel{
		Name: "linear_dw", File: "linear_backward.wgsl", Params: LinearBackwardParams{}, Bindings: linearBackwardBindings,
		Consts: with(with(linearBackwardConsts, "SCALED", 0), "INT8", 0),
	}
)

// QuantizeWords are the words of the sum of a block's magnitudes.
const QuantizeWords = 22

// QuantizeParams are the parameters of the Quantize kernels.
type QuantizeParams struct {
	Width, Words, Rows, WRow, QRow, First, BlockRows, Block, Scale, Scales, HalfEven uint32
}

// QuantizeGroupsParams are the parameters of QuantizeGroups.
type QuantizeGroupsParams struct {
	Width, Words, Group, Rows, WRow, QRow uint32
}

// QuantizeGroups makes a ternary matrix with scales of groups.
var QuantizeGroups = &Kernel{
	Name: "quantize_groups", File: "linear_quantize_groups.wgsl", Params: QuantizeGroupsParams{},
	Bindings: []Binding{{"params", Uniform}, {"w", Read}, {"scales", ReadWrite}, {"codes", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

var quantizeBindings = []Binding{
	{"params", Uniform}, {"w", Read}, {"sums", ReadWrite}, {"scales", ReadWrite}, {"codes", ReadWrite},
}

// QuantizeRows, QuantizeGamma and QuantizeCodes, in this order, make a ternary matrix. The sums, QuantizeWords a block, have to be zeros before.
var (
	QuantizeRows = &Kernel{
		Name: "quantize_rows", File: "linear_quantize.wgsl", Params: QuantizeParams{}, Bindings: quantizeBindings, Consts: Consts{"WORKGROUP": 64},
	}
	QuantizeGamma = &Kernel{
		Name: "quantize_gamma", File: "linear_quantize.wgsl", Params: QuantizeParams{}, Bindings: quantizeBindings, Consts: Consts{"WORKGROUP": 64},
	}
	QuantizeCodes = &Kernel{
		Name: "quantize_codes", File: "linear_quantize.wgsl", Params: QuantizeParams{}, Bindings: quantizeBindings, Consts: Consts{"WORKGROUP": 64},
	}
)

// SwiGLUBackwardParams are the parameters of SwiGLUBackward.
type SwiGLUBackwardParams struct {
	N, Hidden uint32
}

// DropoutParams are the parameters of Dropout.
type DropoutParams struct {
	N, Site uint32
	Rate    float32
}

// Dropout takes numbers away at random.
var Dropout = &Kernel{
	Name: "dropout", File: "dropout.wgsl", Params: DropoutParams{},
	Bindings: []Binding{{"params", Uniform}, {"seed", Read}, {"x", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// SwiGLUBackward is the backward of the MLP's hidden layer.
var SwiGLUBackward = &Kernel{
	Name: "swiglu_backward", File: "swiglu_backward.wgsl", Params: SwiGLUBackwardParams{},
	Bindings: []Binding{{"params", Uniform}, {"dact", Read}, {"gate_up", Read}, {"dgate_up", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// SquaredReLUBackward is the backward of SquaredReLU.
var SquaredReLUBackward = &Kernel{
	Name: "squared_relu_backward", File: "squaredrelu_backward.wgsl", Params: SquaredReLUParams{},
	Bindings: []Binding{{"params", Uniform}, {"dact", Read}, {"gate_up", Read}, {"dgate_up", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

var tiedBackwardBindings = []Binding{
	{"params", Uniform}, {"keys", Read}, {"products", Read}, {"z", Read}, {"dz", Read}, {"states", Read},
	{"dstates", ReadWrite}, {"dr", ReadWrite}, {"dx", ReadWrite},
}

// TiedReverse, TiedInputs and UnitBackward, in this order, are the backward of the tied scan.
var (
	TiedReverse = &Kernel{
		Name: "tied_reverse", File: "tiedscan_backward.wgsl", Params: TiedScanParams{}, Bindings: tiedBackwardBindings,
		Consts: Consts{"TILE": TileTokens, "PACKED": 0},
	}
	TiedInputs = &Kernel{
		Name: "tied_inputs", File: "tiedscan_backward.wgsl", Params: TiedScanParams{}, Bindings: tiedBackwardBindings,
		Consts: Consts{"TILE": TileTokens, "PACKED": 0},
	}
	UnitBackward = &Kernel{
		Name: "unit_backward", File: "tiedscan_unit.wgsl", Params: UnitParams{},
		Bindings: []Binding{{"params", Uniform}, {"f", Read}, {"df", ReadWrite}},
		Consts:   Consts{"WORKGROUP": 64},
	}
)

// ScanColumns is how many columns of a memory one workgroup of TiedInputs or DeltaInputs takes.
const ScanColumns = 64

// StepSizeBackwardParams are the parameters of StepSizeDX and StepSizeDW.
type StepSizeBackwardParams struct {
	N, Heads, Width uint32
}

var stepSizeBackwardBindings = []Binding{
	{"params", Uniform}, {"dbeta", Read}, {"beta", Read}, {"x", Read}, {"w", Read},
	{"dx", ReadWrite}, {"dw", ReadWrite}, {"dbias", ReadWrite},
}

// StepSizeDX and StepSizeDW are the backward of StepSize.
var (
	StepSizeDX = &Kernel{
		Name: "step_dx", File: "step_backward.wgsl", Params: StepSizeBackwardParams{}, Bindings: stepSizeBackwardBindings, Consts: Consts{"WORKGROUP": 64},
	}
	StepSizeDW = &Kernel{
		Name: "step_dw", File: "step_backward.wgsl", Params: StepSizeBackwardParams{}, Bindings: stepSizeBackwardBindings, Consts: Consts{"WORKGROUP": 64},
	}
)

// DeltaBackwardParams are the parameters of DeltaReverse and DeltaInputs.
type DeltaBackwardParams struct {
	Width, Head, Heads, Time, Length, Span, Keep, Section uint32
}

// Places in the working memory of DeltaReverse and DeltaInputs, in sections of n·d.
const (
	DeltaWorkDZ = iota
	DeltaWorkE
	DeltaWorkDR
	DeltaWorkDF
	DeltaWorkSections
)

var deltaBackwardBindings = []Binding{
	{"params", Uniform}, {"beta", Read}, {"kqv", Read}, {"products", Read}, {"states", Read},
	{"dstates", ReadWrite}, {"work", ReadWrite}, {"dkqv", ReadWrite}, {"dbeta", ReadWrite},
}

// DeltaReverse and DeltaInputs, in this order, are the backward of the delta rule.
var (
	DeltaReverse = &Kernel{
		Name: "delta_reverse", File: "deltascan_backward.wgsl", Params: DeltaBackwardParams{}, Bindings: deltaBackwardBindings,
		Consts: Consts{"TILE": TileTokens, "PACKED": 0},
	}
	DeltaInputs = &Kernel{
		Name: "delta_inputs", File: "deltascan_backward.wgsl", Params: DeltaBackwardParams{}, Bindings: deltaBackwardBindings,
		Consts: Consts{"TILE": TileTokens, "PACKED": 0},
	}
)

// DeltaConvBackwardParams are the parameters of DeltaConvActivation, DeltaConvInputs and DeltaConvTaps.
type DeltaConvBackwardParams struct {
	Width, Head, Time, Tail, N uint32
}

var deltaConvBackwardBindings = []Binding{
	{"params", Uniform}, {"u", Read}, {"conv", Read}, {"tail", Read}, {"dkqv", ReadWrite}, {"du", ReadWrite}, {"dconv", ReadWrite},
	{"documents", Read},
}

// DeltaConvActivation, DeltaConvInputs and DeltaConvTaps, in this order, are the backward of DeltaConv.
var (
	DeltaConvActivation = &Kernel{
		Name: "delta_conv_activation", File: "deltascan_conv_backward.wgsl", Params: DeltaConvBackwardParams{}, Bindings: deltaConvBackwardBindings,
		Consts: Consts{"WORKGROUP": 64, "PACKED": 0},
	}
	DeltaConvInputs = &Kernel{
		Name: "delta_conv_inputs", File: "deltascan_conv_backward.wgsl", Params: DeltaConvBackwardParams{}, Bindings: deltaConvBackwardBindings,
		Consts: Consts{"WORKGROUP": 64, "PACKED": 0},
	}
	DeltaConvTaps = &Kernel{
		Name: "delta_conv_taps", File: "deltascan_conv_backward.wgsl", Params: DeltaConvBackwardParams{}, Bindings: deltaConvBackwardBindings,
		Consts: Consts{"WORKGROUP": 64, "PACKED": 0},
	}
)

var (
	headBackwardBindings = []Binding{
		{"params", Uniform}, {"dlogits", Read}, {"x", Read}, {"weights", Read}, {"dx", ReadWrite}, {"dhead", ReadWrite}, {"scales", Read},
	}
	headBackwardConsts = Consts{"SIDE": 8, "ACROSS": 16, "TILE_QUADS": 256, "FORMAT": 0, "GROUP": 0}
)

// HeadBackwardParams are the parameters of HeadDX and HeadDW.
type HeadBackwardParams struct {
	N, Width, Stride, Rows, First, Total, Start, BlockRows, Absmean uint32
}

// HeadDX and HeadDW are the backward of the head.
var (
	HeadDX = &Kernel{
		Name: "head_dx", File: "head_backward.wgsl", Params: HeadBackwardParams{}, Bindings: headBackwardBindings, Consts: headBackwardConsts,
	}
	HeadDW = &Kernel{
		Name: "head_dw", File: "head_backward.wgsl", Params: HeadBackwardParams{}, Bindings: headBackwardBindings, Consts: headBackwardConsts,
	}
)

// CrossEntropyParams are the parameters of CrossEntropy and CrossEntropyTotal.
type CrossEntropyParams struct {
	N, Vocab, Start uint32
	Scale           float32
}

var crossEntropyBindings = []Binding{
	{"params", Uniform}, {"logits", ReadWrite}, {"targets", Read}, {"losses", ReadWrite}, {"loss", ReadWrite},
}

// CrossEntropy makes the rows' losses and gradients, then CrossEntropyTotal adds the losses up.
var (
	CrossEntropy = &Kernel{
		Name: "cross_entropy", File: "crossentropy.wgsl", Params: CrossEntropyParams{}, Bindings: crossEntropyBindings,
		Consts: Consts{"WORKGROUP": 64},
	}
	CrossEntropyTotal = &Kernel{
		Name: "cross_entropy_total", File: "crossentropy.wgsl", Params: CrossEntropyParams{}, Bindings: crossEntropyBindings,
		Consts: Consts{"WORKGROUP": 64},
	}
)

// AdamWParams are the parameters of AdamW.
type AdamWParams struct {
	N, Log uint32
}

// AdamW updates parameters.
var AdamW = &Kernel{
	Name: "adamw", File: "adamw.wgsl", Params: AdamWParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"w", ReadWrite}, {"m", ReadWrite}, {"v", ReadWrite}, {"g", Read}, {"sum_squares", Read}, {"hyper", Read},
	},
	Consts: Consts{"WORKGROUP": 64},
}

// SquareParams are the parameters of SquareSums and SquareTotal.
type SquareParams struct {
	N, Groups uint32
}

var squareBindings = []Binding{{"params", Uniform}, {"g", Read}, {"partial", ReadWrite}, {"sum", ReadWrite}}

// SquareSums, then SquareTotal add up squares.
var (
	SquareSums = &Kernel{
		Name: "square_sums", File: "adamw_norm.wgsl", Params: SquareParams{}, Bindings: squareBindings, Consts: Consts{"WORKGROUP": 64},
	}
	SquareTotal = &Kernel{
		Name: "square_total", File: "adamw_norm.wgsl", Params: SquareParams{}, Bindings: squareBindings, Consts: Consts{"WORKGROUP": 64},
	}
)
