// Command bitgpu runs and trains ternary language models whose memory learns while they read. It handles files, flags and the
// terminal, and leaves the rest to packages: whatever it can do, a Go program can do with package bitgpu and those below it.
// Each subcommand has a file.
//
// Exit codes: 0 success; 1 an error; 2 a command line that is wrong whatever the files contain; 130 stopped by Ctrl-C,
// SIGTERM or SIGHUP, including a training that was saved, but not a server, which normally ends so; 141 if nobody reads
// stdout. Text and results go to stdout, everything else to stderr; an error is one sentence.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"bitgpu"
	"bitgpu/internal/jsonwords"
	"bitgpu/internal/version"
	"bitgpu/io/corpus"
	"bitgpu/io/regular"
	"bitgpu/nn/cpu/freemem"
	"bitgpu/nn/storage/public"
	"bitgpu/nn/train/ranks"

	"github.com/urfave/cli/v2"
)

func main() {
	boundHeap()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// boundHeap has Go collect garbage before a control group or ulimit -v ends the process: left alone, the heap grows to twice
// what is in use.
func boundHeap() {
	if total := freemem.Total(); total > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(total / 10 * 9)
	}
}

// commands returns the subcommands in the order of the help.
func commands() []*cli.Command {
	return []*cli.Command{
		runCommand(),
		chatCommand(),
		serveCommand(),
		webCommand(),
		logitsCommand(),
		tokenizeCommand(),
		inspectCommand(),
		exportCommand(),
		vocabCommand(),
		dataCommand(),
		trainCommand(),
		learnCommand(),
		evalCommand(),
		plotCommand(),
		viewCommand(),
		benchCommand(),
		devicesCommand(),
		modelsCommand(),
		completionCommand(),
		versionCommand(),
		licensesCommand(),
		helpCommand(),
	}
}

// Exit codes.
const (
	exitError       = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as in shells
	exitReaderGone  = 141 // 128 + SIGPIPE
)

// run is the program: args are without its name. It returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	defer restoreThreads(runtime.GOMAXPROCS(0))
	for _, name := range []string{"BITGPU_BACKEND", "BITGPU_ADAPTER"} {
		if os.Getenv(name) == "" {
			os.Unsetenv(name) // the flag parser would take the empty word for a choice
		}
	}
	out := &checkedWriter{Writer: stdout}
	err := out.check(regular.Guard(func() error { return newApp(stdin, out, stderr).Run(append([]string{"bitgpu"}, args...)) }))
	if err == nil {
		return 0
	}
	if !errors.Is(err, errInterrupted) && !errors.Is(err, errReaderGone) && !errors.Is(err, ranks.ErrElsewhere) {
		fmt.Fprintf(stderr, "bitgpu: %s\n", sentence(err))
	}
	return exitCode(err)
}

// formats matches the packages that a message about a file passes through, outermost first.
var formats = regexp.MustCompile(`^(modeldir: |bitt: |memory: )+(bitt: |safetensors: )`)

// sentence returns an error on one line, beginning with the innermost of the formats that it passed through, without system
// calls or Go's types.
func sentence(err error) string {
	text := withoutOperation(err)
	text = strings.ReplaceAll(strings.TrimSpace(jsonwords.Plain(text)), "\n", "; ")
	text = strings.NewReplacer(".; ", "; ", ".: ", ": ").Replace(text) // errors of Windows end with a full stop
	text = strings.TrimPrefix(formats.ReplaceAllString(text, "$2"), "modeldir: ")
	if rest, ok := strings.CutPrefix(text, "lora: "); ok {
		text = flagError("lora", errors.New(rest)).Error()
	}
	if short := (*corpus.ShortError)(nil); errors.As(err, &short) {
		if text += "; give more text"; short.Fits() > 0 {
			text += fmt.Sprintf(", or --context-len %d", short.Fits())
		}
	}
	if errors.Is(err, public.ErrUnsaid) {
		text = strings.Replace(text, "the option masters says", "--masters says", 1)
	}
	if errors.Is(err, bitgpu.ErrOption) {
		text = optionName.ReplaceAllStringFunc(strings.Replace(text, bitgpu.ErrOption.Error()+": ", "", 1), func(name string) string { return optionNames[name] })
	}
	return text
}

// optionNames maps the options in the library's errors to flags.
var optionNames = map[string]string{"temperature: ": "--temp: ", "cache: ": "--kv: ", "activations: ": "--activations: ", "cache or activations: ": "--kv or --activations: "}

// optionName matches such an option in a message.
var optionName = regexp.MustCompile(`\b(temperature|cache or activations|cache|activations): `)

func exitCode(err error) int {
	var usage usageError
	switch {
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, errReaderGone):
		return exitReaderGone
	case errors.As(err, &usage), errors.Is(err, bitgpu.ErrOption):
		return exitUsage
	}
	return exitError
}

// errInterrupted ends the program after Ctrl-C, without a message.
var errInterrupted = fmt.Errorf("interrupted: %w", context.Canceled)

// errReaderGone ends the program without a message when nobody reads its output any more, as with head.
var errReaderGone = errors.New("stdout: nobody reads it")

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "bitgpu",
		Usage:     "run and train ternary language models whose memory learns while they read",
		UsageText: "bitgpu COMMAND [flags]\nbitgpu help COMMAND",
		Description: example("A model is a .bitt file, a model directory, a .safetensors file beside its config.json, or a public model: a GGUF file, or a "+
			"directory as Hugging Face has them (bitgpu models lists some). Commands that take one use "+
			"the small demo model inside this program where none is given.",
			"bitgpu run -p 'ROMEO:'",
			"bitgpu train --data book.txt --output-dir model",
			"bitgpu run -m model/model.bitt -p 'Once'"),
		Version:                   version.Text(),
		Commands:                  append(commands(), completeCommand(), manCommand()),
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		OnUsageError:              refuseFlags,
		DisableSliceFlagSeparator: true,                     // a stop text may contain a comma
		HideHelpCommand:           true,                     // it is one of ours
		Flags:                     []cli.Flag{cli.HelpFlag}, // which the library omits because it finds our help command
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			return usagef("no command %q%s", c.Args().First(), suggestCommand(c.App.Commands, c.Args().First()))
		},
	}
	for _, command := range app.Commands {
		if !command.Hidden {
			guard(command)
		}
	}
	return app
}

// example is the end of a command's description: lines that work as they are, provided that the files exist.
func example(about string, lines ...string) string {
	var text strings.Builder
	if about != "" {
		text.WriteString(about + "\n\n")
	}
	text.WriteString("Example:\n")
	for _, line := range lines {
		text.WriteString("  " + typed(runtime.GOOS, line) + "\n")
	}
	return text.String()
}

// typed returns a shell's line for a system: shells of Windows only know double quotes.
func typed(system, line string) string {
	if system == "windows" {
		return strings.ReplaceAll(line, "'", `"`)
	}
	return line
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "show the version, the commit, and what this build computes on",
		Description: example("", "bitgpu version"),
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprintln(c.App.Writer, version.Line())
			return err
		},
	}
}
