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

// checkedWriter remembers the first failed write, for the many prints whose errors are not checked: a result that did not
// arrive is not a success, whichever command wrote it. After a failure it writes nothing.
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

// check returns the error of a program that wrote to w and ended with err.
func (w *checkedWriter) check(err error) error {
	if w.err == nil || err != nil && !errors.Is(err, w.err) {
		return err
	}
	if errors.Is(w.err, syscall.EPIPE) {
		return errReaderGone
	}
	return fmt.Errorf("stdout: %w", regular.Cause(w.err))
}

// forgiveReader ignores that stdout was closed: if the result is a file, messages about it do not matter.
func forgiveReader(stdout io.Writer) {
	if w, ok := stdout.(*checkedWriter); ok && errors.Is(w.err, syscall.EPIPE) {
		w.err = nil
	}
}

// terminalFile returns the terminal behind a stream.
func terminalFile(stream any) (f *os.File, ok bool) {
	if w, checked := stream.(*checkedWriter); checked {
		stream = w.Writer
	}
	f, ok = stream.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	_, ok := terminalFile(stream)
	return ok
}
