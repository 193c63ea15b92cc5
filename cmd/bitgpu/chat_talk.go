package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"

	"bitgpu"
)

// quotes enclose a message of several lines.
const quotes = `"""`

// commandsOfChat returns the commands of a conversation in turns, in the order of the help.
func commandsOfChat() []command {
	return append([]command{
		{"/system", "[TEXT]", "tell the model TEXT before the first turn; without TEXT, nothing", (*conversation).setSystem},
		{"/think", "[on|off]", "let the model think before it answers, or not; without a word, as its template has it", (*conversation).setThink},
		{"/undo", "", "take the last turn back", (*conversation).undo},
		{"/regen", "", "answer the last turn again", nil},
		{"/clear", "", "take all turns back", (*conversation).clear},
		{"/save", "FILE", "save the conversation, and what the model has read of it, to FILE", (*conversation).saveChat},
		{"/load", "FILE", "go on from the conversation in FILE", (*conversation).loadChat},
		{"/n", "N", "end answers after N tokens, 0 for as many as there is room for", (*conversation).setLimit},
	}, commandsOfBoth()...)
}

// converseInTurns reads messages and answers them until the person leaves, or the context ends. It says whether the conversation
// has become another.
func (a answering) converseInTurns(ctx context.Context, talk *bitgpu.Chat, o bitgpu.Options, lines lineReader) (changed bool, err error) {
	t := &conversation{answering: a, s: talk.Session(), o: o, draws: !a.given("seed"), chat: talk, commands: commandsOfChat(), lines: lines}
	if !a.given("max-tokens") {
		t.o.MaxTokens = 0
	}
	if n := len(talk.Messages()); n > 0 {
		t.say("The conversation of %d messages goes on.", n)
	}
	t.say("Type a message; /help lists the commands, /quit leaves.")
	err = t.loop(ctx)
	return t.changed, err
}

// message is what a person says with a line: the line, or the lines between quotes.
func (t *conversation) message(ctx context.Context, line string) (text string, err error) {
	text, quoted := strings.CutPrefix(line, quotes)
	for quoted {
		if before, closed := strings.CutSuffix(strings.TrimRight(text, " \t"), quotes); closed {
			return strings.Trim(before, "\n"), nil
		}
		line, err := prompt(ctx, t.lines, ". ")
		if err != nil {
			return "", err
		}
		t.remember(line)
		text += "\n" + line
	}
	return text, nil
}

// sayLine answers a line that is no command.
func (t *conversation) sayLine(ctx context.Context, line string) error {
	text, err := t.message(ctx, line)
	if err != nil || strings.TrimSpace(text) == "" {
		return err
	}
	return t.reply(ctx, text)
}

// reply says a text, or has the last one answered again where there is none. Ctrl-C stops the answer.
func (t *conversation) reply(ctx context.Context, text string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	before := len(t.chat.Messages())
	r, err := t.sayTo(ctx, t.chat, text, t.o)
	t.last, t.kept = r.Result, r.Kept
	t.changed = t.changed || r.PromptTokens+r.Tokens > 0
	if errors.Is(err, errInterrupted) {
		err = nil
		if text != "" && len(t.chat.Messages()) == before {
			t.say("[nothing was written, and the turn is taken back]")
		}
	}
	switch {
	case err != nil:
	case r.Reason == bitgpu.EndLength && r.Tokens > 0:
		t.say("[%d tokens are the limit: /n changes it]", r.Tokens)
	case r.Reason == bitgpu.EndContext:
		t.say("[%s]", fullContext(t.chat, "/clear begins anew, /undo takes turns back, ", "/context N"))
	}
	if err == nil && t.answering.stats {
		showChatStats(t.log, t.chat, r, t.o.Seed)
	}
	if t.draws {
		t.o.Seed = rand.Uint64()
	}
	return err
}

func (t *conversation) setSystem(text string) error {
	t.chat.SetSystem(text)
	t.changed = true
	return nil
}

func (t *conversation) setThink(word string) error {
	think := word == "on"
	switch {
	case word == "":
		t.chat.SetThink(nil)
	case !think && word != "off":
		return fmt.Errorf("/think: got %q, want on or off", word)
	default:
		t.chat.SetThink(&think)
	}
	t.changed = true
	if word != "" && !t.chat.Thinks() {
		t.say("the model's template knows of no thinking: it answers as before")
	}
	return nil
}

func (t *conversation) undo(string) error {
	if err := t.chat.Undo(); err != nil {
		return err
	}
	t.changed = true
	t.say("the last turn is taken back; there are %d messages", len(t.chat.Messages()))
	return nil
}

func (t *conversation) clear(string) error {
	t.chat.Clear()
	t.changed = true
	return nil
}

func (t *conversation) saveChat(path string) error {
	if err := t.chat.Save(path); err != nil {
		return err
	}
	t.say("the conversation of %d messages and %d tokens is in %s", len(t.chat.Messages()), t.s.Position(), path)
	return nil
}

func (t *conversation) loadChat(path string) error {
	if err := t.chat.Load(path); err != nil {
		return err
	}
	t.changed = true
	t.say("the conversation of %d messages and %d tokens is loaded", len(t.chat.Messages()), t.s.Position())
	return nil
}
