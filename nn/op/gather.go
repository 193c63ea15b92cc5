package op

// sequences returns how many sequences an operation with states (S, …) in slots takes.
func sequences[T any](v Visitor[T], states, slots T) int {
	if s := v.Shape(slots); len(s) > 0 {
		return s[0]
	}
	return axis(v, states, 0)
}

// slotsArg shows the optional list of slots.
func slotsArg[T any](v Visitor[T], slots *T) {
	v.Arg("slots", Reads|Optional, slots, axis(v, *slots, 0))
}

// Gather copies rows Slots (n) of Src (S, …) to Dst (n, …), both F32 or both U32.
type Gather[T any] struct{ Dst, Src, Slots T }

// Name implements Op.
func (o *Gather[T]) Name() string { return "Gather" }

// Args implements Op.
func (o *Gather[T]) Args(v Visitor[T]) {
	n, each := rows(v, o.Dst)
	v.Arg("source", Reads, &o.Src, axis(v, o.Src, 0), each)
	v.Arg("slots", Reads, &o.Slots, n)
	v.Arg("destination", Writes, &o.Dst, n, each)
}

// Scatter copies the rows of Src (n, …) to rows Slots (n) of Dst (S, …), both F32 or both U32. No slot may occur twice.
type Scatter[T any] struct{ Dst, Src, Slots T }

// Name implements Op.
func (o *Scatter[T]) Name() string { return "Scatter" }

// Args implements Op.
func (o *Scatter[T]) Args(v Visitor[T]) {
	n, each := rows(v, o.Src)
	v.Arg("source", Reads, &o.Src, n, each)
	v.Arg("slots", Reads, &o.Slots, n)
	v.Arg("destination", Updates, &o.Dst, axis(v, o.Dst, 0), each)
}
