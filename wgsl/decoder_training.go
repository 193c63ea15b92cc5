package wgsl

// RoPERaw keeps queries and keys as they are before RoPE.
var RoPERaw = &Kernel{
	Name: "rope_raw", File: "rope_raw.wgsl", Params: RoPEParams{},
	Bindings: []Binding{{"params", Uniform}, {"qkv", Read}, {"raw", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// RoPEBackwardParams are the parameters of RoPEBackward and HeadGain.
type RoPEBackwardParams struct {
	N, Time, QKVStride, Heads, KVHeads, Head, Turned, Normed, Gains uint32
	Eps                                                             float32
}

// RoPEBackward turns gradients back, and takes them through the norms of heads.
var RoPEBackward = &Kernel{
	Name: "rope_backward", File: "rope_backward.wgsl", Params: RoPEBackwardParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"dqkv", ReadWrite}, {"raw", ReadWrite}, {"query_gain", Read}, {"key_gain", Read}, {"angles", Read}, {"position", Read},
		{"documents", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "PACKED": 0},
}

// HeadGain adds up what RoPEBackward, or GatedOutputBackward, leaves of each row for the gradients of the gains of heads, and other
// sums over rows.
var HeadGain = &Kernel{
	Name: "head_gain", File: "head_gain.wgsl", Params: RoPEBackwardParams{},
	Bindings: []Binding{{"params", Uniform}, {"raw", Read}, {"query_gradient", ReadWrite}, {"key_gradient", ReadWrite}},
}

// AttentionBackwardParams are the parameters of the backward of attention.
type AttentionBackwardParams struct {
	Time, QKVStride, Heads, KVHeads, Quads, Gate uint32
	Scale                                        float32
}

// AttentionBlock is how many queries, or keys, a workgroup of the backward of attention takes.
const AttentionBlock = 32

func attentionBackward(name string) *Kernel {
	return &Kernel{
		Name: name, File: "attention_backward.wgsl", Params: AttentionBackwardParams{},
		Bindings: []Binding{{"params", Uniform}, {"qkv", Read}, {"dy", Read}, {"stats", ReadWrite}, {"dqkv", ReadWrite}, {"documents", Read}},
		Consts:   Consts{"PACKED": 0},
	}
}

// The backward of attention: what is known of each row of scores first, then the gradients of queries, and of keys and values.
var (
	AttentionRows    = attentionBackward("attention_rows")
	AttentionQueries = attentionBackward("attention_queries")
	AttentionKeys    = attentionBackward("attention_keys")
)

// GatedRuleKept is GatedRule without slots, for the backward: with STARTS = 1 it keeps states, with ERRORS = 1 what values are off by.
var GatedRuleKept = &Kernel{
	Name: "gated_rule_kept", File: "gateddelta_rule_kept.wgsl", Params: GatedRuleParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"qkv", Read}, {"b", Read}, {"a", Read}, {"decay", Read}, {"bias", Read}, {"state", ReadWrite}, {"o", ReadWrite},
		{"starts", ReadWrite},
	},
	Consts: Consts{"TILE": TileTokens, "STARTS": 0, "ERRORS": 0, "PACKED": 0},
}

// GatedBordersParams are the parameters of GatedBorders.
type GatedBordersParams struct{ N, Heads uint32 }

// GatedBorders marks for GatedRule and GatedRuleKept, with PACKED = 1, where documents begin.
var GatedBorders = &Kernel{
	Name: "gated_borders", File: "gateddelta_borders.wgsl", Params: GatedBordersParams{},
	Bindings: []Binding{{"params", Uniform}, {"a", Read}, {"documents", Read}, {"marked", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// GatedOutputBackwardParams are the parameters of GatedOutputBackward.
type GatedOutputBackwardParams struct {
	N, Heads, Value, Channels, Inputs, Gains uint32
	Eps                                      float32
}

// GatedOutputBackward is the backward of GatedOutput.
var GatedOutputBackward = &Kernel{
	Name: "gated_output_backward", File: "gateddelta_output_backward.wgsl", Params: GatedOutputBackwardParams{},
	Bindings: []Binding{{"params", Uniform}, {"dy", ReadWrite}, {"u", Read}, {"gain", Read}, {"o", ReadWrite}, {"du", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// GatedProductsParams are the parameters of GatedProducts.
type GatedProductsParams struct {
	Heads, KeyHeads, Key, Channels, Time, Length, Span, Keep uint32
}

// GatedProducts makes what GatedReverse and GatedInputs need of keys, queries and gates.
var GatedProducts = &Kernel{
	Name: "gated_products", File: "gateddelta_products.wgsl", Params: GatedProductsParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"qkv", Read}, {"b", Read}, {"a", Read}, {"decay", Read}, {"bias", Read}, {"products", ReadWrite}, {"gates", ReadWrite},
		{"documents", Read},
	},
	Consts: Consts{"TILE": TileTokens, "PACKED": 0},
}

// Places in the working memory of GatedReverse and GatedInputs, in sections of n·V·v.
const (
	GatedWorkDZ = iota // before that what GatedRule gives
	GatedWorkE
	GatedWorkDR
	GatedWorkDF
	GatedWorkSections
)

func gatedBackward(name string) *Kernel {
	return &Kernel{
		Name: name, File: "gateddelta_backward.wgsl", Params: GatedRuleParams{},
		Bindings: []Binding{
			{"params", Uniform}, {"qkv", Read}, {"products", Read}, {"gates", Read}, {"states", Read},
			{"dstates", ReadWrite}, {"work", ReadWrite}, {"dqkv", ReadWrite}, {"dgates", ReadWrite},
		},
		Consts: Consts{"TILE": TileTokens, "PACKED": 0},
	}
}

// GatedReverse and GatedInputs, in this order, are the backward of the gated delta rule.
var (
	GatedReverse = gatedBackward("gated_reverse")
	GatedInputs  = gatedBackward("gated_inputs")
)

// GatedSlopesParams are the parameters of GatedSlopes.
type GatedSlopesParams struct{ N, Heads uint32 }

// GatedSlopes makes the gradients of the gates' projections, and of the decays by row.
var GatedSlopes = &Kernel{
	Name: "gated_slopes", File: "gateddelta_slopes.wgsl", Params: GatedSlopesParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"dgates", Read}, {"b", Read}, {"a", Read}, {"decay", Read}, {"bias", Read}, {"db", ReadWrite}, {"da", ReadWrite}, {"dlog", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 64},
}

func gatedConvBackward(name string) *Kernel {
	return &Kernel{
		Name: name, File: "gateddelta_conv_backward.wgsl", Params: GatedConvParams{},
		Bindings: []Binding{{"params", Uniform}, {"u", Read}, {"conv", Read}, {"dqkv", ReadWrite}, {"du", ReadWrite}, {"documents", Read}},
		Consts:   Consts{"WORKGROUP": 64, "PACKED": 0},
	}
}

// GatedConvActivation and GatedConvInputs, in this order, are the backward of GatedConv.
var (
	GatedConvActivation = gatedConvBackward("gated_conv_activation")
	GatedConvInputs     = gatedConvBackward("gated_conv_inputs")
)

// GatedConvTaps adds up the gradient of the taps from what GatedConvActivation made.
var GatedConvTaps = &Kernel{
	Name: "gated_conv_taps", File: "gateddelta_conv_taps.wgsl", Params: GatedConvParams{},
	Bindings: []Binding{{"params", Uniform}, {"u", Read}, {"dy", Read}, {"dconv", ReadWrite}, {"documents", Read}},
	Consts:   Consts{"PACKED": 0},
}
