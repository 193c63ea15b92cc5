package view

import (
	"image"

	"bitgpu/gpu"
	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/webgpu"
	"bitgpu/wgsl"
)

// canvas holds what a picture is made of on the device.
type canvas struct {
	ops    *webgpu.Ops
	dev    *gpu.Device
	config nn.Config
	owned  []*gpu.Buffer

	picture    *gpu.Buffer // (Height, Width) pixels
	background *gpu.Buffer // one rectangle
	rectangles *gpu.Buffer
	glyphs     *gpu.Buffer
	font       *gpu.Buffer
	labels     *gpu.Buffer
	ladder     *gpu.Buffer
	history    int         // tokens whose losses are kept
	losses     *gpu.Buffer // (N, history), or of a model without inner losses those of the prediction in layer 0's place
	counts     *gpu.Buffer // (N)
	curves     *gpu.Buffer // those that are shown, as view/curves.wgsl has them
	columns    *gpu.Buffer // (curves, columns of the chart, 4) what they do there
	ranges     *gpu.Buffer // steps of the ladder: of each memory, of the losses
	layout
	memories []*gpu.Buffer // (N) the session's, that the matrices are of
	before   []*gpu.Buffer // (N) the memories before the token that is read, where there are inner losses

	innerLoss, rangeOfMemory, rangeOfLosses, drawRectangles, drawGlyphs, heatMap, heatScale, traceCurves, drawCurves *gpu.Pipeline
}

// newCanvas makes the canvas for what a session remembers. If that fails, the device keeps the error.
func newCanvas(ops *webgpu.Ops, c nn.Config, s *nn.Session[*webgpu.Tensor], l layout, a *atlas, history int) *canvas {
	v := &canvas{ops: ops, dev: ops.Device(), config: c, history: history, layout: l}
	for layer, m := range v.shown {
		tensor, _ := s.Kept(layer, m.tensor)
		v.memories = append(v.memories, ops.Buffer(tensor))
	}
	v.picture = v.buffer("picture", 4*Width*Height)
	v.background = v.filled("background", gpu.Bytes([]uint32{0, pair(Width, Height), white, 0}))
	v.rectangles = v.buffer("rectangles", 16*maxRectangles)
	v.glyphs = v.buffer("glyphs", 16*maxGlyphs)
	v.font = v.filled("font", append(a.coverage, make([]byte, -len(a.coverage)&3)...))
	v.labels = v.filled("labels", gpu.Bytes(labels(a)))
	v.ladder = v.filled("ladder", gpu.Bytes(ladder()))
	v.losses = v.buffer("losses", 4*c.Layers*history)
	v.counts = v.buffer("counts", 4*c.Layers)
	curves := max(c.Layers, len(ordinals))
	v.curves = v.buffer("curves", 16*(1+curves))
	v.columns = v.buffer("columns", 16*curves*l.chartArea().Dx())
	v.ranges = v.buffer("ranges", 4*(c.Layers+1))
	if how, learns := c.Learning(); learns {
		for range c.Layers {
			v.before = append(v.before, v.buffer("memory before", 4*c.MemoryWidth*c.HeadWidth()))
		}
		var tied wgsl.Consts
		if how.Tied {
			tied = wgsl.Consts{"TIED": 1}
		}
		v.innerLoss = v.dev.Pipeline(wgsl.InnerLoss, tied)
		s.Observe(v.observe)
	}
	v.rangeOfMemory, v.rangeOfLosses = v.dev.Pipeline(wgsl.RangeOfMemory, nil), v.dev.Pipeline(wgsl.RangeOfLosses, nil)
	v.drawRectangles, v.drawGlyphs = v.dev.Pipeline(wgsl.DrawRectangles, nil), v.dev.Pipeline(wgsl.DrawGlyphs, nil)
	v.heatMap, v.heatScale = v.dev.Pipeline(wgsl.HeatMap, nil), v.dev.Pipeline(wgsl.HeatScale, nil)
	v.traceCurves = v.dev.Pipeline(wgsl.TraceCurves, nil)
	v.drawCurves = v.dev.Pipeline(wgsl.DrawCurves, nil)
	return v
}

func (v *canvas) buffer(label string, bytes int) *gpu.Buffer {
	b := v.dev.NewBuffer(label, bytes)
	v.owned = append(v.owned, b)
	return b
}

func (v *canvas) filled(label string, data []byte) *gpu.Buffer {
	b := v.buffer(label, len(data))
	v.dev.Write(b, 0, data)
	return b
}

func (v *canvas) release() {
	for _, b := range v.owned {
		b.Release()
	}
	v.owned = nil
}

// observe records the computation of a block's inner loss after it has read a token.
func (v *canvas) observe(block int, m layer.Memory[*webgpu.Tensor]) {
	c := v.config
	_, seen := m.Memory()
	params := wgsl.LossParams{Width: uint32(c.MemoryWidth), Head: uint32(c.HeadWidth()), Layer: uint32(block), History: uint32(v.history)}
	v.dispatch(v.innerLoss, gpu.Params(&params), 1, 1, v.ops.Buffer(seen), v.before[block], v.losses, v.counts)
	v.dev.Copy(v.before[block], 0, v.memories[block], 0, v.before[block].Size())
}

func (v *canvas) dispatch(p *gpu.Pipeline, params []byte, x, y int, buffers ...*gpu.Buffer) {
	bindings := make([]gpu.Binding, len(buffers))
	for i, b := range buffers {
		bindings[i] = b.All()
	}
	v.dev.Dispatch(p, params, bindings, uint32(x), uint32(y), 1)
}

// lossAxis returns the number of the losses' axis; the axes of the memories have the numbers of their layers.
func lossAxis(c nn.Config) int { return c.Layers }

// lose writes the loss of a token's prediction, in place of an inner loss.
func (v *canvas) lose(token int, loss float32) {
	v.dev.Write(v.losses, 4*(token%v.history), gpu.Bytes([]float32{loss}))
}

// draw records the drawing of the whole picture after `read` tokens.
func (v *canvas) draw(p *page, selected, read int, k chart) {
	c := v.config
	v.dev.Write(v.curves, 0, gpu.Bytes(k.words()))
	for layer := range c.Layers {
		v.chooseRange(v.rangeOfMemory, layer, v.memories[layer])
	}
	area := v.chartArea()
	trace := wgsl.TraceParams{History: uint32(v.history), Room: uint32(k.room), Wide: uint32(area.Dx()), Reach: uint32(k.reach)}
	v.dispatch(v.traceCurves, gpu.Params(&trace), (area.Dx()+63)/64, len(k.curves), v.losses, v.curves, v.columns)
	v.chooseRange(v.rangeOfLosses, lossAxis(c), v.columns)
	v.dev.Write(v.rectangles, 0, gpu.Bytes(p.rectangles))
	v.dev.Write(v.glyphs, 0, gpu.Bytes(p.glyphs))
	const shares = 16 // workgroups of a rectangle
	plain := wgsl.RectangleParams{Width: Width}
	v.dispatch(v.drawRectangles, gpu.Params(&plain), 64*shares, 1, v.background, v.picture)
	v.dispatch(v.drawRectangles, gpu.Params(&plain), shares, len(p.rectangles)/4, v.rectangles, v.picture)

	v.drawMaps(selected, read, v.shown[selected].large())
	first, areas := v.thumbs(selected)
	for i, area := range areas {
		v.drawMaps(first+i, read, v.shown[first+i].in(area, 0, 1))
	}
	v.drawHeat(v.heatScale, v.memories[selected], v.scale, matrices{}, 0, selected)
	curves := wgsl.CurveParams{
		Width: Width, X: uint32(area.Min.X), Y: uint32(area.Min.Y), Wide: uint32(area.Dx()), High: uint32(area.Dy()), Axis: uint32(lossAxis(c)),
	}
	if k.reach > 0 {
		curves.Faint = 1
	}
	if k.between {
		curves.Between = 1
	}
	v.dispatch(v.drawCurves, gpu.Params(&curves), tiles(area.Dx()), tiles(area.Dy()), v.curves, v.columns, v.ladder, v.ranges, v.picture)

	text := wgsl.GlyphParams{Width: Width, CellWidth: cellWidth, CellHeight: cellHeight, Row: rowWidth}
	v.dispatch(v.drawGlyphs, gpu.Params(&text), len(p.glyphs)/4, 1, v.font, v.labels, v.ranges, v.glyphs, v.picture)
}

// chooseRange finds the range of an axis.
func (v *canvas) chooseRange(p *gpu.Pipeline, axis int, values *gpu.Buffer) {
	params := wgsl.RangeParams{Axis: uint32(axis), Steps: uint32(v.ladder.Size() / 4), Wide: uint32(v.chartArea().Dx())}
	v.dispatch(p, gpu.Params(&params), 1, 1, values, v.curves, v.ladder, v.ranges)
}

// drawMaps draws what a layer remembers, one head in each area.
func (v *canvas) drawMaps(layer, read int, areas []image.Rectangle) {
	m := v.shown[layer]
	for head, area := range areas {
		v.drawHeat(v.heatMap, v.memories[layer], area, m, head*m.step+m.first(read)*m.stride, layer)
	}
}

func (v *canvas) drawHeat(p *gpu.Pipeline, memory *gpu.Buffer, area image.Rectangle, m matrices, first, axis int) {
	params := wgsl.HeatParams{
		Width: Width, X: uint32(area.Min.X), Y: uint32(area.Min.Y), Wide: uint32(area.Dx()), High: uint32(area.Dy()),
		First: uint32(first), Rows: uint32(m.rows), Columns: uint32(m.columns), Stride: uint32(m.stride), Axis: uint32(axis),
	}
	v.dispatch(p, gpu.Params(&params), tiles(area.Dx()), tiles(area.Dy()), memory, v.ladder, v.ranges, v.picture)
}

// tiles returns how many workgroups of 8 × 8 threads cover a number of pixels in one direction.
func tiles(pixels int) int { return (pixels + 7) / 8 }
