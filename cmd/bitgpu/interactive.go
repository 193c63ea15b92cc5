package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
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

// command is what a line that begins with its name does in a conversation.
type command struct {
	name, argument, does string
	obey                 func(t *conversation, argument string) error
}

// commandsOfTalk are the commands in the order of the help.
func commandsOfTalk() []command {
	return []command{
		{"/reset", "", "forget everything that was read", func(t *conversation, _ string) error { return t.s.Reset() }},
		{"/save", "FILE", "save the memory to FILE", (*conversation).save},
		{"/load", "FILE", "go on from the memory in FILE", (*conversation).load},
		{"/n", "N", "end answers after N tokens", (*conversation).setLimit},
		{"/temp", "X", "set the temperature; 0 takes the most probable token each time", (*conversation).setTemperature},
		{"/top-k", "K", "choose among the K most probable tokens, 0 for all", (*conversation).setTopK},
		{"/stop", "[TEXT]", `end answers before TEXT too, in which \n is a line break; without TEXT, before none`, (*conversation).setStop},
		{"/seed", "[N]", "the same seed gives the same answer; without N, another each time", (*conversation).setSeed},
		{"/stats", "", "show the speed of the last answer, memory and device", (*conversation).stats},
		{"/help", "", "show this, as does /?", (*conversation).help},
		{"/quit", "", "leave, as do /bye, /exit and Ctrl-D", nil},
	}
}

// otherNames are names by which some know a command.
var otherNames = map[string]string{"/?": "/help", "/bye": "/quit", "/exit": "/quit"}

// conversation is one person's talk with a session.
type conversation struct {
	c     *cli.Context
	s     *bitgpu.Session
	o     bitgpu.Options
	draws bool // another seed for each answer
	last  bitgpu.Result
}

// converse reads lines and answers them until the person leaves, or the context ends.
func converse(ctx context.Context, c *cli.Context, s *bitgpu.Session, o bitgpu.Options, lines lineReader) error {
	t := &conversation{c: c, s: s, o: o, draws: !c.IsSet("seed")}
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
		leave, err := t.take(ctx, line)
		if err != nil {
			fmt.Fprintf(c.App.ErrWriter, "bitgpu: %v%s\n", err, t.wayOut(err))
		}
		if leave {
			return nil
		}
		if err := interrupted(ctx); err != nil {
			return err
		}
	}
}

// wayOut is what helps after an error that an answer meets again.
func (t *conversation) wayOut(err error) string {
	if errors.Is(err, bitgpu.ErrNotFinite) {
		return "; /reset or /load FILE begins anew"
	}
	return ""
}

// prompt waits for a line. Ctrl-C, where it is a signal and not a key that the reader of lines has taken, ends that too.
func prompt(ctx context.Context, lines lineReader) (string, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return await(ctx, func() (string, error) { return lines.Prompt("> ") })
}

// take obeys a command or answers a text, and says whether the person leaves.
func (t *conversation) take(ctx context.Context, line string) (leave bool, err error) {
	if !strings.HasPrefix(line, "/") {
		return false, t.answer(ctx, line)
	}
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	argument = strings.TrimSpace(argument)
	if other := otherNames[name]; other != "" {
		name = other
	}
	for _, k := range commandsOfTalk() {
		switch {
		case k.name != name:
			continue
		case k.argument == "" && argument != "":
			return false, fmt.Errorf("%s: got %q, want nothing after it", name, argument)
		case argument == "" && k.argument != "" && k.argument[0] != '[':
			return false, fmt.Errorf("%s needs %s after it", name, k.argument)
		case k.obey == nil:
			return true, nil
		}
		return false, k.obey(t, argument)
	}
	return false, fmt.Errorf("no command %s; /help lists them", name)
}

// say writes a line to the person.
func (t *conversation) say(format string, a ...any) {
	fmt.Fprintf(t.c.App.ErrWriter, format+"\n", a...)
}

func (t *conversation) save(path string) error {
	if err := t.s.SaveMemory(path); err != nil {
		return err
	}
	t.say("the memory of %d tokens is in %s", t.s.Position(), path)
	return nil
}

func (t *conversation) load(path string) error {
	if err := t.s.LoadMemory(path); err != nil {
		return err
	}
	t.say("the memory of %d tokens is loaded", t.s.Position())
	return nil
}

func (t *conversation) setTemperature(argument string) error {
	x, err := strconv.ParseFloat(argument, 64)
	if err != nil || !(x >= 0 && x <= 100) {
		return fmt.Errorf("/temp: got %q, want a number from 0 to 100", argument)
	}
	t.o.Temperature = x
	return nil
}

func (t *conversation) setLimit(argument string) error {
	return setCount("/n", argument, &t.o.MaxTokens)
}

func (t *conversation) setTopK(argument string) error { return setCount("/top-k", argument, &t.o.TopK) }

func setCount(name, argument string, to *int) error {
	n, err := strconv.ParseUint(argument, 10, 31)
	if err != nil {
		return fmt.Errorf("%s: got %q, want a number from 0 to %d", name, argument, 1<<31-1)
	}
	*to = int(n)
	return nil
}

func (t *conversation) setStop(argument string) error {
	if argument == "" {
		t.o.Stop = nil
		return nil
	}
	t.o.Stop = append(slices.Clone(t.o.Stop), strings.ReplaceAll(argument, `\n`, "\n"))
	t.say("answers end before %q", t.o.Stop)
	return nil
}

func (t *conversation) setSeed(argument string) error {
	seed, err := strconv.ParseUint(argument, 10, 64)
	switch {
	case argument == "":
		seed = rand.Uint64()
	case err != nil:
		return fmt.Errorf("/seed: got %q, want a number from 0 to %d", argument, uint64(math.MaxUint64))
	}
	t.o.Seed, t.draws = seed, argument == ""
	return nil
}

func (t *conversation) stats(string) error {
	showStats(t.c.App.ErrWriter, t.s, t.last, t.o.Seed)
	return nil
}

func (t *conversation) help(string) error {
	t.say("Type text and Enter: the model goes on from it. An empty line lets it go on by itself. Ctrl-C stops an answer.")
	for _, k := range commandsOfTalk() {
		t.say("  %-13s %s", strings.TrimSpace(k.name+" "+k.argument), k.does)
	}
	return nil
}

// completeTalk gives the commands that a line may become.
func completeTalk(line string) (names []string) {
	if !strings.HasPrefix(line, "/") {
		return nil
	}
	for _, k := range commandsOfTalk() {
		name := k.name
		if k.argument != "" {
			name += " "
		}
		if strings.HasPrefix(name, line) {
			names = append(names, name)
		}
	}
	return names
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
	if err == nil && r.Reason == bitgpu.EndLength && r.Tokens > 0 {
		t.say("[%d tokens are the limit: an empty line goes on, /n changes it]", r.Tokens)
	}
	if err == nil && t.c.Bool("stats") {
		showStats(t.c.App.ErrWriter, t.s, r, t.o.Seed)
	}
	if t.draws {
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
	l.SetCompleter(completeTalk)
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
