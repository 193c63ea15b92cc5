package optest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"bitgpu/nn"
	"bitgpu/nn/layer"
	"bitgpu/nn/op"
)

// The blocks of whole models for one token of each sequence, which a backend may run as one operation.

// blocksTolerance is wide because the rounding of each layer propagates through all later ones.
var blocksTolerance = Tolerance{2e-4, 1e-4, "sums of up to some thousand numbers around 1, layer after layer"}

// blocksCase takes a token of each of B sequences through all layers of a model.
func blocksCase[T any](c nn.Config, B int) Case[T] { return blocksFrom[T]("", c, B, 1) }

// blocksFrom is blocksCase with streams of another size, or with sequences in some slots of several.
func blocksFrom[T any](kind string, c nn.Config, B int, std float64, slots ...uint32) Case[T] {
	c = c.WithDefaults()
	name := kind + fmt.Sprintf("%s/%s/D%d/d%d/h%d/N%d/B%d", c.Mixer, c.WeightScale, c.Width, c.MemoryWidth, c.Heads, c.Layers, B)
	return Case[T]{
		Op: "blocks", Name: name, Tolerance: blocksTolerance,
		Make: func(b *Bench[T]) Trial[T] {
			net, rows, outputs := blocksNet(b, c, B, slots, func(p nn.Param) T { return randomParam(b, p, c) })
			return blocksTrial(b, net, rows, b.Normal("start", std, B, c.Width), outputs, B, c.Width)
		},
	}
}

// blocksKnown is a layer computed by hand. The mixer reads zeros and adds nothing. Every unit of the MLP gets the first number of
// the normalised stream, 1, and is therefore silu(1); the first number of the stream receives half of the sum of all 16.
func blocksKnown[T any](c nn.Config) Case[T] {
	c = c.WithDefaults()
	return Case[T]{
		Op: "blocks", Name: "known", Tolerance: Tolerance{2e-5, 0, "1e-5 beside the mean square"},
		Make: func(b *Bench[T]) Trial[T] {
			D, H := c.Width, c.MLPWidth
			column, row := make([]float32, 2*H*D), make([]float32, D*H)
			for i := range 2 * H {
				column[i*D] = 1
			}
			for i := range H {
				row[i] = 1
			}
			net, rows, outputs := blocksNet(b, c, 1, nil, func(p nn.Param) (none T) {
				switch name := strings.TrimPrefix(p.Names[0], "layers.0."); name {
				case "norm1.weight":
					return b.All("norm1", 0, D)
				case "norm2.weight":
					return b.All("norm2", 1, D)
				case "ttt.down.weight":
					return b.Ternary("key", 1, D, 1, true)
				case "ttt.up.weight":
					return b.Ternary("up", D, 1, 1, true)
				case "mlp.gate_proj.weight":
					return b.Packed("gateup", column, []float32{1, 1}, 2*H, D, true)
				case "mlp.down_proj.weight":
					return b.Packed("down", row, []float32{0.5}, D, H, true)
				}
				return none
			})
			t := blocksTrial(b, net, rows, b.Floats("start", []float32{2, -2, 2, -2}, 1, D), outputs, 1, D)
			const silu1 = 0.7310586
			t.Want = map[string][]float32{"h": {2 + 8*silu1, -2, 2, -2}, "state.0": b.Start("state.0")}
			return t
		},
	}
}

// blocksNet makes the blocks of a model for a token of each of B sequences, in a list of slots or in all, and names its states.
func blocksNet[T any](b *Bench[T], c nn.Config, B int, slots []uint32, param func(nn.Param) T) (*nn.Net[T], []T, []string) {
	rows, sets := map[string]T{}, map[string][]T{}
	var outputs []string
	var list T
	S := B
	if slots != nil {
		S, list = B+2, b.IDs("slots", slots, B)
	}
	net := nn.NewNet[T](c, c.DefaultScan()).Bind(nn.Binding[T]{
		Param: func(p nn.Param) (none T) {
			if p.Layer < 0 {
				return none
			}
			return param(p)
		},
		Rows: func(at nn.Place, r layer.Rows) (none T) {
			if r.Chunks {
				return none
			}
			name := at.Kind + r.Name
			if _, ok := rows[name]; !ok {
				rows[name] = b.Stale(name, append([]int{B}, r.Shape...)...)
			}
			return rows[name]
		},
		State: func(at nn.Place, s layer.State) T {
			name, std := "state"+s.Name, 0.2
			if s.Name != "" {
				std = 1
			}
			if sets[name] == nil {
				sets[name] = b.NormalSet(name, c.Layers, std, append([]int{S}, s.Shape...)...)
			}
			outputs = append(outputs, fmt.Sprintf("%s.%d", name, at.Block))
			return sets[name][at.Block]
		},
		Shared: func(which layer.Shared) (none T) {
			if which == layer.Slots {
				return list
			}
			return none
		},
	})
	return net, slices.Collect(maps.Values(rows)), outputs
}

func blocksTrial[T any](b *Bench[T], net *nn.Net[T], rows []T, start T, outputs []string, B, D int) Trial[T] {
	h := b.Stale("h", B, D)
	p := op.Program[T]{&op.Copy[T]{Dst: h, Src: start, N: B * D}}
	for i := range net.Blocks {
		net.Forward(&p, i, h)
	}
	return Trial[T]{Forward: b.programOn(rows, p...), Outputs: append(outputs, "h")}
}

// randomParam makes a parameter of a block.
func randomParam[T any](b *Bench[T], p nn.Param, c nn.Config) T {
	name := p.Names[0]
	switch {
	case p.Kind == layer.Linear:
		return b.Ternary(name, p.Shape[0], p.Shape[1], len(p.Names), c.WeightScale == nn.ScaleAbsmean)
	case strings.Contains(name, "ttt.norm"):
		return b.Near(name, 0.3, 0.1, p.Shape...)
	case strings.Contains(name, "norm"):
		return b.Near(name, 0.1, 0.03, p.Shape...)
	case strings.Contains(name, "step.weight"):
		return b.Normal(name, 0.3, p.Shape...)
	}
	return b.Normal(name, 0.5, p.Shape...)
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
		blocksFrom[T]("slots/", tied(64, 2, nn.ScaleAbsmean), 3, 1, 4, 0, 2),
		blocksFrom[T]("slots/", delta(64, 2, 48, 3, nn.ScaleNone), 2, 1, 3, 1),
		blocksKnown[T](tied(4, 1, nn.ScaleAbsmean)),
		large(blocksCase[T](tied(256, 8, nn.ScaleAbsmean), 1), 8*(256*64*2+12*256*256)/4),
		large(blocksCase[T](delta(256, 8, 256, 4, nn.ScaleAbsmean), 1), 8*(256*256*4+12*256*256)/4),
	}
}
