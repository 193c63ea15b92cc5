package view

import "bitgpu/nn"

// matrices are what a picture shows of a layer: a matrix for each head of what it remembers.
type matrices struct {
	title         string // what they are, as in "memory W of layer 3"
	tensor        string // that has them, by its name in nn.StateTensor
	heads         int
	rows, columns int
	step          int  // elements from a head's matrix to the next one's
	stride        int  // elements from a row to the next
	tokens        bool // rows are tokens, of which the last are shown
}

// matricesOf are those of each layer: the matrix that learns, of our own models and of the gated delta rule, and the keys of the last
// tokens, as many as a key is wide, of attention.
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

// first is the row shown first when so many tokens were read.
func (m matrices) first(read int) int {
	if !m.tokens {
		return 0
	}
	return max(read-m.rows, 0)
}
