package train

import (
	"math"
	"unsafe"

	"bitgpu/nn/cpu/parallel"
)

// vector is a list of numbers in pieces, such as those of all parameters.
type vector [][]float32

// size returns the number of numbers.
func (v vector) size() (n int) {
	for _, piece := range v {
		n += len(piece)
	}
	return n
}

// part returns the numbers between two indices.
func (v vector) part(from, to int) (part vector) {
	for _, piece := range v {
		if from < len(piece) && to > 0 {
			part = append(part, piece[max(from, 0):min(to, len(piece))])
		}
		from, to = from-len(piece), to-len(piece)
	}
	return part
}

// like returns a vector of zeros in equal pieces.
func (v vector) like() (w vector) {
	for _, piece := range v {
		w = append(w, make([]float32, len(piece)))
	}
	return w
}

// copyFrom copies a vector with equal pieces.
func (v vector) copyFrom(w vector) {
	for i := range v {
		copy(v[i], w[i])
	}
}

// grain is how many numbers justify a goroutine.
const grain = 1 << 14

// Values of Options.Gradient.
const (
	GradientF32  = "f32"
	GradientBF16 = "bf16"
)

// format is how gradients are summed and sent: every shard's gradient, and every sum of two, is rounded to it. The rounding
// does not depend on which sums are sent between ranks.
type format struct{ bf16 bool }

func (f format) width() int {
	if f.bf16 {
		return 2
	}
	return 4
}

// round rounds to the nearest bfloat16, ties to even; what is not finite stays not finite.
func round(x float32) float32 {
	if !finite(x) {
		return x // an infinity is a bfloat16 already, and the bits of a NaN do not matter
	}
	u := math.Float32bits(x)
	return math.Float32frombits((u + 0x7fff + u>>16&1) & 0xffff0000)
}

// leaf rounds the gradient of a shard.
func (f format) leaf(v vector) {
	if !f.bf16 {
		return
	}
	for _, piece := range v {
		parallel.For(len(piece), grain, parallel.Func(func(from, to int) {
			for i := from; i < to; i++ {
				piece[i] = round(piece[i])
			}
		}))
	}
}

// add adds numbers: a node of the tree.
func (f format) add(v, w vector) {
	for i, piece := range v {
		other := w[i]
		parallel.For(len(piece), grain, parallel.Func(func(from, to int) {
			x, y := piece[from:to], other[from:to]
			for i := range x {
				x[i] += y[i]
			}
			f.leaf(vector{x})
		}))
	}
}

// encode writes numbers, which have been rounded, as bytes.
func (f format) encode(dst []byte, v vector) {
	for _, piece := range v {
		if !f.bf16 {
			dst = dst[copy(dst, bytesOfFloats(piece)):]
			continue
		}
		for i, x := range piece {
			u := math.Float32bits(x)
			dst[2*i], dst[2*i+1] = byte(u>>16), byte(u>>24)
		}
		dst = dst[2*len(piece):]
	}
}

// decode reads what encode wrote, and sets or adds it.
func (f format) decode(v vector, src []byte, add bool, room []float32) {
	for _, piece := range v {
		x := room[:len(piece)]
		if f.bf16 {
			for i := range x {
				x[i] = math.Float32frombits(uint32(src[2*i])<<16 | uint32(src[2*i+1])<<24)
			}
		} else {
			copy(bytesOfFloats(x), src)
		}
		src = src[f.width()*len(piece):]
		if add {
			f.add(vector{piece}, vector{x})
		} else {
			copy(piece, x)
		}
	}
}

// bytesOfFloats views numbers as bytes; all ranks run on machines with the same byte order.
func bytesOfFloats(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}

// chunkNumbers are sent in one message.
const chunkNumbers = 1 << 20

// summing adds vectors of all ranks by the upper part of a binary tree over shards: rank 0's with rank 1's, that with the sum
// of 2 and 3, … The lower part, the shards of a rank, is added on that rank. A vector is cut into as many leaves as there are
// shards, and each rank ends with the sums of its own leaves (reduce-scatter by recursive halving: Thakur, Rabenseifner and
// Gropp, 2005, with the smallest distance first, so that the order of additions is the tree's).
type summing struct {
	Group
	shards        int
	format        format
	send, receive []byte
	room          []float32
}

// owned returns the leaves that a rank has after some halvings.
func (s *summing) owned(rank, halvings int) (from, to int) {
	from, to = 0, s.shards
	for i := range halvings {
		if middle := (from + to) / 2; rank>>i&1 == 0 {
			to = middle
		} else {
			from = middle
		}
	}
	return from, to
}

// levels returns the number of halvings.
func (s *summing) levels() (n int) {
	for d := 1; d < s.Size(); d *= 2 {
		n++
	}
	return n
}

// mine returns the leaves whose sums this rank ends up with.
func (s *summing) mine() (from, to int) { return s.owned(s.Rank(), s.levels()) }

// leaves returns the part of a vector between two leaves.
func (s *summing) leaves(v vector, from, to int) vector {
	n := v.size()
	return v.part(n*from/s.shards, n*to/s.shards)
}

// scatter makes the sums over all ranks: afterwards a rank's own leaves hold them, and the others are undefined.
func (s *summing) scatter(v vector) error {
	for i := range s.levels() {
		peer := s.Rank() ^ 1<<i
		keep0, keep1 := s.owned(s.Rank(), i+1)
		give0, give1 := s.owned(peer, i+1)
		if err := s.exchange(peer, s.leaves(v, give0, give1), s.leaves(v, keep0, keep1), true, s.format); err != nil {
			return err
		}
	}
	return nil
}

// gather gives every rank all leaves, of which each has its own.
func (s *summing) gather(v vector, f format) error {
	for i := s.levels() - 1; i >= 0; i-- {
		peer := s.Rank() ^ 1<<i
		have0, have1 := s.owned(s.Rank(), i+1)
		want0, want1 := s.owned(peer, i+1)
		if err := s.exchange(peer, s.leaves(v, have0, have1), s.leaves(v, want0, want1), false, f); err != nil {
			return err
		}
	}
	return nil
}

// Messages calls send with the size of every message that rank 0 sends to sum `numbers` numbers over ranks, as scatter and
// gather do. All ranks send at the same time, and each receives about as much.
func Messages(numbers, ranks, shards int, gradient string, send func(bytes int)) {
	s := &summing{Group: sized{n: ranks}, shards: shards, format: format{gradient == GradientBF16}}
	for i := range s.levels() {
		has := func(rank int) int {
			from, to := s.owned(rank, i+1)
			return numbers*to/shards - numbers*from/shards
		}
		mine, theirs := has(0), has(1<<i)
		for _, out := range []int{theirs, mine} { // there and back
			for at := 0; at < max(mine, theirs); at += chunkNumbers {
				send(s.format.width() * max(min(out-at, chunkNumbers), 0))
			}
		}
	}
}

// sized is a group that only has a size.
type sized struct {
	Alone
	n int
}

func (g sized) Size() int { return g.n }

// exchange sends one vector and receives another, a chunk at a time.
func (s *summing) exchange(peer int, send, receive vector, add bool, f format) error {
	out, in := send.size(), receive.size()
	if n := min(max(out, in), chunkNumbers); n > len(s.room) {
		s.send, s.receive, s.room = make([]byte, 4*n), make([]byte, 4*n), make([]float32, n)
	}
	for at := 0; at < max(out, in); at += chunkNumbers {
		give, take := send.part(at, min(at+chunkNumbers, out)), receive.part(at, min(at+chunkNumbers, in))
		to, from := s.send[:f.width()*give.size()], s.receive[:f.width()*take.size()]
		f.encode(to, give)
		if err := s.Exchange(peer, to, from); err != nil {
			return err
		}
		f.decode(take, from, add, s.room)
	}
	return nil
}

// squares adds Σ x² of each of this rank's leaves to sums.
func (s *summing) squares(v vector, sums []float32) {
	from, to := s.mine()
	parallel.For(to-from, 1, parallel.Func(func(a, b int) {
		for leaf := from + a; leaf < from+b; leaf++ {
			var lanes [4]float64
			for _, piece := range s.leaves(v, leaf, leaf+1) {
				for len(piece) >= 4 {
					lanes[0] += float64(piece[0]) * float64(piece[0])
					lanes[1] += float64(piece[1]) * float64(piece[1])
					lanes[2] += float64(piece[2]) * float64(piece[2])
					lanes[3] += float64(piece[3]) * float64(piece[3])
					piece = piece[4:]
				}
				for i, x := range piece {
					lanes[i] += float64(x) * float64(x)
				}
			}
			sums[leaf] += float32(lanes[0] + lanes[1] + lanes[2] + lanes[3])
		}
	}))
}

// total returns, on all ranks, the sum of one number per shard by the tree. values has this rank's, in their places: those of
// its shards or, after scatter, of its leaves.
func (s *summing) total(values []float32, scattered bool) (float32, error) {
	var err error
	if scattered {
		err = s.gather(vector{values}, format{})
	} else {
		err = gatherAll(s, bytesOfFloats(values))
	}
	return tree(values), err
}

// tree adds numbers, a power of two of them, by halves.
func tree(values []float32) float32 {
	if len(values) == 1 {
		return values[0]
	}
	half := len(values) / 2
	return tree(values[:half]) + tree(values[half:])
}
