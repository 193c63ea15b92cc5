package wgsl

// RoPEParams are the parameters of RoPE.
type RoPEParams struct {
	N, Time, QKVStride, Heads, KVHeads, Head, Turned, Length, Normed, First, Count uint32
	Eps                                                                            float32
}

// Values of RoPEParams.Normed, which may be added.
const (
	NormQueries = 1
	NormKeys    = 2
)

// RoPE makes rows ready for Attention. HALF = 1 means a cache of float16, here and there.
var RoPE = &Kernel{
	Name: "rope", File: "rope.wgsl", Params: RoPEParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"qkv", ReadWrite}, {"query_gain", Read}, {"key_gain", Read}, {"angles", Read}, {"position", Read},
		{"keys", ReadWrite}, {"values", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"WORKGROUP": 64, "HALF": 0, "SLOTS": 0, "PACKED": 0},
}

// AdvanceParams are the parameters of Advance.
type AdvanceParams struct{ N uint32 }

// Advance moves a position on.
var Advance = &Kernel{
	Name: "advance", File: "rope_advance.wgsl", Params: AdvanceParams{},
	Bindings: []Binding{{"params", Uniform}, {"position", ReadWrite}, {"slots", Read}},
	Consts:   Consts{"SLOTS": 0},
}

// AttentionParams are the parameters of Attention.
type AttentionParams struct {
	First, Count, Time, QKVStride, Heads, KVHeads, Head, Length, Gate, Parts uint32
	Scale                                                                    float32
}

// AttentionMaxHead is the widest head that Attention can take.
const AttentionMaxHead = 256

// Attention attends with a cache. QUERIES is 4 or 8, QUADS a power of two from 1 to 64, QUERY_QUADS their product. With SPLIT = 1 o
// is for AttentionJoin.
var Attention = &Kernel{
	Name: "attention", File: "attention.wgsl", Params: AttentionParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"qkv", Read}, {"keys", Read}, {"values", Read}, {"position", Read}, {"o", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"QUERIES": 8, "QUADS": 32, "QUERY_QUADS": 256, "HALF": 0, "SLOTS": 0, "SPLIT": 0, "PACKED": 0},
}

// AttentionJoinParams are the parameters of AttentionJoin.
type AttentionJoinParams struct {
	N, QKVStride, Heads, Head, Parts, Gate uint32
}

// AttentionJoin makes one of what Attention gives for parts of the keys.
var AttentionJoin = &Kernel{
	Name: "attention_join", File: "attention_join.wgsl", Params: AttentionJoinParams{},
	Bindings: []Binding{{"params", Uniform}, {"qkv", Read}, {"given", Read}, {"o", ReadWrite}}, Consts: Consts{"WORKGROUP": 64},
}

// GatedConvParams are the parameters of GatedConv.
type GatedConvParams struct {
	N, Time, KeyHeads, Key, Value, Channels, Inputs, Taps uint32
	Scale                                                 float32
}

// GatedConv makes the queries, keys and values of the gated delta rule.
var GatedConv = &Kernel{
	Name: "gated_conv", File: "gateddelta.wgsl", Params: GatedConvParams{},
	Bindings: []Binding{{"params", Uniform}, {"u", Read}, {"conv", Read}, {"tail", Read}, {"qkv", ReadWrite}, {"slots", Read}},
	Consts:   Consts{"WORKGROUP": 64, "SLOTS": 0, "PACKED": 0},
}

// GatedRuleParams are the parameters of GatedRule.
type GatedRuleParams struct {
	Heads, KeyHeads, Key, Value, Channels, Time, Length, Span, Keep, Section uint32
}

// Of GatedRule: how many rows of a state a workgroup takes, and how wide a key may be.
const (
	GatedRuleRows   = 4
	GatedRuleMaxKey = 256
)

// GatedRule is the gated delta rule of sequences in slots; it keeps nothing.
var GatedRule = &Kernel{
	Name: "gated_rule", File: "gateddelta_rule.wgsl", Params: GatedRuleParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"qkv", Read}, {"b", Read}, {"a", Read}, {"decay", Read}, {"bias", Read}, {"state", ReadWrite}, {"o", ReadWrite}, {"slots", Read},
	},
	Consts: Consts{"TILE": TileTokens, "STARTS": 0, "ERRORS": 0, "SLOTS": 0, "PACKED": 0},
}

// GatedOutputParams are the parameters of GatedOutput.
type GatedOutputParams struct {
	N, Time, Heads, Value, Channels, Inputs, Taps uint32
	Eps                                           float32
}

// GatedOutput ends the gated delta rule.
var GatedOutput = &Kernel{
	Name: "gated_output", File: "gateddelta_output.wgsl", Params: GatedOutputParams{},
	Bindings: []Binding{{"params", Uniform}, {"u", Read}, {"gain", Read}, {"tail", ReadWrite}, {"o", ReadWrite}, {"slots", Read}},
	Consts:   Consts{"WORKGROUP": 64, "SLOTS": 0},
}

// HadamardParams are the parameters of Hadamard.
type HadamardParams struct {
	Blocks, Width, Inverse uint32
	Scale, Eps             float32
	Together               uint32
}

// HadamardMaxBlock is how many numbers Hadamard transforms together at most: all of the workgroup memory that WebGPU promises.
const HadamardMaxBlock = 4096

// What comes before a Hadamard in one dispatch.
const (
	HadamardOfNorm = 1 + iota
	HadamardOfSwiGLU
	HadamardOfSquaredReLU
)

// Hadamard is the Walsh-Hadamard transform of each BLOCK neighbours, of what SOURCE makes.
var Hadamard = &Kernel{
	Name: "hadamard", File: "hadamard.wgsl", Params: HadamardParams{},
	Bindings: []Binding{{"params", Uniform}, {"x", Read}, {"signs", Read}, {"gain", Read}, {"y", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64, "BLOCK": 64, "ROOM": 256, "IN_PLACE": 0, "SOURCE": 0},
}

// SquaredReLUParams are the parameters of SquaredReLU.
type SquaredReLUParams struct{ N, Hidden uint32 }

// SquaredReLU is the activation of BitNet's MLP.
var SquaredReLU = &Kernel{
	Name: "squared_relu", File: "squaredrelu.wgsl", Params: SquaredReLUParams{},
	Bindings: []Binding{{"params", Uniform}, {"gate_up", Read}, {"act", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}
