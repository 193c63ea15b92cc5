package view

import "bitgpu/nn"

// matrices describes what a picture shows of a layer's memory: a matrix for each head.
type matrices struct {
	title         string // as in "memory W of layer 3"
	tensor        string // the tensor that holds them, by its name in nn.StateTensor
	heads         int
	rows, columns int
	step          int  // elements from a head's matrix to the next one's
	stride        int  // elements from a row to the next
	tokens        bool // rows are tokens, of which the last are shown
}

// matricesOf returns those of each layer: for our own models and the gated delta rule the matrix that learns, and for attention the
// keys of the last tokens, as many as a key is wide.
func matricesOf(c nn.Config) []matrices {
	list := make([]matrices, c.Layers)
	for _, k := range c.Kept() {
		m := &list[k.Block]
		switch d := c.Decoder; {
		case d != nil && k.Name == "key":
			*m = matrices{"keys", k.Name, d.KVHeads, min(k.Shape[0], d.HeadWidth), d.HeadWidth, d.HeadWidth, d.KVHeads * d.HeadWidth, true}
		case d != nil && k.Name != "state", m.heads > 0: // values, and tails of convolutions
		case len(k.Shape) == 3:
			*m = matrices{"memory W", k.Name, k.Shape[0], k.Shape[1], k.Shape[2], k.Shape[1] * k.Shape[2], k.Shape[2], false}
		default:
			*m = matrices{"memory W", k.Name, 1, k.Shape[0], k.Shape[1], 0, k.Shape[1], false}
		}
	}
	return list
}

// first returns the first row that is shown after `read` tokens.
func (m matrices) first(read int) int {
	if !m.tokens {
		return 0
	}
	return max(read-m.rows, 0)
}
