package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"

	"github.com/peterh/liner"
)

// lineReader asks a person for a line. The error is io.EOF at the end and liner.ErrPromptAborted after Ctrl-C.
type lineReader interface {
	Prompt(prompt string) (string, error)
	AppendHistory(line string)
	Close() error
}

// terminalLines edits lines at the terminal and keeps their history in the user's configuration directory.
type terminalLines struct {
	*liner.State
	history string // "" for none
	warn    io.Writer
	own     *os.File    // what the library reads, nil for stdin
	plain   *plainLines // for a window without a width
	narrow  bool        // plain is in use
}

// Prompt edits a line. In a window that has lost its width, it just reads one.
func (l *terminalLines) Prompt(prompt string) (string, error) {
	if !l.narrow {
		line, err := l.State.Prompt(prompt)
		if !errors.Is(err, liner.ErrInternal) {
			return line, err
		}
		l.narrow = true
		fmt.Fprintln(l.warn, "\nThe window has no width: lines are read as they are from here on.")
		l.release()
	}
	return l.plain.Prompt(prompt)
}

// release restores the terminal.
func (l *terminalLines) release() error {
	if l.own != nil {
		l.own.Close()
		l.own = nil
	}
	return l.State.Close()
}

// newLineReader reads from the terminal; prompts go to stderr if stdout is not a terminal.
func newLineReader(c *call, commands []command) lineReader {
	if !terminal(c.in) || !terminal(c.out) {
		return &plainLines{bufio.NewReader(c.in), c.log}
	}
	l := &terminalLines{warn: c.log, plain: &plainLines{bufio.NewReader(c.in), c.log}}
	// The library can only release the terminal in the middle of a line if it has opened it itself.
	if own, err := os.OpenFile("/proc/self/fd/0", os.O_RDONLY, 0); err == nil {
		stdin := os.Stdin
		os.Stdin, l.own = own, own
		defer func() { os.Stdin = stdin }()
	}
	l.State = liner.NewLiner()
	l.SetCtrlCAborts(true)
	l.SetMultiLineMode(true)
	l.SetCompleter(func(line string) []string { return completeLine(commands, line) })
	dir, err := os.UserConfigDir()
	if err != nil {
		return l // without a home there is no history
	}
	l.history = filepath.Join(dir, "bitgpu", "history")
	if f, err := regular.Open(l.history); err == nil {
		l.ReadHistory(f)
		f.Close()
	}
	return l
}

// Close saves the history and restores the terminal.
func (l *terminalLines) Close() error {
	if err := l.saveHistory(); err != nil {
		fmt.Fprintf(l.warn, "bitgpu: the history of lines could not be saved: %v\n", err)
	}
	if l.narrow {
		return nil
	}
	return l.release()
}

func (l *terminalLines) saveHistory() error {
	if l.history == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(l.history), 0o700); err != nil {
		return err
	}
	// What a person typed is private: make a new file readable by that person only, which a replacement then keeps.
	if f, err := os.OpenFile(l.history, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
	}
	return atomicfile.Write(l.history, func(w io.Writer) error {
		_, err := l.WriteHistory(w)
		return err
	})
}

// plainLines reads lines without editing them.
type plainLines struct {
	r *bufio.Reader
	w io.Writer
}

func (l *plainLines) Prompt(prompt string) (string, error) {
	fmt.Fprint(l.w, prompt)
	line, err := l.r.ReadString('\n')
	if line != "" {
		err = nil
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (l *plainLines) AppendHistory(string) {}

func (l *plainLines) Close() error { return nil }
