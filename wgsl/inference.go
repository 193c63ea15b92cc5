package wgsl

// products are the constants of the kernels that multiply rows of activations by a matrix. A team of LANES threads
// takes TEAM_QUADS quads of rows; BLOCK_QUADS is how many activations, in fours, meet 16 bytes of weights of the
// FORMAT, and TILE_BLOCKS is 256 / BLOCK_QUADS; GROUP·32 inputs share a ternary scale. A tile is 8·SIDE by 8·SIDE, ACROSS is 2·SIDE and TILE_QUADS 16·ACROSS.
var products = Consts{
	"WORKGROUP": 64, "LANES": 16, "TEAM_QUADS": 1, "SIDE": 8, "ACROSS": 16, "TILE_QUADS": 256, "NORM": 0,
	"FORMAT": 3, "BLOCK_QUADS": 16, "TILE_BLOCKS": 16, "GROUP": 0,
}

func with(c Consts, name string, value uint32) Consts {
	all := Consts{name: value}
	for n, v := range c {
		all[n] = v
	}
	return all
}

// LinearParams are the parameters of LinearVector and LinearMatrix.
type LinearParams struct {
	N, Width, Stride, Rows, First, Total, BlockRows, Absmean uint32
	Eps                                                      float32
}

var linearBindings = []Binding{
	{"params", Uniform}, {"source", Read}, {"gain", Read}, {"weights", Read}, {"scales", Read}, {"addend", Read},
	{"x", ReadWrite}, {"y", ReadWrite},
}

// LinearVector and LinearMatrix multiply by a matrix, row by row or by tiles.
var (
	LinearVector = &Kernel{
		Name: "linear_vector", File: "linear.wgsl", Params: LinearParams{}, Bindings: linearBindings, Consts: with(with(products, "ADD", 0), "INT8", 0),
	}
	LinearMatrix = &Kernel{
		Name: "linear_matrix", File: "linear.wgsl", Params: LinearParams{}, Bindings: linearBindings, Consts: with(with(products, "ADD", 0), "INT8", 0),
	}
)

// LinearRoundParams are the parameters of LinearRound.
type LinearRoundParams struct {
	N, Width uint32
	Eps      float32
}

// LinearRound rounds a product's input to int8, for the variants with INT8 = 1; with NORM = 1 an RMSNorm comes first,
// with IN_PLACE = 1 its input is x, with SQUARED = 1 that of a SquaredReLU.
var LinearRound = &Kernel{
	Name: "linear_round", File: "linear_round.wgsl", Params: LinearRoundParams{},
	Bindings: []Binding{{"params", Uniform}, {"source", Read}, {"gain", Read}, {"x", ReadWrite}, {"rounded", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64, "NORM": 0, "IN_PLACE": 0, "SQUARED": 0},
}

// RMSNormForwardParams are the parameters of RMSNorm.
type RMSNormForwardParams struct {
	N, Width, Start uint32
	Eps             float32
}

// RMSNorm normalises rows, where no product behind it does; with IN_PLACE = 1 those of x.
var RMSNorm = &Kernel{
	Name: "rmsnorm_forward", File: "rmsnorm_forward.wgsl", Params: RMSNormForwardParams{},
	Bindings: []Binding{{"params", Uniform}, {"h", Read}, {"gain", Read}, {"x", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64, "IN_PLACE": 0},
}

// SwiGLUParams are the parameters of the SwiGLU kernels.
type SwiGLUParams struct {
	N, Width, Stride, Hidden, BlockRows, Absmean uint32
	Eps                                          float32
}

var swigluBindings = []Binding{
	{"params", Uniform}, {"source", Read}, {"gain", Read}, {"weights", Read}, {"scales", Read},
	{"x", ReadWrite}, {"gate_up", ReadWrite}, {"act", ReadWrite},
}

// SwiGLUVector and SwiGLUMatrix make the MLP's hidden layer; SwiGLUActivate its last step alone.
var (
	SwiGLUVector = &Kernel{
		Name: "swiglu_vector", File: "swiglu.wgsl", Params: SwiGLUParams{}, Bindings: swigluBindings, Consts: products,
	}
	SwiGLUMatrix = &Kernel{
		Name: "swiglu_matrix", File: "swiglu.wgsl", Params: SwiGLUParams{}, Bindings: swigluBindings, Consts: products,
	}
	SwiGLUActivate = &Kernel{
		Name: "swiglu_activate", File: "swiglu.wgsl", Params: SwiGLUParams{}, Bindings: swigluBindings, Consts: products,
	}
)

// HeadParams are the parameters of HeadVector and HeadMatrix.
type HeadParams struct {
	N, Width, Stride, Rows, First, Total, Start, BlockRows, Absmean uint32
	Eps                                                             float32
}

var headBindings = []Binding{
	{"params", Uniform}, {"source", Read}, {"gain", Read}, {"weights", Read}, {"scales", Read},
	{"x", ReadWrite}, {"logits", ReadWrite},
}

// HeadVector and HeadMatrix make logits, row by row or by tiles.
var (
	HeadVector = &Kernel{
		Name: "head_vector", File: "head.wgsl", Params: HeadParams{}, Bindings: headBindings, Consts: products,
	}
	HeadMatrix = &Kernel{
		Name: "head_matrix", File: "head.wgsl", Params: HeadParams{}, Bindings: headBindings, Consts: products,
	}
)

// EmbedParams are the parameters of Embed.
type EmbedParams struct {
	N, Width, Stride, Rows, First, BlockRows, Absmean uint32
}

// Embed looks tokens up in the embedding.
var Embed = &Kernel{
	Name: "embed", File: "embed.wgsl", Params: EmbedParams{},
	Bindings: []Binding{{"params", Uniform}, {"weights", Read}, {"scales", Read}, {"tokens", Read}, {"h", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64, "FORMAT": 0, "GROUP": 0},
}

// GatherParams are the parameters of Gather and Scatter.
type GatherParams struct{ N, Width uint32 }

var gatherBindings = []Binding{{"params", Uniform}, {"src", Read}, {"slots", Read}, {"dst", ReadWrite}}

// Gather copies rows out of slots, Scatter into them.
var (
	Gather  = &Kernel{Name: "gather", File: "gather.wgsl", Params: GatherParams{}, Bindings: gatherBindings, Consts: Consts{"WORKGROUP": 64}}
	Scatter = &Kernel{Name: "scatter", File: "gather.wgsl", Params: GatherParams{}, Bindings: gatherBindings, Consts: Consts{"WORKGROUP": 64}}
)

// CopyColumnsParams are the parameters of CopyColumns.
type CopyColumnsParams struct{ N, Columns, SrcWidth, SrcFrom, DstWidth, DstFrom uint32 }

// CopyColumns copies columns of one matrix into another.
var CopyColumns = &Kernel{
	Name: "copy_columns", File: "columns.wgsl", Params: CopyColumnsParams{},
	Bindings: []Binding{{"params", Uniform}, {"src", Read}, {"dst", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// SampleParams are the parameters of Sample.
type SampleParams struct {
	Vocab, Columns, Width, Stride, BlockRows, Absmean uint32
}

// Sample draws tokens and, with EMBED = 1, looks them up in the embedding.
var Sample = &Kernel{
	Name: "sample", File: "sample.wgsl", Params: SampleParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"logits", ReadWrite}, {"recent", ReadWrite}, {"next", ReadWrite}, {"out", ReadWrite},
		{"rules", Read}, {"weights", Read}, {"scales", Read}, {"h", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 64, "FORMAT": 0, "EMBED": 0, "GROUP": 0},
}

// TileTokens is how many tokens a scan takes together at most.
const TileTokens = 16

// TiedScanParams are the parameters of the tied scan's kernels.
type TiedScanParams struct {
	Width, Time, Length, Span, Keep, Minibatch uint32
	Rate                                       float32
}

var (
	tiedScanBindings = []Binding{
		{"params", Uniform}, {"f", Read}, {"keys", ReadWrite}, {"products", ReadWrite}, {"state", ReadWrite},
		{"starts", ReadWrite}, {"z", ReadWrite}, {"slots", Read},
	}
	tiedScanConsts = Consts{"WORKGROUP": 64, "TILE": TileTokens, "KEY": 64, "STARTS": 0, "SLOTS": 0, "PACKED": 0}
)

// TiedKeys and TiedScan are the tied scan of several tokens, TiedStep that of one, for widths up to KEY.
var (
	TiedKeys = &Kernel{
		Name: "tied_keys", File: "tiedscan.wgsl", Params: TiedScanParams{}, Bindings: tiedScanBindings, Consts: tiedScanConsts,
	}
	TiedScan = &Kernel{
		Name: "tied_scan", File: "tiedscan.wgsl", Params: TiedScanParams{}, Bindings: tiedScanBindings, Consts: tiedScanConsts,
	}
	TiedStep = &Kernel{
		Name: "tied_step", File: "tiedscan.wgsl", Params: TiedScanParams{}, Bindings: tiedScanBindings, Consts: tiedScanConsts,
	}
)

// ScanSlab is how many rows of a memory one workgroup of a scan takes.
const ScanSlab = 16

// StepSizeParams are the parameters of StepSize.
type StepSizeParams struct {
	Count, Heads, Width uint32
}

// StepSize makes the step sizes β of the delta mixer.
var StepSize = &Kernel{
	Name: "step_forward", File: "step.wgsl", Params: StepSizeParams{},
	Bindings: []Binding{{"params", Uniform}, {"x", Read}, {"w", Read}, {"bias", Read}, {"beta", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// DeltaConvParams are the parameters of DeltaConv.
type DeltaConvParams struct {
	Width, Head, Time, Tail, Keep, N uint32
}

// DeltaConv makes keys, queries and values.
var DeltaConv = &Kernel{
	Name: "delta_conv", File: "deltascan_conv.wgsl", Params: DeltaConvParams{},
	Bindings: []Binding{{"params", Uniform}, {"u", Read}, {"conv", Read}, {"tail", ReadWrite}, {"kqv", ReadWrite}, {"slots", Read}},
	Consts:   Consts{"WORKGROUP": 64, "SLOTS": 0, "PACKED": 0},
}

// DeltaScanParams are the parameters of DeltaProducts and DeltaScan.
type DeltaScanParams struct {
	Width, Head, Heads, Time, Length, Span, Keep uint32
}

var (
	deltaScanBindings = []Binding{
		{"params", Uniform}, {"beta", Read}, {"kqv", Read}, {"products", ReadWrite}, {"state", ReadWrite},
		{"starts", ReadWrite}, {"answers", ReadWrite}, {"errors", ReadWrite}, {"slots", Read},
	}
	deltaScanConsts = Consts{"TILE": TileTokens, "STARTS": 0, "ERRORS": 0, "SLOTS": 0, "PACKED": 0}
)

// DeltaProducts and DeltaScan are the delta rule over several tokens.
var (
	DeltaProducts = &Kernel{
		Name: "delta_products", File: "deltascan.wgsl", Params: DeltaScanParams{}, Bindings: deltaScanBindings, Consts: deltaScanConsts,
	}
	DeltaScan = &Kernel{
		Name: "delta_scan", File: "deltascan.wgsl", Params: DeltaScanParams{}, Bindings: deltaScanBindings, Consts: deltaScanConsts,
	}
)

// DeltaOutputParams are the parameters of DeltaOutput.
type DeltaOutputParams struct {
	Width, Head, Time, N uint32
	Eps                  float32
}

// DeltaOutput ends a scan.
var DeltaOutput = &Kernel{
	Name: "delta_output", File: "deltascan_output.wgsl", Params: DeltaOutputParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"u", Read}, {"gain", Read}, {"tail", ReadWrite}, {"answers", ReadWrite}, {"normed", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "SLOTS": 0},
}

// DeltaStepParams are the parameters of DeltaStep.
type DeltaStepParams struct {
	Width, Head, Heads, N uint32
	Eps                   float32
}

// DeltaStep is the scan of one token, behind a DeltaConv that keeps its input.
var DeltaStep = &Kernel{
	Name: "delta_step", File: "deltascan_step.wgsl", Params: DeltaStepParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"beta", Read}, {"kqv", Read}, {"gain", Read}, {"state", ReadWrite}, {"answers", ReadWrite},
		{"normed", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "SLOTS": 0},
}

// DeltaTokenParams are the parameters of DeltaToken.
type DeltaTokenParams struct {
	Width, Head, Heads, Time, Tail, N uint32
	Eps                               float32
}

// DeltaToken is DeltaConv and DeltaStep together.
var DeltaToken = &Kernel{
	Name: "delta_token", File: "deltascan_token.wgsl", Params: DeltaTokenParams{}, Wide: true,
	Bindings: []Binding{
		{"params", Uniform}, {"u", Read}, {"beta", Read}, {"conv", Read}, {"gain", Read},
		{"kqv", ReadWrite}, {"state", ReadWrite}, {"tail", ReadWrite}, {"answers", ReadWrite}, {"normed", ReadWrite},
		{"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "SLOTS": 0},
}

// DeltaDecodeParams are the parameters of DeltaDecode.
type DeltaDecodeParams struct {
	Width, Head, Heads, Time, Tail, N, Stream uint32
	Eps                                       float32
}

// DeltaDecode is Step and DeltaToken together.
var DeltaDecode = &Kernel{
	Name: "delta_decode", File: "deltascan_decode.wgsl", Params: DeltaDecodeParams{}, Wide: true,
	Bindings: []Binding{
		{"params", Uniform}, {"x", Read}, {"w", Read}, {"bias", Read}, {"u", Read}, {"conv", Read}, {"gain", Read},
		{"beta", ReadWrite}, {"kqv", ReadWrite}, {"state", ReadWrite}, {"tail", ReadWrite}, {"answers", ReadWrite},
		{"normed", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "SLOTS": 0},
}

// BlocksParams are the parameters of Blocks.
type BlocksParams struct {
	Layers, Width, Hidden, Memory, Heads, Weights, Gains, States, Tails, Absmean uint32
	Rate                                                                         float32
}

// Blocks takes a token through all layers. INPUT_QUADS is the room for a product's input, in fours; DELTA = 1 is the
// delta mixer.
var Blocks = &Kernel{
	Name: "blocks", File: "blocks.wgsl", Params: BlocksParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"weights", Read}, {"gains", Read}, {"stream", ReadWrite}, {"state", ReadWrite}, {"tail", ReadWrite},
		{"work", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 256, "INPUT_QUADS": 512, "DELTA": 0, "SLOTS": 0},
}

// Of Blocks: how many γ a layer's gains begin with (three of the mixer, its output's, gate's, up's and down's), and up
// to how many heads there may be.
const (
	BlocksGammas   = 7
	BlocksMaxHeads = 64
)

// BlocksPackParams are the parameters of BlocksPack.
type BlocksPackParams struct {
	Rows, Stride, First, Halves uint32
}

// BlocksPack lays a matrix out for Blocks.
var BlocksPack = &Kernel{
	Name: "blocks_pack", File: "blocks_pack.wgsl", Params: BlocksPackParams{},
	Bindings: []Binding{{"params", Uniform}, {"weights", Read}, {"packed", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}
