package atomicfile

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
)

// closes counts what was opened in vain.
type closes struct {
	text string
	n    *int
}

func (c closes) Close() error { *c.n++; return nil }

// replace commits a set of two files with the same text.
func replace(t *testing.T, dir, text string) {
	t.Helper()
	s, err := CreateSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for _, name := range []string{"a.json", "b.safetensors"} {
		if err := s.Write(name, writeString(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestOpenOneSet: files of two sets are never opened together, wherever a writer commits or is interrupted.
func TestOpenOneSet(t *testing.T) {
	for _, moves := range []int{-1, 0, 1, 2} { // after which the writer is interrupted, -1 for not at all
		dir, closed, tries := t.TempDir(), 0, 0
		replace(t, dir, "old")
		write := func() {
			if tries++; tries > 1 {
				return
			}
			if moves < 0 {
				replace(t, dir, "new")
				return
			}
			n := moves
			Fault = func(change string) error {
				if change == "move" || change == "end" {
					if n--; n < 0 {
						return errors.New("killed")
					}
				}
				return nil
			}
			defer func() { Fault = nil }()
			s, err := CreateSet(dir)
			if err == nil {
				err = errors.Join(s.Write("a.json", writeString("new")), s.Write("b.safetensors", writeString("new")))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Commit(); err == nil {
				t.Fatal("the writer was not interrupted")
			}
		}
		for _, early := range []bool{true, false} {
			got, err := Open(dir, func() (closes, error) {
				if early {
					write()
				}
				a := content(t, filepath.Join(dir, "a.json"))
				if !early {
					write()
				}
				return closes{a + content(t, filepath.Join(dir, "b.safetensors")), &closed}, nil
			})
			if err != nil || got.text != "newnew" {
				t.Errorf("interrupted after %d moves, early %v: got %q, %v", moves, early, got.text, err)
			}
			if closed != 1 {
				t.Errorf("interrupted after %d moves, early %v: %d were closed, want the first try", moves, early, closed)
			}
			replace(t, dir, "old")
			closed, tries = 0, 0
		}
	}
}

// TestOpenBesidesOthers: other files may change, errors are those of open, and there is an end to trying.
func TestOpenBesidesOthers(t *testing.T) {
	dir, n := t.TempDir(), 0
	replace(t, dir, "old")
	tries := 0
	open := func(do func() error) error {
		tries = 0
		_, err := Open(dir, func() (closes, error) { tries++; return closes{"", &n}, do() })
		return err
	}
	if err := open(func() error { return Write(filepath.Join(dir, "metrics.jsonl"), writeString("x")) }); err != nil || tries != 1 {
		t.Errorf("got %v after %d tries, want none more for another file", err, tries)
	}
	if err := open(func() error { return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF || tries != 1 {
		t.Errorf("got %v after %d tries, want the error of open", err, tries)
	}
	err := open(func() error { replace(t, dir, "new"); return nil })
	if err == nil || !strings.Contains(err.Error(), "replaced all the time") || tries != openTries {
		t.Errorf("got %v after %d tries", err, tries)
	}
}
