package wgsl

// LowRankParams are the parameters of LowRankIn and LowRankOut.
type LowRankParams struct {
	N, Width, Between, Rank, Total, First, Rows, Group uint32
	Scale                                              float32
}

// LowRankBackwardParams are the parameters of the backward of a low-rank adapter.
type LowRankBackwardParams struct {
	N, Width, Between, Rank, Total, First, Rows, Group, Add uint32
	Scale                                                   float32
}

var lowRankBindings = []Binding{{"params", Uniform}, {"x", Read}, {"a", Read}, {"b", Read}, {"low", ReadWrite}, {"y", ReadWrite}}

// LowRankIn makes what an adapter has between its matrices, then LowRankOut adds to the rows of a product.
var (
	LowRankIn = &Kernel{
		Name: "low_rank_in", File: "lowrank.wgsl", Params: LowRankParams{}, Bindings: lowRankBindings, Consts: Consts{"WORKGROUP": 64, "INT8": 0},
	}
	LowRankOut = &Kernel{
		Name: "low_rank_out", File: "lowrank.wgsl", Params: LowRankParams{}, Bindings: lowRankBindings, Consts: Consts{"WORKGROUP": 64, "INT8": 0},
	}
)

var lowRankBackwardBindings = []Binding{
	{"params", Uniform}, {"dy", Read}, {"x", Read}, {"a", Read}, {"b", Read}, {"low", Read}, {"dlow", ReadWrite}, {"change", ReadWrite},
}

func lowRankBackward(name string) *Kernel {
	return &Kernel{
		Name: name, File: "lowrank_backward.wgsl", Params: LowRankBackwardParams{}, Bindings: lowRankBackwardBindings, Consts: Consts{"WORKGROUP": 64, "INT8": 0},
	}
}

// The backward of an adapter: what is between its matrices first, then each of them and the input.
var (
	LowRankDLow = lowRankBackward("low_rank_dlow")
	LowRankDB   = lowRankBackward("low_rank_db")
	LowRankDA   = lowRankBackward("low_rank_da")
	LowRankDX   = lowRankBackward("low_rank_dx")
)

// LowRankMergeParams are the parameters of LowRankMerge.
type LowRankMergeParams struct {
	Width, Rank, Rows, Base, To, First, Group, Merge uint32
	Scale                                            float32
}

// LowRankMerge adds an adapter to masters.
var LowRankMerge = &Kernel{
	Name: "low_rank_merge", File: "lowrank_merge.wgsl", Params: LowRankMergeParams{},
	Bindings: []Binding{{"params", Uniform}, {"base", Read}, {"a", Read}, {"b", Read}, {"w", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}
