package optest

import (
	"fmt"

	"bitgpu/nn"
)

// blocksTolerance is wide because each layer's roundings go through all later ones.
var blocksTolerance = Tolerance{2e-4, 1e-4, "sums of up to some thousand numbers around 1, layer after layer"}

// blocksCase takes a token of each of B sequences through all layers of a model.
func blocksCase[T any](c nn.Config, B int) Case[T] { return blocksFrom[T]("", c, B, 1) }

// blocksFrom is blocksCase with streams of another size.
func blocksFrom[T any](kind string, c nn.Config, B int, std float64) Case[T] {
	c = c.WithDefaults()
	name := kind + fmt.Sprintf("%s/%s/D%d/d%d/h%d/N%d/B%d", c.Mixer, c.WeightScale, c.Width, c.MemoryWidth, c.Heads, c.Layers, B)
	return Case[T]{
		Op: "blocks", Name: name, Tolerance: blocksTolerance,
		Make: func(b *Bench[T]) Trial[T] {
			layers := make([]nn.Layer[T], c.Layers)
			for i := range layers {
				layers[i] = randomLayer(b, fmt.Sprint("layer", i), c)
			}
			h, start := b.Stale("h", B, c.Width), b.Normal("start", std, B, c.Width)
			memories := b.NormalSet("memory", c.Layers, 0.2, B, c.Heads, c.HeadWidth(), c.HeadWidth())
			states := make([]nn.LayerState[T], c.Layers)
			outputs := []string{"h"}
			for i, m := range memories {
				states[i].Memory = m
				outputs = append(outputs, fmt.Sprint("memory.", i))
			}
			if c.Delta() {
				for i, t := range b.NormalSet("tail", c.Layers, 1, B, 3, nn.ConvTail, c.MemoryWidth) {
					states[i].Tail = t
					outputs = append(outputs, fmt.Sprint("tail.", i))
				}
			}
			a := benchActivations(b, c, B)
			a.In, a.Mid = h, h
			return Trial[T]{
				Forward: func() {
					b.Ops.Copy(h, 0, start, 0, B*c.Width)
					b.Ops.Blocks(h, layers, states, a, c)
				},
				Outputs: outputs,
			}
		},
	}
}

// blocksKnown is a layer by hand: the mixer sees nothing and adds nothing; every unit of the MLP sees the first number of
// the normalised stream, which is 1, so that it is silu(1), and the first number receives half of all 16.
func blocksKnown[T any](c nn.Config) Case[T] {
	c = c.WithDefaults()
	return Case[T]{
		Op: "blocks", Name: "known", Tolerance: Tolerance{2e-5, 0, "1e-5 beside the mean square"},
		Make: func(b *Bench[T]) Trial[T] {
			D, H := c.Width, c.MLPWidth()
			column, row := make([]float32, 2*H*D), make([]float32, D*H)
			for i := range 2 * H {
				column[i*D] = 1
			}
			for i := range H {
				row[i] = 1
			}
			layer := nn.Layer[T]{
				Norm1: b.All("norm1", 0, D), Norm2: b.All("norm2", 1, D),
				Mix: b.Ternary("mix", 1, D, 1, true), Up: b.Ternary("up", D, 1, 1, true),
				GateUp: b.Packed("gateup", column, []float32{1, 1}, 2*H, D, true), Down: b.Packed("down", row, []float32{0.5}, D, H, true),
			}
			h, start := b.Stale("h", 1, D), b.Floats("start", []float32{2, -2, 2, -2}, 1, D)
			states := []nn.LayerState[T]{{Memory: b.NormalSet("memory", 1, 1, 1, 1, 1, 1)[0]}}
			a := benchActivations(b, c, 1)
			a.In, a.Mid = h, h
			const silu1 = 0.7310586
			return Trial[T]{
				Forward: func() {
					b.Ops.Copy(h, 0, start, 0, D)
					b.Ops.Blocks(h, []nn.Layer[T]{layer}, states, a, c)
				},
				Outputs: []string{"h", "memory.0"},
				Want:    map[string][]float32{"h": {2 + 8*silu1, -2, 2, -2}, "memory.0": b.Start("memory.0")},
			}
		},
	}
}

// randomLayer makes a layer's parameters.
func randomLayer[T any](b *Bench[T], name string, c nn.Config) nn.Layer[T] {
	D, d, H := c.Width, c.MemoryWidth, c.MLPWidth()
	ternary := func(part string, rows, cols, blocks int) T {
		return b.Ternary(name+part, rows, cols, blocks, c.WeightScale == nn.ScaleAbsmean)
	}
	l := nn.Layer[T]{
		Norm1: b.Near(name+".norm1", 0.1, 0.03, D), Norm2: b.Near(name+".norm2", 0.1, 0.03, D),
		Mix: ternary(".mix", c.MixWidth(), D, c.MixWidth()/d), Up: ternary(".up", D, d, 1),
		GateUp: ternary(".gateup", 2*H, D, 2), Down: ternary(".down", D, H, 1),
	}
	if c.Delta() {
		l.Conv, l.Step = b.Normal(name+".conv", 0.5, 3, d, nn.ConvTaps), b.Normal(name+".step", 0.3, c.Heads, D)
		l.StepBias, l.MixNorm = b.Normal(name+".bias", 0.5, c.Heads), b.Near(name+".mixnorm", 0.3, 0.1, c.HeadWidth())
	}
	return l
}

// benchActivations is room for one block's activations that ends with the bench.
func benchActivations[T any](b *Bench[T], c nn.Config, n int) *nn.Activations[T] {
	s := &scope[T]{Ops: b.Ops}
	a := nn.NewActivations[T](s, c, n)
	for i, t := range s.made {
		b.keep(fmt.Sprint("activations.", i), tensor[T]{x: t})
	}
	return a
}

func blocksCases[T any]() []Case[T] {
	tied := func(D, layers int, scale string) nn.Config {
		return nn.Config{Vocab: 1, Width: D, Layers: layers, InnerLR: 0.3, Mixer: nn.MixerTied, WeightScale: scale}
	}
	delta := func(D, layers, d, heads int, scale string) nn.Config {
		return nn.Config{Vocab: 1, Width: D, Layers: layers, Mixer: nn.MixerDelta, MemoryWidth: d, Heads: heads, WeightScale: scale}
	}
	return []Case[T]{
		blocksCase[T](tied(4, 1, nn.ScaleNone), 1),
		blocksCase[T](tied(36, 2, nn.ScaleAbsmean), 3),
		blocksCase[T](tied(64, 3, nn.ScaleNone), 1),
		blocksCase[T](tied(256, 1, nn.ScaleAbsmean), 2),
		blocksCase[T](tied(512, 1, nn.ScaleAbsmean), 1),
		blocksCase[T](tied(516, 1, nn.ScaleAbsmean), 1), // wider than one workgroup may take
		blocksCase[T](delta(36, 2, 9, 1, nn.ScaleAbsmean), 1),
		blocksCase[T](delta(36, 2, 15, 3, nn.ScaleNone), 3),
		blocksCase[T](delta(64, 3, 64, 4, nn.ScaleAbsmean), 2),
		blocksCase[T](delta(64, 1, 70, 70, nn.ScaleAbsmean), 1), // more heads
		blocksCase[T](delta(256, 2, 256, 4, nn.ScaleAbsmean), 1),
		blocksCase[T](delta(512, 1, 512, 8, nn.ScaleAbsmean), 1),
		blocksFrom[T]("extreme/large/", tied(64, 2, nn.ScaleAbsmean), 1, 1e4),
		blocksFrom[T]("extreme/large/", delta(64, 2, 64, 4, nn.ScaleAbsmean), 1, 1e4),
		blocksFrom[T]("extreme/zeros/", tied(64, 2, nn.ScaleAbsmean), 1, 0),
		blocksFrom[T]("extreme/zeros/", delta(64, 2, 64, 4, nn.ScaleAbsmean), 1, 0),
		blocksKnown[T](tied(4, 1, nn.ScaleAbsmean)),
		{
			Op: "blocks", Name: "refuses/stream", Refuses: true,
			Make: func(b *Bench[T]) Trial[T] {
				c := tied(8, 1, nn.ScaleNone).WithDefaults()
				a := nn.Activations[T]{}
				h := b.Stale("narrow", 1, 4)
				return Trial[T]{Forward: func() { b.Ops.Blocks(h, make([]nn.Layer[T], 1), make([]nn.LayerState[T], 1), &a, c) }}
			},
		},
		large(blocksCase[T](tied(256, 8, nn.ScaleAbsmean), 1), 8*(256*64*2+12*256*256)/4),
		large(blocksCase[T](delta(256, 8, 256, 4, nn.ScaleAbsmean), 1), 8*(256*256*4+12*256*256)/4),
	}
}
