package tokenizer

// A template puts special tokens around the ids of a text.
type template []templatePiece

type templatePiece struct {
	text bool     // the ids of the text, else
	ids  []uint32 // those of a special token
}

// apply leaves the special tokens out unless addSpecial.
func (t template) apply(ids []uint32, addSpecial bool) []uint32 {
	var out []uint32
	for _, p := range t {
		if p.text {
			out = append(out, ids...)
		} else if addSpecial {
			out = append(out, p.ids...)
		}
	}
	return out
}
