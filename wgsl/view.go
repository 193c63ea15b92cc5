package wgsl

// LossParams are the parameters of InnerLoss.
type LossParams struct {
	Width, Head, Layer, History uint32
}

// InnerLoss makes a layer's inner loss, with TIED = 1 that of the tied mixer.
var InnerLoss = &Kernel{
	Name: "inner_loss", File: "view/loss.wgsl", Params: LossParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"kqv", Read}, {"before", Read}, {"losses", ReadWrite}, {"counts", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 64, "TIED": 0},
}

// RangeParams are the parameters of RangeOfMemory and RangeOfLosses.
type RangeParams struct {
	Axis, Steps, Wide uint32
}

var rangeBindings = []Binding{{"params", Uniform}, {"values", Read}, {"curves", Read}, {"ladder", Read}, {"ranges", ReadWrite}}

// RangeOfMemory and RangeOfLosses find the range that an axis of a picture has.
var (
	RangeOfMemory = &Kernel{
		Name: "range_of_memory", File: "view/range.wgsl", Params: RangeParams{}, Bindings: rangeBindings, Consts: Consts{"WORKGROUP": 64},
	}
	RangeOfLosses = &Kernel{
		Name: "range_of_losses", File: "view/range.wgsl", Params: RangeParams{}, Bindings: rangeBindings, Consts: Consts{"WORKGROUP": 64},
	}
)

// RectangleParams are the parameters of DrawRectangles.
type RectangleParams struct {
	Width uint32
}

// DrawRectangles fills rectangles of a picture.
var DrawRectangles = &Kernel{
	Name: "draw_rectangles", File: "view/rectangles.wgsl", Params: RectangleParams{},
	Bindings: []Binding{{"params", Uniform}, {"rectangles", Read}, {"picture", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// GlyphParams are the parameters of DrawGlyphs.
type GlyphParams struct {
	Width, CellWidth, CellHeight, Row uint32
}

// DrawGlyphs writes text into a picture.
var DrawGlyphs = &Kernel{
	Name: "draw_glyphs", File: "view/glyphs.wgsl", Params: GlyphParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"atlas", Read}, {"labels", Read}, {"ranges", Read}, {"glyphs", Read}, {"picture", ReadWrite},
	},
	Consts: Consts{"WORKGROUP": 64},
}

// HeatParams are the parameters of HeatMap and HeatScale.
type HeatParams struct {
	Width, X, Y, Wide, High, First, Rows, Columns, Stride, Axis uint32
}

var heatBindings = []Binding{
	{"params", Uniform}, {"state", Read}, {"ladder", Read}, {"ranges", Read}, {"picture", ReadWrite},
}

// HeatMap draws a matrix, HeatScale the colours with which it does.
var (
	HeatMap = &Kernel{
		Name: "heat_map", File: "view/heat.wgsl", Params: HeatParams{}, Bindings: heatBindings,
	}
	HeatScale = &Kernel{
		Name: "heat_scale", File: "view/heat.wgsl", Params: HeatParams{}, Bindings: heatBindings,
	}
)

// TraceParams are the parameters of TraceCurves.
type TraceParams struct {
	History, Room, Wide, Reach uint32
}

// TraceCurves makes what the curves of a chart do in each column of pixels.
var TraceCurves = &Kernel{
	Name: "trace_curves", File: "view/trace.wgsl", Params: TraceParams{},
	Bindings: []Binding{{"params", Uniform}, {"losses", Read}, {"curves", Read}, {"columns", ReadWrite}},
	Consts:   Consts{"WORKGROUP": 64},
}

// CurveParams are the parameters of DrawCurves.
type CurveParams struct {
	Width, X, Y, Wide, High, Axis, Faint, Between uint32
}

// DrawCurves draws losses over the tokens.
var DrawCurves = &Kernel{
	Name: "draw_curves", File: "view/curves.wgsl", Params: CurveParams{},
	Bindings: []Binding{
		{"params", Uniform}, {"curves", Read}, {"columns", Read}, {"ladder", Read}, {"ranges", Read}, {"picture", ReadWrite},
	},
}

// PresentParams are the parameters of Present.
type PresentParams struct {
	Width, Height, Across, Down uint32
}

// Present shows a picture on a surface.
var Present = &Kernel{
	Name: "present", Vertex: "present_corners", File: "view/present.wgsl", Params: PresentParams{},
	Bindings: []Binding{{"params", Uniform}, {"picture", Read}},
}
