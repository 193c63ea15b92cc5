package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"unicode"

	"github.com/urfave/cli/v2"

	"bitgpu/io/regular"
)

// usageError is a wrong use of the program: exit code 2.
type usageError struct{ error }

func usagef(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// flagged is an error about what a flag names.
type flagged struct {
	flag string
	err  error
}

// flagError says which flag an error comes from, instead of the package that refused its file and the system call that
// failed.
func flagError(flag string, err error) error { return flagged{flag, err} }

func (e flagged) Error() string {
	text := strings.TrimPrefix(strings.TrimPrefix(withoutOperation(e.err), "corpus: "), "safetensors: ")
	return fmt.Sprintf("%s: %s", dashes(e.flag), text)
}

// withoutOperation returns the text of err without the system call in a path error: "FILE: no such file or directory" instead
// of "open FILE: no such file or directory". [regular.Cause] also drops the path, for messages that name the file themselves.
func withoutOperation(err error) string {
	text := err.Error()
	if path := (*fs.PathError)(nil); errors.As(err, &path) && path.Path != "" {
		text = strings.ReplaceAll(text, path.Error(), path.Path+": "+path.Err.Error())
	}
	return text
}

func (e flagged) Unwrap() error { return e.err }

// call describes how a subcommand was called: what its helpers need besides the values of its flags. The parser's own context
// is only used in files that define subcommands and in those with flags that several of them share.
type call struct {
	command  string // its name
	in       io.Reader
	out, log io.Writer              // for results, and for everything else
	given    func(flag string) bool // reports whether a flag is set
}

func callOf(c *cli.Context) *call {
	return &call{command: c.Command.Name, in: c.App.Reader, out: c.App.Writer, log: c.App.ErrWriter, given: c.IsSet}
}

// readFlag reads the file that a flag names.
func readFlag(flag, path string) ([]byte, error) {
	data, err := regular.ReadFile(path)
	if err != nil {
		return nil, flagError(flag, err)
	}
	return data, nil
}

// refuseIdle refuses the first of the flags that is given, because it would have no effect.
func refuseIdle(c *call, why string, flags ...string) error {
	for _, flag := range flags {
		if c.given(flag) {
			return usagef("%s: %s has nothing to act on: %s", c.command, dashes(flag), why)
		}
	}
	return nil
}

// Messages of the standard library's flag parser.
var (
	undefinedFlag = regexp.MustCompile(`^flag provided but not defined: -+(.*)$`)
	invalidFlag   = regexp.MustCompile(`^invalid (?:boolean )?value (".*") for(?: flag)? -+([^:]*): `)
	emptyFlag     = regexp.MustCompile(`^flag needs an argument: -+(.*)$`)
)

// refuseFlags rewords the flag parser's error as one sentence, with what may have been meant.
func refuseFlags(c *cli.Context, err error, _ bool) error {
	where, flags := "", c.App.Flags
	if c.Command != nil && c.Command.Name != c.App.Name {
		where, flags = c.Command.Name+": ", c.Command.Flags
	}
	message := err.Error()
	if m := undefinedFlag.FindStringSubmatch(message); m != nil {
		message = "no flag " + dashes(m[1])
		if where == "" {
			message += "; flags come after the command, as in bitgpu run --help"
		} else {
			message += suggestFlag(flags, m[1])
		}
	} else if m := invalidFlag.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("%s: got %s, want %s", dashes(m[2]), m[1], takenBy(flags, m[2], m[1]))
	} else if m := emptyFlag.FindStringSubmatch(message); m != nil {
		message = dashes(m[1]) + " needs a value"
	}
	return usagef("%s%s", where, message)
}

// takenBy says what a flag accepts instead of what it got, which is quoted.
func takenBy(flags []cli.Flag, name, got string) string {
	for _, f := range flags {
		if !slices.Contains(f.Names(), name) {
			continue
		}
		switch f := f.(type) {
		case decimalFlag:
			return f.takes(strings.Trim(got, `"`))
		case *cli.DurationFlag:
			return "a time such as 30s or 5m"
		case *cli.BoolFlag:
			return "true or false"
		}
	}
	return "another value"
}

// dashes returns a flag as it is typed.
func dashes(name string) string {
	if len([]rune(name)) == 1 {
		return "-" + name
	}
	return "--" + name
}

// shellWord returns a word as it can be pasted into a shell, quoted if necessary.
func shellWord(word string) string { return quoted(runtime.GOOS, word) }

// quoted is shellWord for a system. Both of Windows' shells understand double quotes, which its paths do not contain.
func quoted(system, word string) string {
	also := ""
	if system == "windows" {
		also = `\`
	}
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./,:=@%+"+also, r)
	}
	switch {
	case word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0:
		return word
	case system == "windows":
		return `"` + word + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// guard makes a command report, in one sentence on stderr, what the library would answer with its whole help or silently
// ignore: a missing flag, and arguments that nobody reads, such as flags after a file.
func guard(command *cli.Command) {
	command.OnUsageError = refuseFlags
	command.HideHelpCommand = true // "bitgpu help COMMAND" and --help are enough; an argument "help" may be a file
	for _, sub := range command.Subcommands {
		guard(sub)
	}
	var required []string
	for _, f := range command.Flags {
		if makeOptional(f) {
			required = append(required, f.Names()[0])
		}
	}
	decimalFlags(command.Flags)
	action := command.Action
	if action == nil {
		return
	}
	command.Action = func(c *cli.Context) error {
		args := c.Args().Slice()
		if i := slices.IndexFunc(args, func(arg string) bool { return len(arg) > 1 && arg[0] == '-' }); i > 0 {
			return usagef("%s: flag %s after %q: flags come before it", command.Name, args[i], args[i-1])
		}
		if len(args) > 0 && command.ArgsUsage == "" {
			return usagef("%s: unexpected argument %q; it takes flags only, see bitgpu %s --help", command.Name, args[0], command.Name)
		}
		for _, name := range required {
			if !c.IsSet(name) {
				return usagef("%s: %s is needed, see bitgpu %s --help", command.Name, dashes(name), command.Name)
			}
		}
		if err := refuseEmpty(c); err != nil {
			return err
		}
		return action(c)
	}
}

// refuseEmpty refuses an empty value, except for a text. It comes from an unset shell variable, and must not mean the
// default: the demo instead of a model, or no memory file.
func refuseEmpty(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		var values []string
		switch f.(type) {
		case *cli.StringFlag:
			values = []string{c.String(name)}
		case *cli.StringSliceFlag:
			values = c.StringSlice(name)
		}
		if c.IsSet(name) && name != "prompt" && slices.Contains(values, "") {
			want, _ := placeholder(f.(cli.DocGenerationFlag))
			return usagef("%s: %s: got \"\", want %s", c.Command.Name, dashes(name), want)
		}
	}
	if slices.Contains(c.Args().Slice(), "") {
		return usagef("%s: got \"\", want %s", c.Command.Name, c.Command.ArgsUsage)
	}
	return nil
}

// makeOptional makes a required flag optional, and reports whether it was required.
func makeOptional(f cli.Flag) bool {
	if r, ok := f.(cli.RequiredFlag); !ok || !r.IsRequired() {
		return false
	}
	switch f := f.(type) {
	case *cli.StringFlag:
		f.Required = false
	case *cli.StringSliceFlag:
		f.Required = false
	case *cli.IntFlag:
		f.Required = false
	case *cli.PathFlag:
		f.Required = false
	default:
		panic(fmt.Sprintf("flag %s: make it required by hand", strings.Join(f.Names(), ", ")))
	}
	return true
}

// oneArgument returns the only argument of a command that takes one.
func oneArgument(c *cli.Context) (string, error) {
	if n := c.NArg(); n != 1 {
		return "", usagef("%s: got %d arguments, want one %s", c.Command.Name, n, c.Command.ArgsUsage)
	}
	return c.Args().First(), nil
}
