package bench

import (
	"slices"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
	"bitgpu/nn/train"
)

// testModel is a model that is measured.
type testModel struct {
	size   Size
	mixer  string
	config nn.Config
	host   *nn.Weights[op.HostTensor] // float32
}

func newTestModel(size Size, mixer string) testModel {
	c := size.config(mixer)
	return testModel{size, mixer, c, train.InitialWeights(c, 1)}
}

// withHead returns the model's weights with the head in another format.
func (m testModel) withHead(format op.Format) *nn.Weights[op.HostTensor] {
	w := slices.Clone(*m.host)
	*w.Head(m.config) = convertTable(*w.Head(m.config), format)
	return &w
}

// costs is what a model has to do at least.
type costs struct{ bytes, flops float64 }

// each divides a step's costs among its tokens.
func (c costs) each(tokens int) costs {
	return costs{c.bytes / float64(tokens), c.flops / float64(tokens)}
}

// reading returns what `time` tokens of each of `batch` sequences cost: the weights and the memories
// once, arithmetic for every token, and logits for some rows.
func (m testModel) reading(head op.Format, batch, time, rows int) costs {
	c := m.config
	n := float64(batch * time)
	var total costs
	nn.Walk(c, m.host, func(p nn.Param, _ *op.HostTensor) {
		count := float64(op.Count(p.Shape))
		switch {
		case p.Kind == layer.Linear:
			total.bytes += float64(packed(p.Shape[0], p.Shape[1])) + 4*float64(len(p.Names))
			total.flops += 2 * n * count
		case p.Kind == layer.Gain:
			total.bytes += 4 * count
			total.flops += 2 * n * count
		}
	})
	total.bytes += n * float64(tableBytes(op.F32, 1, c.Width)) // rows of the embedding
	total.bytes += float64(tableBytes(head, c.Vocab, c.Width))
	total.flops += 2 * float64(rows) * float64(c.Vocab) * float64(c.Width)
	state := float64(c.MemoryWidth * c.HeadWidth())
	products := 2.0 // predict, update
	if how, _ := c.Learning(); !how.Tied {
		products = 3 // and answer the query
	}
	total.bytes += 2 * 4 * float64(batch*c.Layers) * state
	total.flops += 2 * products * n * float64(c.Layers) * state
	return total
}

// training returns what a step on `batch` sequences of `time` tokens costs. The backward of a product is
// two products, and AdamW reads a gradient, and reads and writes the weights and two moments. Float
// activations are left out, because they may stay in caches.
func (m testModel) training(batch, time int) costs {
	forward := m.reading(op.F32, batch, time, batch*time)
	return costs{
		bytes: forward.bytes + 7*4*float64(m.config.ParamCount()),
		flops: 3*forward.flops + 14*float64(m.config.ParamCount()),
	}
}
