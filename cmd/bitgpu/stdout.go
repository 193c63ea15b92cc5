package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/term"

	"bitgpu/io/regular"
)

// checkedWriter remembers the write that failed, for the many prints whose error nobody looks at: a result that did not
// arrive is no success, whichever command wrote it. Nothing is written after it.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	var n int
	n, w.err = w.Writer.Write(p)
	return n, w.err
}

// check gives the error of a program that wrote to w and ended with err.
func (w *checkedWriter) check(err error) error {
	if w.err == nil || err != nil && !errors.Is(err, w.err) {
		return err
	}
	if errors.Is(w.err, syscall.EPIPE) {
		return errReaderGone
	}
	return fmt.Errorf("stdout: %w", regular.Cause(w.err))
}

// forgiveReader forgets that stdout was closed: where the result of the work is a file, the words about it do not matter.
func forgiveReader(stdout io.Writer) {
	if w, ok := stdout.(*checkedWriter); ok && errors.Is(w.err, syscall.EPIPE) {
		w.err = nil
	}
}

// terminalFile is the terminal that a person sits at behind a stream.
func terminalFile(stream any) (f *os.File, ok bool) {
	if w, checked := stream.(*checkedWriter); checked {
		stream = w.Writer
	}
	f, ok = stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// terminal says whether a stream is one that a person sits at.
func terminal(stream any) bool {
	_, ok := terminalFile(stream)
	return ok
}
