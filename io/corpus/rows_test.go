package corpus

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

type ids []uint32

func (s ids) Len() int { return len(s) }

func (s ids) CopyTo(dst []uint32, from int) (int, error) { return copy(dst, s[from:]), nil }

// Rows hold one document each, begin where it begins, count what is marked, and cut what is longer.
func TestRows(t *testing.T) {
	const b, c = Begins, Counts
	r, err := NewRows(ids{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, []byte{b, 0, c, b, 0, b, c, c, 0, c, 0}, 3)
	if err != nil {
		t.Fatal(err)
	}
	const no = NoTarget
	want := [][2][]uint32{
		{{1, 2, 0}, {no, 3, no}},
		{{6, 7, 8}, {7, 8, no}}, // the document of 4 and 5 has no answer
		{{9, 10, 0}, {10, no, no}},
	}
	if r.Rows() != len(want) || r.Longest() != 5 {
		t.Fatalf("got %d rows, the longest of %d, want %d and 5", r.Rows(), r.Longest(), len(want))
	}
	for i, w := range want {
		inputs, targets := make([]uint32, 3), make([]uint32, 3)
		if err := r.Row(i, inputs, targets); err != nil || !slices.Equal(inputs, w[0]) || !slices.Equal(targets, w[1]) {
			t.Errorf("row %d: got %v and %v (%v), want %v", i, inputs, targets, err, w)
		}
	}
	for _, marks := range [][]byte{{b}, {b, 0, 0}, {}} {
		if _, err := NewRows(ids{1, 2, 3}, marks, 3); err == nil {
			t.Errorf("got rows of the marks %v", marks)
		}
	}
}

// Packed, each row takes the first documents that still go into it, in their order, and says where each begins.
func TestPackedRows(t *testing.T) {
	const b, c, no, new = Begins, Counts, NoTarget, NewDocument
	var tokens ids
	var marks []byte
	for i, n := range []int{3, 2, 1, 9, 2, 4, 1, 5} { // inputs; of 9 the first 5 fill a row, the other 4 are a piece
		for j := range n + 1 {
			tokens, marks = append(tokens, uint32(10*i+j)), append(marks, c)
			if j == 0 {
				marks[len(marks)-1] = b
			}
		}
	}
	r, err := NewRows(tokens, marks, 5)
	if err != nil {
		t.Fatal(err)
	}
	r.Pack()
	want := [][2][]uint32{
		{{0 | new, 1, 2, 10 | new, 11}, {1, 2, 3, 11, 12}},
		{{20 | new, 35 | new, 36, 37, 38}, {21, 36, 37, 38, 39}},
		{{30 | new, 31, 32, 33, 34}, {31, 32, 33, 34, 35}},
		{{40 | new, 41, 60 | new, 0 | new, 0}, {41, 42, 61, no, no}},
		{{50 | new, 51, 52, 53, 0 | new}, {51, 52, 53, 54, no}},
		{{70 | new, 71, 72, 73, 74}, {71, 72, 73, 74, 75}},
	}
	if r.Rows() != len(want) || r.Inputs() != 27 {
		t.Fatalf("got %d rows with %d inputs, want %d with 27", r.Rows(), r.Inputs(), len(want))
	}
	for i, w := range want {
		inputs, targets := []uint32{9, 9, 9, 9, 9}, make([]uint32, 5)
		if err := r.Row(i, inputs, targets); err != nil || !slices.Equal(inputs, w[0]) || !slices.Equal(targets, w[1]) {
			t.Errorf("row %d: got %v and %v (%v), want %v", i, inputs, targets, err, w)
		}
	}
}

// However many documents there are, each is in one row, and few rows are far from full.
func TestPackedRowsHoldAll(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	const time, documents = 64, 3000
	var tokens ids
	var marks []byte
	for i := range documents {
		for j := range 2 + random.IntN(50) {
			tokens, marks = append(tokens, uint32(i)), append(marks, Counts)
			if j == 0 {
				marks[len(marks)-1] = Begins
			}
		}
	}
	r, err := NewRows(tokens, marks, time)
	if err != nil {
		t.Fatal(err)
	}
	plain := r.Rows()
	r.Pack()
	var seen []uint32
	inputs, targets := make([]uint32, time), make([]uint32, time)
	for i := range r.Rows() {
		if err := r.Row(i, inputs, targets); err != nil {
			t.Fatal(err)
		}
		for j, id := range inputs {
			if targets[j] != NoTarget && id&NewDocument != 0 {
				seen = append(seen, id&^NewDocument)
			}
		}
	}
	slices.Sort(seen)
	if len(seen) != documents || plain != documents || len(slices.Compact(seen)) != documents {
		t.Errorf("got %d documents in packed rows and %d rows of one, want %d of both", len(seen), plain, documents)
	}
	if filled := float64(r.Inputs()) / float64(r.Rows()*time); filled < 0.97 {
		t.Errorf("got rows of which %.3f is documents, want 0.97", filled)
	}
}

// The marks of a data directory are found again, in every epoch each row once, and refused when they have changed.
func TestMarksInADirectory(t *testing.T) {
	dir := t.TempDir()
	meta := Meta{VocabSize: 20, Document: Block, Train: Part{Tokens: 6}}
	write := func(marks []byte) {
		t.Helper()
		w, err := CreateDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Discard()
		if err := w.Train.Append(1, 2, 3, 4, 5, 6); err != nil {
			t.Fatal(err)
		}
		w.TrainMarks = marks
		if err := w.Commit(meta, "tokenizer.json", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (*Tokens, error) {
		m, err := ReadMeta(filepath.Join(dir, MetaName))
		if err != nil {
			t.Fatal(err)
		}
		return OpenPart(filepath.Join(dir, TrainName), m.Train)
	}
	write([]byte{Begins, Counts, Counts, Begins, Counts, 0})
	tokens, err := open()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSampler(tokens, 2, 4, Shuffle, 1)
	if err != nil {
		t.Fatal(err)
	}
	inputs, targets := make([]uint32, 8), make([]uint32, 8)
	for range 3 {
		if err := s.Next(inputs, targets); err != nil {
			t.Fatal(err)
		}
		if first := []uint32{inputs[0], inputs[4]}; !slices.Contains(first, 1) || !slices.Contains(first, 4) {
			t.Errorf("got rows that begin with %v, want 1 and 4", first)
		}
	}
	packed, err := NewSampler(tokens, 1, 5, Shuffle, 1)
	if err == nil {
		err = packed.Pack()
	}
	if err != nil || packed.Windows() != 1 {
		t.Fatalf("got %d windows, want 1 with both documents (%v)", packed.Windows(), err)
	}
	if err := packed.Next(inputs[:5], targets[:5]); err != nil || !slices.Equal(inputs[:5], []uint32{1 | NewDocument, 2, 4 | NewDocument, 5, NewDocument}) {
		t.Errorf("got %v (%v), want both documents in a row", inputs[:5], err)
	}
	if err := s.Reread(0.5); err == nil {
		t.Error("conversations were taken for passages")
	}
	print, err := tokens.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	tokens.Close()
	mask := filepath.Join(dir, "train.mask")
	for _, broken := range []string{"\x02\x01\x01\x02\x00\x01", "\x02"} {
		if err := os.WriteFile(mask, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if tokens, err := open(); err == nil {
			tokens.Close()
			t.Errorf("the marks %q were taken", broken)
		}
	}
	write(nil)
	if _, err := os.Stat(mask); err == nil {
		t.Error("the marks of other tokens have stayed")
	}
	if tokens, err = open(); err != nil || tokens.Marks() != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	if s, err = NewSampler(tokens, 1, 4, Shuffle, 1); err != nil || s.Pack() == nil {
		t.Errorf("text was packed (%v)", err)
	}
	if plain, err := tokens.Fingerprint(); err != nil || plain == print {
		t.Errorf("got %v with and without marks (%v)", plain, err)
	}
}
