package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"bitgpu"
	"bitgpu/io/regular"

	"github.com/peterh/liner"
	"github.com/urfave/cli/v2"
)

// lineReader asks a person for a line. The error is io.EOF at the end and liner.ErrPromptAborted after Ctrl-C.
type lineReader interface {
	Prompt(prompt string) (string, error)
	AppendHistory(line string)
	Close() error
}

const interactiveHelp = `Type text and Enter: the model goes on from it. An empty line lets it go on by itself. Ctrl-C stops an answer.
  /reset     forget everything that was read
  /save F    save the memory to the file F
  /load F    go on from the memory in the file F
  /temp X    set the temperature
  /stats     show the speed of the last answer, memory and device
  /help      show this
  /quit      leave, as does Ctrl-D
`

// conversation is one person's talk with a session.
type conversation struct {
	c    *cli.Context
	s    *bitgpu.Session
	o    bitgpu.Options
	last bitgpu.Result
}

// converse reads lines and answers them until the person leaves, or the context ends.
func converse(ctx context.Context, c *cli.Context, s *bitgpu.Session, o bitgpu.Options, lines lineReader) error {
	t := &conversation{c: c, s: s, o: o}
	fmt.Fprintln(c.App.ErrWriter, "Type text for the model to go on from; /help lists the commands, /quit leaves.")
	for {
		line, err := prompt(ctx, lines)
		switch {
		case errors.Is(err, errInterrupted):
			fmt.Fprintln(c.App.ErrWriter)
			return err
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, liner.ErrPromptAborted):
			fmt.Fprintln(c.App.ErrWriter, "/quit or Ctrl-D leaves")
			continue
		case err != nil:
			return fmt.Errorf("reading a line: %w", err)
		}
		if line != "" {
			lines.AppendHistory(line)
		}
		if line == "/quit" || line == "/exit" {
			return nil
		}
		if err := t.take(ctx, line); err != nil {
			fmt.Fprintf(c.App.ErrWriter, "bitgpu: %v\n", err)
		}
		if err := interrupted(ctx); err != nil {
			return err
		}
	}
}

// prompt waits for a line. Ctrl-C, where it is a signal and not a key that the reader of lines has taken, ends that too.
func prompt(ctx context.Context, lines lineReader) (string, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return await(ctx, func() (string, error) { return lines.Prompt("> ") })
}

// take obeys a command or answers a text.
func (t *conversation) take(ctx context.Context, line string) error {
	if !strings.HasPrefix(line, "/") {
		return t.answer(ctx, line)
	}
	w := t.c.App.ErrWriter
	command, argument, _ := strings.Cut(line, " ")
	argument = strings.TrimSpace(argument)
	if needs := map[string]string{"/save": "a file", "/load": "a file", "/temp": "a number"}[command]; needs != "" && argument == "" {
		return fmt.Errorf("%s needs %s after it", command, needs)
	}
	switch command {
	case "/help":
		fmt.Fprint(w, interactiveHelp)
	case "/reset":
		return t.s.Reset()
	case "/save":
		if err := t.s.SaveMemory(argument); err != nil {
			return err
		}
		fmt.Fprintf(w, "the memory of %d tokens is in %s\n", t.s.Position(), argument)
	case "/load":
		if err := t.s.LoadMemory(argument); err != nil {
			return err
		}
		fmt.Fprintf(w, "the memory of %d tokens is loaded\n", t.s.Position())
	case "/temp":
		x, err := strconv.ParseFloat(argument, 64)
		if err != nil || !(x >= 0 && x <= 100) {
			return fmt.Errorf("/temp: a number from 0 to 100 wanted, %q found", argument)
		}
		t.o.Temperature = x
	case "/stats":
		showStats(w, t.s, t.last, t.o.Seed)
	default:
		return fmt.Errorf("no command %s; /help lists them", command)
	}
	return nil
}

// answer lets the model go on from a line. Ctrl-C stops it.
func (t *conversation) answer(ctx context.Context, line string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	// A line break stands between what was written and the next line, as in the text on the screen.
	if line != "" && t.s.Position() > 0 {
		line = "\n" + line
	}
	r, err := answer(ctx, t.c, t.s, line, t.o)
	t.last = r
	if errors.Is(err, errInterrupted) {
		err = nil
	}
	if err == nil && t.c.Bool("stats") {
		showStats(t.c.App.ErrWriter, t.s, r, t.o.Seed)
	}
	if !t.c.IsSet("seed") {
		t.o.Seed = rand.Uint64()
	}
	return err
}

// terminalLines edits lines at the terminal and keeps their history in the user's configuration directory.
type terminalLines struct {
	*liner.State
	history string // "" where there is none
	warn    io.Writer
	own     *os.File    // what the library reads, nil where it is stdin
	plain   *plainLines // for a window that has no width
	narrow  bool        // plain is used
}

// Prompt edits a line. A window that has lost its width is read without.
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

// release gives the terminal back.
func (l *terminalLines) release() error {
	if l.own != nil {
		l.own.Close()
		l.own = nil
	}
	return l.State.Close()
}

// newLineReader reads from the terminal; prompts go to stderr where stdout is no terminal.
func newLineReader(c *cli.Context) lineReader {
	if !terminal(c.App.Reader) || !terminal(c.App.Writer) {
		return &plainLines{bufio.NewReader(c.App.Reader), c.App.ErrWriter}
	}
	l := &terminalLines{warn: c.App.ErrWriter, plain: &plainLines{bufio.NewReader(c.App.Reader), c.App.ErrWriter}}
	// Of an own opening of the terminal the library can be rid of in the middle of a line.
	if own, err := os.OpenFile("/proc/self/fd/0", os.O_RDONLY, 0); err == nil {
		stdin := os.Stdin
		os.Stdin, l.own = own, own
		defer func() { os.Stdin = stdin }()
	}
	l.State = liner.NewLiner()
	l.SetCtrlCAborts(true)
	l.SetMultiLineMode(true)
	dir, err := os.UserConfigDir()
	if err != nil {
		return l // no home, no history
	}
	l.history = filepath.Join(dir, "bitgpu", "history")
	if f, err := regular.Open(l.history); err == nil {
		l.ReadHistory(f)
		f.Close()
	}
	return l
}

// Close saves the history and gives the terminal back.
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
	// What a person typed is nobody else's business.
	f, err := os.OpenFile(l.history, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = l.WriteHistory(f)
	return errors.Join(err, f.Close())
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
