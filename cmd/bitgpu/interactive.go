package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"bitgpu"
	"bitgpu/internal/await"

	"github.com/peterh/liner"
)

// command is a command that can be typed in a conversation.
type command struct {
	name, argument, does string
	obey                 func(t *conversation, argument string) error
}

// commandsOfTalk returns the commands of a conversation without a template, in the order of the help.
func commandsOfTalk() []command {
	return append([]command{
		{"/reset", "", "forget everything that was read", (*conversation).reset},
		{"/save", "FILE", "save the memory to FILE", (*conversation).save},
		{"/load", "FILE", "go on from the memory in FILE", (*conversation).load},
		{"/n", "N", "end answers after N tokens", (*conversation).setLimit},
	}, commandsOfBoth()...)
}

// commandsOfBoth are the last commands of the help, with a chat template and without.
func commandsOfBoth() []command {
	return []command{
		{"/temp", "X", "set the temperature; 0 takes the most probable token each time", (*conversation).setTemperature},
		{"/top-k", "K", "choose among the K most probable tokens, 0 for all", (*conversation).setTopK},
		{"/stop", "[TEXT]", `end answers before TEXT too, in which \n is a line break; without TEXT, before none`, (*conversation).setStop},
		{"/context", "N", "make room for N tokens in all, of models that have a limit", (*conversation).raiseContext},
		{"/seed", "[N]", "the same seed gives the same answer; without N, another each time", (*conversation).setSeed},
		{"/stats", "", "show the speed of the last answer, memory and device", (*conversation).stats},
		{"/help", "", "show this, as does /?", (*conversation).help},
		{"/quit", "", "leave, as do /bye, /exit and Ctrl-D", nil},
	}
}

// otherNames are other programs' names of commands.
var otherNames = map[string]string{"/?": "/help", "/bye": "/quit", "/exit": "/quit"}

// conversation is a conversation of a person with a session.
type conversation struct {
	answering
	s        *bitgpu.Session
	o        bitgpu.Options
	draws    bool // draw a new seed for each answer
	last     bitgpu.Result
	kept     int          // of the last prompt's tokens
	chat     *bitgpu.Chat // nil if the model continues text
	commands []command
	lines    lineReader
	changed  bool // there is something new to save
}

// converse reads lines and answers them until the person leaves, or the context is cancelled. It reports whether the memory
// has changed.
func (a answering) converse(ctx context.Context, s *bitgpu.Session, o bitgpu.Options, lines lineReader) (changed bool, err error) {
	t := &conversation{answering: a, s: s, o: o, draws: !a.given("seed"), commands: commandsOfTalk(), lines: lines}
	t.say("Type text for the model to go on from; /help lists the commands, /quit leaves.")
	err = t.loop(ctx)
	return t.changed, err
}

// loop reads lines until the person leaves, or the context is cancelled.
func (t *conversation) loop(ctx context.Context) error {
	for {
		line, err := prompt(ctx, t.lines, "> ")
		leave := false
		if err == nil {
			t.remember(line)
			leave, err = t.take(ctx, line)
		}
		var read *lineError
		switch {
		case errors.As(err, &read) && errors.Is(err, errInterrupted):
			t.say("")
			return errInterrupted
		case errors.As(err, &read) && errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &read) && errors.Is(err, liner.ErrPromptAborted):
			t.say("/quit or Ctrl-D leaves")
		case errors.As(err, &read):
			return err
		case err != nil:
			t.say("bitgpu: %v%s", err, t.wayOut(err))
		}
		if leave {
			return nil
		}
		if err := interrupted(ctx); err != nil {
			return err
		}
	}
}

// wayOut says what helps after an error that would occur again.
func (t *conversation) wayOut(err error) string {
	switch {
	case errors.Is(err, bitgpu.ErrNotFinite) && t.chat == nil:
		return "; /reset or /load FILE begins anew"
	case errors.Is(err, bitgpu.ErrContext) && t.chat == nil:
		return "; /reset begins anew, " + moreContext(t.s.Model(), "/context N")
	case errors.Is(err, bitgpu.ErrContext):
		return "; /clear begins anew, /undo takes turns back, " + moreContext(t.s.Model(), "/context N")
	}
	return ""
}

// lineError is the error of reading a line.
type lineError struct{ err error }

func (e *lineError) Error() string { return fmt.Sprintf("reading a line: %v", e.err) }

func (e *lineError) Unwrap() error { return e.err }

// prompt waits for a line; an error is a lineError. Ctrl-C also ends it, if it arrives as a signal and not as a key that the
// line reader handles.
func prompt(ctx context.Context, lines lineReader, before string) (string, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	line, err := await.For(ctx, func() (string, error) { return lines.Prompt(before) })
	if err != nil {
		return "", &lineError{err}
	}
	return line, nil
}

// remember adds a line to the history.
func (t *conversation) remember(line string) {
	if line != "" {
		t.lines.AppendHistory(line)
	}
}

// take executes a command or answers a text, and reports whether the person leaves.
func (t *conversation) take(ctx context.Context, line string) (leave bool, err error) {
	switch {
	case strings.HasPrefix(line, "/"):
	case t.chat != nil:
		return false, t.sayLine(ctx, line)
	default:
		return false, t.answer(ctx, line)
	}
	name, argument, _ := strings.Cut(strings.TrimSpace(line), " ")
	argument = strings.TrimSpace(argument)
	if other := otherNames[name]; other != "" {
		name = other
	}
	for _, k := range t.commands {
		switch {
		case k.name != name:
			continue
		case k.argument == "" && argument != "":
			return false, fmt.Errorf("%s: got %q, want nothing after it", name, argument)
		case argument == "" && k.argument != "" && k.argument[0] != '[':
			return false, fmt.Errorf("%s needs %s after it", name, k.argument)
		case k.name == "/regen":
			return false, t.reply(ctx, "")
		case k.obey == nil:
			return true, nil
		}
		return false, k.obey(t, argument)
	}
	return false, fmt.Errorf("no command %s; /help lists them", name)
}

// say writes a line to the person.
func (t *conversation) say(format string, a ...any) {
	fmt.Fprintf(t.log, format+"\n", a...)
}

func (t *conversation) reset(string) error {
	t.changed = true
	return t.s.Reset()
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
	t.changed = true
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

func (t *conversation) raiseContext(argument string) error {
	m, n := t.s.Model(), 0
	if err := setCount("/context", argument, &n); err != nil {
		return err
	}
	if err := m.RaiseContext(n); err != nil {
		return err
	}
	if m.Context() == 0 {
		t.say("the model has no limit")
	} else {
		t.say("there is room for %d tokens", m.Context())
	}
	return nil
}

func (t *conversation) setTopK(argument string) error { return setCount("/top-k", argument, &t.o.TopK) }

func setCount(name, argument string, to *int) error {
	n, err := strconv.ParseUint(argument, 10, 31)
	if err != nil {
		return fmt.Errorf("%s: got %q, want a whole number from 0 to %d", name, argument, 1<<31-1)
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
		return fmt.Errorf("/seed: got %q, want a whole number from 0 to %d", argument, uint64(math.MaxUint64))
	}
	t.o.Seed, t.draws = seed, argument == ""
	return nil
}

func (t *conversation) stats(string) error {
	if t.chat != nil {
		showChatStats(t.log, t.chat, bitgpu.Reply{Result: t.last, Kept: t.kept}, t.o.Seed)
		return nil
	}
	showStats(t.log, t.s, t.last, t.o.Seed)
	return nil
}

func (t *conversation) help(string) error {
	h := &helpText{width: helpWidth(t.log)}
	if t.chat != nil {
		h.wrapped(fmt.Sprintf("Type a message and Enter: the model answers. A message of several lines stands between %s and %s. Ctrl-C stops an answer.", quotes, quotes))
	} else {
		h.wrapped("Type text and Enter: the model goes on from it. An empty line lets it go on by itself. Ctrl-C stops an answer.")
	}
	for _, k := range t.commands {
		h.item(strings.TrimSpace(k.name+" "+k.argument), k.does, 19)
	}
	io.WriteString(t.log, h.text.String())
	return nil
}

// completeLine returns the commands that a line may become.
func completeLine(commands []command, line string) (names []string) {
	if !strings.HasPrefix(line, "/") {
		return nil
	}
	for _, k := range commands {
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

// answer lets the model continue from a line. Ctrl-C stops it.
func (t *conversation) answer(ctx context.Context, line string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	// A newline separates what was written from the next line, as on the screen.
	if line != "" && t.s.Position() > 0 {
		line = "\n" + line
	}
	r, err := answer(ctx, t.out, t.s, line, t.o)
	t.last = r
	t.changed = t.changed || r.PromptTokens+r.Tokens > 0
	if errors.Is(err, errInterrupted) {
		err = nil
	}
	if err == nil && r.Reason == bitgpu.EndLength && r.Tokens > 0 {
		t.say("[%d tokens are the limit: an empty line goes on, /n changes it]", r.Tokens)
	}
	if err == nil && t.answering.stats {
		showStats(t.log, t.s, r, t.o.Seed)
	}
	if t.draws {
		t.o.Seed = rand.Uint64()
	}
	return err
}
