package corpus

import (
	"fmt"
	"math/bits"
)

// Order is the order in which training takes windows from a token file.
type Order int

// The orders.
const (
	// Shuffle takes every window of an epoch once, in an order determined by the seed. Windows do not overlap. The start of the
	// first one changes from epoch to epoch, so that the cuts between windows fall elsewhere each time.
	Shuffle Order = iota
	// Sequential takes one window after another, and starts again when fewer than time+2 tokens are left.
	Sequential
)

// ParseOrder returns the order with a name, shuffle or sequential.
func ParseOrder(name string) (Order, error) {
	switch name {
	case "shuffle":
		return Shuffle, nil
	case "sequential":
		return Sequential, nil
	}
	return 0, fmt.Errorf("corpus: order: got %q, want shuffle or sequential", name)
}

func (o Order) String() string { return [...]string{"shuffle", "sequential"}[o] }

// Sampler produces the batches of training. Its position is its whole state.
type Sampler struct {
	tokens      *Tokens
	batch, time int
	order       Order
	seed        uint64
	reread      float64 // share of rows that are composed
	row         []uint32
	rows        *Rows  // of conversations, nil for other tokens
	windows     uint64 // per epoch
	position    uint64
}

// ShortError is the error of tokens that do not fill a window.
type ShortError struct {
	Name         string // of the file
	Tokens, Time int
}

func (e *ShortError) Error() string {
	return fmt.Sprintf("corpus: %s: got %d tokens, want at least %d for a context of %d", e.Name, e.Tokens, uint64(e.Time)+1, e.Time)
}

// Fits returns the longest context that the tokens fill, 0 if none.
func (e *ShortError) Fits() int { return max(e.Tokens-1, 0) }

// NewSampler makes a sampler of batches with `batch` windows of time tokens each. The error is a *[ShortError] if there is no
// window.
func NewSampler(tokens *Tokens, batch, time int, order Order, seed uint64) (*Sampler, error) {
	if batch <= 0 || time <= 0 {
		return nil, fmt.Errorf("corpus: got a batch of %d and a context of %d, want both above 0", batch, time)
	}
	if tokens.marks != nil {
		rows, err := NewRows(tokens, tokens.marks, time)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tokens.name, err)
		}
		return &Sampler{tokens: tokens, batch: batch, time: time, order: order, seed: seed, windows: uint64(rows.Rows()), rows: rows}, nil
	}
	length := tokens.Len()
	// A window is time inputs, and the targets reach one token further.
	if length-1 < time {
		return nil, &ShortError{Name: tokens.name, Tokens: length, Time: time}
	}
	var windows int
	switch order {
	case Sequential:
		windows = (length - 2) / time
	case Shuffle:
		// One window fewer than fit, so that whatever the start of the first window, all fit.
		windows = (length - time) / time
	default:
		return nil, fmt.Errorf("corpus: unknown order %d", int(order))
	}
	return &Sampler{tokens: tokens, batch: batch, time: time, order: order, seed: seed, windows: uint64(max(windows, 1)),
		row: make([]uint32, time+1)}, nil
}

// Pack puts several conversations into a row, like Rows.Pack. Call it before the first batch.
func (s *Sampler) Pack() error {
	if s.rows == nil {
		return fmt.Errorf("corpus: %s: got text, want conversations to pack into rows; the rows of text are full", s.tokens.name)
	}
	s.rows.Pack()
	s.windows = uint64(s.rows.Rows())
	return nil
}

// Next fills the next batch, row by row: inputs are the tokens of a window, targets the tokens that follow them. Both are
// (batch, time); another length panics. An error comes from reading the tokens.
func (s *Sampler) Next(inputs, targets []uint32) error {
	if size := s.batch * s.time; len(inputs) != size || len(targets) != size {
		panic(fmt.Sprintf("corpus: a batch of (%d, %d) into %d inputs and %d targets", s.batch, s.time, len(inputs), len(targets)))
	}
	for at := 0; at < len(inputs); at += s.time {
		if s.rows != nil {
			if err := s.rows.Row(s.index(s.position), inputs[at:at+s.time], targets[at:at+s.time]); err != nil {
				return err
			}
			s.position++
			continue
		}
		var err error
		if s.rereads(s.position) {
			err = s.compose(s.row, s.position)
		} else {
			_, err = s.tokens.CopyTo(s.row, s.start(s.position))
		}
		if err != nil {
			return err
		}
		copy(inputs[at:at+s.time], s.row)
		copy(targets[at:at+s.time], s.row[1:])
		s.position++
	}
	return nil
}

// Windows returns how many windows, which are rows of batches, make an epoch.
func (s *Sampler) Windows() uint64 { return s.windows }

// Position returns the number of windows taken so far, over all epochs.
func (s *Sampler) Position() uint64 { return s.position }

// Seek moves to a position. Two samplers with equal tokens, time, order and seed continue equally from equal positions.
func (s *Sampler) Seek(position uint64) { s.position = position }

// index returns the row of conversations at a position.
func (s *Sampler) index(position uint64) int {
	epoch, index := position/s.windows, position%s.windows
	if s.order == Sequential {
		return int(index)
	}
	return int(permute(index, s.windows, splitMix64(s.seed^splitMix64(epoch))))
}

// start returns where the window at a position begins in the tokens.
func (s *Sampler) start(position uint64) int {
	epoch, index := position/s.windows, position%s.windows
	if s.order == Sequential {
		return int(index) * s.time
	}
	key := splitMix64(s.seed ^ splitMix64(epoch))
	// The last window needs one more token as a target, which in a short file leaves fewer than time possible starts.
	beginnings := min(s.time, s.tokens.Len()-int(s.windows)*s.time)
	phase := int(splitMix64(key) % uint64(beginnings))
	return phase + int(permute(index, s.windows, key))*s.time
}

// permute is a permutation of 0 … n−1 chosen by a key: a Feistel network over the next power of four, applied until the value
// is below n, at most four times on average (Black and Rogaway, 2002, cycle walking).
func permute(i, n, key uint64) uint64 {
	half := (bits.Len64(n-1) + 1) / 2
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(6) {
			left, right = right, left^(splitMix64(key+round<<32+right)&mask)
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// splitMix64 is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014) after its increment.
func splitMix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
