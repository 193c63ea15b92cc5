package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"bitgpu"
	"bitgpu/internal/await"

	"github.com/urfave/cli/v2"
)

func chatCommand() *cli.Command {
	return &cli.Command{
		Name:      "chat",
		Usage:     "hold a conversation with a model, by its chat template",
		UsageText: "bitgpu chat -m MODEL [flags]\nbitgpu chat -m MODEL -p TEXT [flags]\nbitgpu chat -m MODEL [flags] < FILE",
		Description: example("At a terminal a conversation begins, in which /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves. With -p, or what "+
			"is on stdin, there is one answer. What the model thinks before it answers is dimmed on a terminal, and within <think> elsewhere.\n\n"+
			"The model's file has the template, as those of the public families do; bitgpu run goes on from text with any model. What is typed "+
			"is text: the tokens that end turns cannot be typed.",
			"bitgpu chat -m Bonsai-8B.gguf --system 'Be brief.'",
			"bitgpu chat -m Bonsai-8B.gguf --no-think -p 'Why is the sky blue?'",
			"bitgpu chat -m Bonsai-8B.gguf --memory talk.memory"),
		Flags: slices.Concat(
			group("Model", modelFlags(
				&cli.StringFlag{Name: "memory", Usage: "go on from the conversation in `FILE` if it is there, and save it there at the end"},
				&cli.StringFlag{Name: "template", Usage: "render by the Jinja template in `FILE` in place of the model's own"},
			)...),
			group("Conversation",
				&cli.StringFlag{Name: "system", Usage: "`TEXT` that the model is told before the first turn"},
				&cli.BoolFlag{Name: "think", Usage: "let the model think before it answers, where its template can ask for that"},
				&cli.BoolFlag{Name: "no-think", Usage: "let the model answer at once"},
				&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "say `TEXT`, write the answer and end"},
				&cli.IntFlag{Name: "max-tokens", Aliases: []string{"n"}, DefaultText: "as many as there is room for", Usage: "end an answer after `N` tokens"},
				&cli.StringSliceFlag{Name: "stop", Usage: "end an answer before `TEXT`; may be given several times"},
				&cli.BoolFlag{Name: "stats", Usage: "after each answer, show speed, use of memory and device on stderr"},
				&cli.BoolFlag{Name: "show-prompt", Usage: "before each answer, show on stderr the text that the template makes of the conversation"},
			),
			samplingFlags(),
			computeFlags(),
		),
		Action: chatAction,
	}
}

func chatAction(c *cli.Context) error {
	o := optionsOf(c)
	if err := o.Validate(); err != nil {
		return fmt.Errorf("chat: %w", err)
	}
	rendering, err := renderingOf(c)
	if err != nil {
		return err
	}
	if c.IsSet("prompt") && c.String("prompt") == "" {
		return fmt.Errorf("chat: -p: %w", errNothingSaid)
	}
	return withSession(c, func(s *bitgpu.Session) error {
		talk, err := bitgpu.NewChat(s, rendering)
		if errors.Is(err, bitgpu.ErrNoTemplate) {
			return fmt.Errorf("%w; bitgpu run does the former, and --template FILE gives it one", err)
		}
		if err != nil {
			return err
		}
		defer talk.Close()
		if rendering.Think != nil && !talk.Thinks() {
			fmt.Fprintln(c.App.ErrWriter, "bitgpu: the model's template knows of no thinking: --think and --no-think change nothing")
		}
		return chatWith(c, talk, o, terminal(c.App.Reader) && !c.IsSet("prompt"))
	})
}

var errNothingSaid = errors.New("nothing is said: got an empty text")

// renderingOf reads the flags that say how to render a conversation.
func renderingOf(c *cli.Context) (o bitgpu.ChatOptions, err error) {
	o.System = c.String("system")
	switch think, not := c.Bool("think"), c.Bool("no-think"); {
	case think && not:
		return o, usagef("chat: got --think and --no-think, want one of them")
	case think, not:
		o.Think = &think
	}
	o.Template, err = givenTemplate(c.String("template"))
	return o, err
}

// chatWith loads the file of --memory, holds the conversation and saves it.
func chatWith(c *cli.Context, talk *bitgpu.Chat, o bitgpu.Options, atTerminal bool) error {
	memory := c.String("memory")
	if memory != "" {
		rendering := talk.Options()
		if err := talk.Load(memory); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if rendering.System != "" {
			talk.SetSystem(rendering.System)
		}
		if rendering.Think != nil {
			talk.SetThink(rendering.Think)
		}
	}
	var changed bool
	var err error
	if atTerminal {
		// Ctrl-C stops an answer, not the conversation.
		ctx, stop := endedBy(c.Context, endings[1:]...)
		defer stop()
		lines := newLineReader(callOf(c), commandsOfChat())
		defer lines.Close()
		changed, err = answeringOf(c).converseInTurns(ctx, talk, o, lines)
	} else {
		ctx, stop := interruptible(c.Context)
		defer stop()
		changed, err = sayOnce(ctx, c, talk, o)
	}
	return saved(memory, err, changed, talk.Save)
}

// saved saves what was learned, however the conversation ended, and joins the errors. If nothing has changed since the file
// was loaded, an error leaves the file as it is.
func saved(path string, err error, changed bool, save func(path string) error) error {
	if path == "" || err != nil && !changed {
		return err
	}
	if failed := save(path); failed != nil && (err == nil || errors.Is(err, errInterrupted)) {
		return failed
	} else if failed != nil {
		return fmt.Errorf("%w; and the memory was not saved: %w", err, failed)
	}
	return err
}

// sayOnce sends -p, or stdin, and writes the answer. It reports whether the model has read anything.
func sayOnce(ctx context.Context, c *cli.Context, talk *bitgpu.Chat, o bitgpu.Options) (changed bool, err error) {
	text, err := promptOf(ctx, c)
	if err != nil {
		return false, err
	}
	if text == "" {
		return false, fmt.Errorf("stdin: %w; say something with -p TEXT or on stdin", errNothingSaid)
	}
	r, err := answeringOf(c).sayTo(ctx, talk, text, o)
	if err == nil && r.Reason == bitgpu.EndContext {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: %s\n", fullContext(talk, "", "--context N"))
	}
	if c.Bool("stats") && (err == nil || errors.Is(err, errInterrupted)) {
		showChatStats(c.App.ErrWriter, talk, r, o.Seed)
	}
	return r.PromptTokens+r.Tokens > 0, withMoreContext(err, talk.Session().Model())
}

// withMoreContext adds to an error about the length of the context what helps.
func withMoreContext(err error, m *bitgpu.Model) error {
	if errors.Is(err, bitgpu.ErrContext) {
		return fmt.Errorf("%w; %s", err, moreContext(m, "--context N"))
	}
	return err
}

// moreContext says that `by` makes room for more tokens, if the model knows of more.
func moreContext(m *bitgpu.Model, by string) string {
	if m.Context() >= m.TrainedContext() {
		return "the model was made for no more"
	}
	return fmt.Sprintf("%s makes room for more, up to %d", by, m.TrainedContext())
}

// fullContext says that there is no room, and what helps: ways, and `by` as in moreContext.
func fullContext(talk *bitgpu.Chat, ways, by string) string {
	m := talk.Session().Model()
	return fmt.Sprintf("the answer ended because the context of %d tokens is full: %s%s", m.Context(), ways, moreContext(m, by))
}

// promptOf returns -p, or stdin without its last newline.
func promptOf(ctx context.Context, c *cli.Context) (string, error) {
	if c.IsSet("prompt") {
		return c.String("prompt"), nil
	}
	data, err := await.For(ctx, func() ([]byte, error) { return readText(c.App.Reader, mostText()) })
	if errors.Is(err, errInterrupted) {
		return "", err
	}
	if err != nil {
		return "", fmt.Errorf("the prompt on stdin: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}

// answering says how to show answers.
type answering struct {
	*call
	stats, showPrompt bool
}

func answeringOf(c *cli.Context) answering {
	return answering{callOf(c), c.Bool("stats"), c.Bool("show-prompt")}
}

// sayTo sends a text and streams the answer to stdout; for an empty text, the last one is answered again. If the context is
// cancelled, the error is errInterrupted.
func (a answering) sayTo(ctx context.Context, talk *bitgpu.Chat, text string, o bitgpu.Options) (bitgpu.Reply, error) {
	if text != "" && a.showPrompt {
		prompt, err := talk.Prompt(text)
		if err != nil {
			return bitgpu.Reply{}, err
		}
		fmt.Fprintf(a.log, "%s[the end of the prompt]\n", prompt)
	}
	out := &answerWriter{w: a.out, dim: dims(a.out, os.Getenv)}
	var r bitgpu.Reply
	var err error
	if text != "" {
		r, err = talk.Send(ctx, text, o, out.show)
	} else {
		r, err = talk.Again(ctx, o, out.show)
	}
	if terminal(a.out) {
		out.endLine()
	}
	return r, answerError(ctx, err, out.err)
}

// showChatStats writes the speed of an answer.
func showChatStats(w io.Writer, talk *bitgpu.Chat, r bitgpu.Reply, seed uint64) {
	showStats(w, talk.Session(), r.Result, seed)
	fmt.Fprintf(w, "kept    %d tokens of the prompt were in the memory already\n", r.Kept)
}
