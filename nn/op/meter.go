package op

// Meter is a Tensors without tensors: it counts the bytes that would be allocated on a float32 device. It lacks the methods
// that read or write tensors.
type Meter struct {
	Tensors[struct{}]
	Bytes float64 // allocated so far; a float so that no shape overflows it
	Ahead int     // the device's Lookahead; 0 means 1
}

func (m *Meter) add(bytes float64, shape ...int) struct{} {
	for _, n := range shape {
		bytes *= float64(n)
	}
	m.Bytes += bytes
	return struct{}{}
}

// New implements Tensors.
func (m *Meter) New(f Format, shape ...int) struct{} {
	if f == F16 {
		return m.add(2, shape...)
	}
	return m.add(4, shape...)
}

// NewSet implements Tensors.
func (m *Meter) NewSet(n int, f Format, shape ...int) []struct{} {
	for range n {
		m.New(f, shape...)
	}
	return make([]struct{}, n)
}

// NewGrowing implements Tensors. It counts the whole capacity.
func (m *Meter) NewGrowing(n int, f Format, shape ...int) []struct{} { return m.NewSet(n, f, shape...) }

// NewTernary implements Tensors.
func (m *Meter) NewTernary(rows, cols, blocks int, _ bool) struct{} {
	m.add(4, blocks)
	return m.add(1, rows, (cols+3)/4)
}

// NewGroups implements Tensors.
func (m *Meter) NewGroups(rows, cols, group int) struct{} {
	m.add(2, rows, cols/group)
	return m.add(1, rows, (cols+3)/4)
}

// Rows implements Tensors.
func (m *Meter) Rows(struct{}, int) struct{} { return struct{}{} }

// Lookahead implements Tensors.
func (m *Meter) Lookahead() int { return max(m.Ahead, 1) }

// Flush implements Tensors.
func (m *Meter) Flush() error { return nil }
