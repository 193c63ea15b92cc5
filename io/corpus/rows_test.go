package corpus

import (
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
	if plain, err := tokens.Fingerprint(); err != nil || plain == print {
		t.Errorf("got %v with and without marks (%v)", plain, err)
	}
}
