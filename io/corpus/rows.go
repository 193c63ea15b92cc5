package corpus

import (
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/regular"
)

// Bits of the mark that every token of a conversation has. Marks are stored one byte per token, in a file named like the
// token file with .mask instead of .u32.
const (
	Counts byte = 1 << iota // the token is to be predicted
	Begins                  // the token is the first of its document
)

// NoTarget marks a target that does not count, and NewDocument is the bit of an input that begins a document in a packed row;
// both are as in package op.
const (
	NoTarget    uint32 = math.MaxUint32
	NewDocument uint32 = 1 << 31
)

// Rows presents documents of marked tokens as rows of one width. Each row begins with an empty memory and, unless packed,
// holds tokens of a single document, so that nothing leaks from one document into another. The rest of its row does not
// count; a document that is too long continues in the next row, which begins with an empty memory again.
type Rows struct {
	from   source
	marks  []byte
	time   int
	pieces [][2]int // first token and number of inputs
	packed [][]int  // the pieces of each row, if packed
}

// source gives random access to tokens.
type source interface {
	Len() int
	CopyTo(dst []uint32, from int) (int, error)
}

// IDs is a source of tokens in memory.
type IDs []uint32

// Len returns the number of tokens.
func (s IDs) Len() int { return len(s) }

// CopyTo copies tokens from a position on into dst, and returns how many.
func (s IDs) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, s[from:]), nil }

// NewRows cuts marked tokens into rows of time inputs. Rows in which nothing counts are left out.
func NewRows(tokens source, marks []byte, time int) (*Rows, error) {
	if len(marks) != tokens.Len() || time < 1 {
		return nil, fmt.Errorf("corpus: got %d marks of %d tokens in rows of %d, want a mark each and rows of 1 or more", len(marks), tokens.Len(), time)
	}
	r := &Rows{from: tokens, marks: marks, time: time}
	for start := 0; start < len(marks); {
		end := start + 1
		for end < len(marks) && marks[end]&Begins == 0 {
			end++
		}
		for at := start; at+1 < end; at += time {
			n := min(time, end-1-at)
			for _, m := range marks[at+1 : at+1+n] {
				if m&Counts != 0 {
					r.pieces = append(r.pieces, [2]int{at, n})
					break
				}
			}
		}
		start = end
	}
	if len(r.pieces) == 0 {
		return nil, errors.New("corpus: got no token that counts, want answers to learn")
	}
	return r, nil
}

// openRows is how many unfilled rows wait for another document during packing: enough that few remain unfilled, and few
// enough that documents stay near their place in the file.
const openRows = 64

// Pack puts several documents into a row. Each document, in order, goes into the first waiting row that has room, or else
// into a new row. Inputs that begin a document, and the first after the last document, have the bit NewDocument: they must be
// read with an empty memory at position 0.
func (r *Rows) Pack() {
	r.packed = nil
	var open, room []int // rows that wait, in order, and the room in each
	for i, piece := range r.pieces {
		n := piece[1]
		if n == r.time {
			r.packed = append(r.packed, []int{i})
			continue
		}
		at := slices.IndexFunc(room, func(free int) bool { return free >= n })
		if at < 0 {
			if at = len(open); at == openRows {
				open, room, at = append(open[:0], open[1:]...), append(room[:0], room[1:]...), at-1
			}
			open, room = append(open, len(r.packed)), append(room, r.time)
			r.packed = append(r.packed, nil)
		}
		r.packed[open[at]] = append(r.packed[open[at]], i)
		if room[at] -= n; room[at] == 0 {
			open, room = slices.Delete(open, at, at+1), slices.Delete(room, at, at+1)
		}
	}
}

// Rows returns the number of rows.
func (r *Rows) Rows() int {
	if r.packed != nil {
		return len(r.packed)
	}
	return len(r.pieces)
}

// Inputs counts the inputs of all rows that belong to documents; the others are padding.
func (r *Rows) Inputs() (n int) {
	for _, piece := range r.pieces {
		n += piece[1]
	}
	return n
}

// Padding returns the share of the rows that is padding.
func (r *Rows) Padding() float64 {
	all := r.Rows() * r.time
	return float64(all-r.Inputs()) / float64(all)
}

// Len returns the number of all tokens.
func (r *Rows) Len() int { return r.from.Len() }

// CopyTo copies tokens in the order of the file.
func (r *Rows) CopyTo(dst []uint32, from int) (int, error) { return r.from.CopyTo(dst, from) }

// Row fills inputs and targets, time each, of row i.
func (r *Rows) Row(i int, inputs, targets []uint32) error {
	if r.packed == nil {
		return r.piece(i, inputs, targets)
	}
	for _, i := range r.packed[i] {
		n := r.pieces[i][1]
		if err := r.piece(i, inputs[:n], targets[:n]); err != nil {
			return err
		}
		inputs[0] |= NewDocument
		inputs, targets = inputs[n:], targets[n:]
	}
	for t := range inputs {
		inputs[t], targets[t] = 0, NoTarget
	}
	if len(inputs) > 0 {
		inputs[0] = NewDocument
	}
	return nil
}

// piece fills inputs and targets with a piece, and the rest with padding that does not count.
func (r *Rows) piece(i int, inputs, targets []uint32) error {
	at, n := r.pieces[i][0], r.pieces[i][1]
	if _, err := r.from.CopyTo(inputs[:n], at); err != nil {
		return err
	}
	if _, err := r.from.CopyTo(targets[:n], at+1); err != nil {
		return err
	}
	clear(inputs[n:])
	for t := range targets {
		if t >= n || r.marks[at+1+t]&Counts == 0 {
			targets[t] = NoTarget
		}
	}
	return nil
}

// Longest returns how many inputs the longest document has.
func (r *Rows) Longest() (longest int) {
	run := 0
	for _, m := range r.marks {
		if m&Begins != 0 {
			run = 0
		}
		longest = max(longest, run)
		run++
	}
	return longest
}

// maskName returns the name of the file with a token file's marks.
func maskName(tokens string) string {
	return strings.TrimSuffix(tokens, filepath.Ext(tokens)) + ".mask"
}

// readMarks reads the marks of a part, and refuses those that differ from its description.
func (t *Tokens) readMarks(path string, part Part) error {
	name := maskName(path)
	marks, err := regular.ReadFile(name)
	switch {
	case err != nil:
		return fmt.Errorf("corpus: %s: %w", name, cause(err))
	case len(marks) != t.Len():
		return fmt.Errorf("corpus: %s: got %d marks, want %d, one for each token; the files do not belong together", name, len(marks), t.Len())
	}
	if sum := formatSum(crc32.Checksum(marks, castagnoli)); sum != part.MaskCRC32C {
		return fmt.Errorf("corpus: %s: got marks with CRC-32C %s, want %s as %s says; the file has changed", name, sum, part.MaskCRC32C, MetaName)
	}
	t.marks = marks
	return nil
}

// Marks returns the marks of a part of chat data, nil for other tokens.
func (t *Tokens) Marks() []byte { return t.marks }
