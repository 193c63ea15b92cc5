package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"bitgpu"
	"bitgpu/io/atomicfile"
	"bitgpu/io/memory"
	"bitgpu/nn/train/prepare"

	"github.com/urfave/cli/v2"
)

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "write the text that follows a prompt",
		UsageText: "bitgpu run -m MODEL [-p TEXT] [flags]\nbitgpu run -m MODEL [flags] < FILE",
		Description: example("Streams the text to stdout. The prompt is -p, or stdin without its last line break; at a terminal without -p\n"+
			"a conversation begins, in which /help lists the commands: in turns, as with bitgpu chat, where the model has a chat template.",
			"bitgpu run -m model.bitt -p 'ROMEO:' -n 100 --temp 0.8 --seed 1",
			"echo 'ROMEO:' | bitgpu run -m model.bitt --stop 'JULIET:' --stats",
			"bitgpu run -m model.bitt -p 'My name is Rosalind.' -n 0 --memory rosalind.memory"),
		Flags: slices.Concat(
			group("Model", modelFlags(
				&cli.StringFlag{Name: "memory", Usage: "go on from the memory in `FILE` if it is there, and save it there at the end"},
			)...),
			group("Text",
				&cli.StringFlag{Name: "prompt", Aliases: []string{"p"}, Usage: "`TEXT` to go on from"},
				&cli.IntFlag{Name: "max-tokens", Aliases: []string{"n"}, Value: 100, Usage: "write at most `N` tokens; 0 only reads"},
				&cli.StringSliceFlag{Name: "stop", Usage: "end the text before `TEXT`; may be given several times"},
				&cli.BoolFlag{Name: "stats", Usage: "at the end, show speed, use of memory and device on stderr"},
			),
			samplingFlags(),
			computeFlags(),
		),
		Action: runAction,
	}
}

// samplingFlags choose among the tokens that are predicted.
func samplingFlags() []cli.Flag {
	return group("Sampling",
		&cli.Float64Flag{Name: "temp", Value: 0.8, Usage: "temperature `T`: higher is bolder; 0 takes the most probable token each time"},
		&cli.IntFlag{Name: "top-k", Usage: "choose among the `K` most probable tokens, 0 for all"},
		&cli.Float64Flag{Name: "top-p", Usage: "choose among the most probable tokens whose probabilities together reach `P`, 0 to 1; 0 for all"},
		&cli.Float64Flag{Name: "min-p", Usage: "choose among the tokens at least `P` times as probable as the most probable, 0 to 1; 0 for all"},
		&cli.Float64Flag{Name: "repeat-penalty", Usage: "divide the odds of each of the last 64 tokens by `R`, 0 or 1 for not; 1.1 is usual"},
		&cli.Uint64Flag{Name: "seed", Usage: "number `N` that the choices depend on: the same gives the same text", DefaultText: "another each time"},
	)
}

func runAction(c *cli.Context) error {
	talk := !c.IsSet("prompt") && terminal(c.App.Reader)
	o := optionsOf(c)
	if err := o.Validate(); err != nil {
		return fmt.Errorf("run: %w", err)
	}
	if c.IsSet("prompt") && c.String("prompt") == "" && c.String("memory") == "" {
		return fmt.Errorf("run: -p: %w", bitgpu.ErrEmptyPrompt)
	}
	return withSession(c, func(s *bitgpu.Session) error {
		kept := c.String("memory")
		if talk {
			turns, err := inTurns(c, s, kept)
			if err != nil {
				return err
			}
			if turns != nil {
				defer turns.Close()
				return chatWith(c, turns, o, true)
			}
		}
		if kept != "" {
			if err := s.LoadMemory(kept); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		before := s.Position()
		var changed bool
		var err error
		if talk {
			// Ctrl-C stops an answer, not the conversation.
			ctx, stop := endedBy(c.Context, endings[1:]...)
			defer stop()
			lines := newLineReader(callOf(c), commandsOfTalk())
			defer lines.Close()
			changed, err = answeringOf(c).converse(ctx, s, o, lines)
		} else {
			ctx, stop := interruptible(c.Context)
			defer stop()
			err = withMoreContext(answerOnce(ctx, c, s, o), s.Model())
			changed = s.Position() != before
		}
		return saved(kept, err, changed, s.SaveMemory)
	})
}

// withSession opens the model and a session for use. It first refuses a --memory file that could not be saved at the end.
func withSession(c *cli.Context, use func(s *bitgpu.Session) error) error {
	if err := checkMemoryPath(c.String("memory")); err != nil {
		return err
	}
	release, err := holdMemory(c.String("memory"))
	if err != nil {
		return err
	}
	defer release()
	ignoreLostReaders()
	m, err := openModel(c)
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	return use(s)
}

// inTurns begins a conversation in turns if the model has a template and the memory does not contain other text; otherwise it
// says why it does not.
func inTurns(c *cli.Context, s *bitgpu.Session, path string) (*bitgpu.Chat, error) {
	if path != "" {
		if m, err := memory.Read(path); err == nil && m.Chat == nil {
			return nil, nil
		}
	}
	talk, err := bitgpu.NewChat(s, bitgpu.ChatOptions{})
	if errors.Is(err, bitgpu.ErrNoTemplate) || errors.Is(err, bitgpu.ErrTemplate) {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: %s\n", sentence(err))
		return nil, nil
	}
	return talk, err
}

func optionsOf(c *cli.Context) bitgpu.Options {
	o := bitgpu.Options{
		MaxTokens: c.Int("max-tokens"), Temperature: c.Float64("temp"), TopK: c.Int("top-k"), TopP: c.Float64("top-p"),
		MinP: c.Float64("min-p"), RepeatPenalty: c.Float64("repeat-penalty"), Seed: c.Uint64("seed"), Stop: c.StringSlice("stop"),
	}
	if !c.IsSet("seed") {
		o.Seed = rand.Uint64()
	}
	return o
}

// checkMemoryPath refuses at once what could not be saved at the end.
func checkMemoryPath(path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("--memory %s: there is no directory %s to save it in", path, dir)
	}
	if err := atomicfile.Check(path); err != nil {
		return flagError("memory", err)
	}
	return nil
}

// holdMemory keeps other runs from going on from a memory until release is called: the one that saved last would undo what the
// other has learned.
func holdMemory(path string) (release func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	at := path
	if target, err := filepath.EvalSymlinks(path); err == nil {
		at = target
	}
	release, ok, err := prepare.LockFile(filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+".lock"))
	switch {
	case err != nil:
		return nil, flagError("memory", err)
	case !ok:
		return nil, fmt.Errorf("--memory %s: another bitgpu goes on from it, and saves it at its end: want another file, or wait for that", path)
	}
	return release, nil
}

// answerOnce reads one prompt and writes what follows.
func answerOnce(ctx context.Context, c *cli.Context, s *bitgpu.Session, o bitgpu.Options) error {
	prompt, err := promptOf(ctx, c)
	if err != nil {
		return err
	}
	if prompt == "" && c.String("memory") == "" {
		return fmt.Errorf("stdin: %w; give it with -p TEXT or on stdin", bitgpu.ErrEmptyPrompt)
	}
	r, err := answer(ctx, c.App.Writer, s, prompt, o)
	if err == nil && r.Reason == bitgpu.EndOfText && r.Tokens < o.MaxTokens && !c.Bool("stats") {
		fmt.Fprintf(c.App.ErrWriter, "bitgpu: the model ended the text after %d of %d tokens, as the documents end that it has learned from\n", r.Tokens, o.MaxTokens)
	}
	if c.Bool("stats") && (err == nil || errors.Is(err, errInterrupted)) {
		showStats(c.App.ErrWriter, s, r, o.Seed)
	}
	return err
}

// answer streams what follows a prompt to w. If the context is cancelled, the error is errInterrupted.
func answer(ctx context.Context, w io.Writer, s *bitgpu.Session, prompt string, o bitgpu.Options) (bitgpu.Result, error) {
	var failed error
	newline := true
	r, err := s.Stream(ctx, prompt, o, func(text string) bool {
		_, failed = io.WriteString(w, text)
		newline = strings.HasSuffix(text, "\n")
		return failed == nil
	})
	if terminal(w) && !newline {
		fmt.Fprintln(w)
	}
	return r, answerError(ctx, err, failed)
}

// answerError returns how an answer ended: by err, which may come from the context, and failed, the error of writing.
func answerError(ctx context.Context, err, failed error) error {
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return errInterrupted
	case errors.Is(failed, syscall.EPIPE):
		return errReaderGone
	case failed != nil:
		return failed
	}
	return err
}
