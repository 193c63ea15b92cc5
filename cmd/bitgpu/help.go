package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"bitgpu/internal/version"

	"github.com/mattn/go-runewidth"
	"github.com/urfave/cli/v2"
)

func init() {
	cli.HelpPrinter = printHelp
	cli.VersionPrinter = func(c *cli.Context) { fmt.Fprintln(c.App.Writer, version.Line()) }
}

func helpCommand() *cli.Command {
	return &cli.Command{
		Name:        "help",
		Usage:       "show how a command is used",
		UsageText:   "bitgpu help [COMMAND]",
		ArgsUsage:   "COMMAND",
		Description: example("bitgpu COMMAND --help shows the same.", "bitgpu help run"),
		Action: func(c *cli.Context) error {
			if !c.Args().Present() {
				return cli.ShowAppHelp(c)
			}
			name, err := oneArgument(c)
			if err != nil {
				return err
			}
			command := c.App.Command(name)
			if command == nil {
				return usagef("no command %q%s", name, suggestCommand(c.App.Commands, name))
			}
			printHelp(c.App.Writer, "", command)
			return nil
		},
	}
}

// group puts flags under a heading of the help.
func group(heading string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Category = heading
		case *cli.StringSliceFlag:
			f.Category = heading
		case *cli.IntFlag:
			f.Category = heading
		case *cli.Uint64Flag:
			f.Category = heading
		case *cli.Float64Flag:
			f.Category = heading
		case *cli.BoolFlag:
			f.Category = heading
		case *cli.DurationFlag:
			f.Category = heading
		default:
			panic(fmt.Sprintf("flag %s: no heading for a %T", f.Names()[0], f))
		}
	}
	return flags
}

// The help's lines are as wide as the terminal, within these limits.
const (
	leastWidth = 40
	mostWidth  = 100
)

// helpWidth returns how wide the help's lines may be on out.
func helpWidth(out io.Writer) int {
	if f, ok := terminalFile(out); ok {
		return min(max(columns(f), leastWidth), mostWidth)
	}
	return 80
}

// printHelp writes the help of the program or of a command. The library calls it with a template, which is ignored.
func printHelp(out io.Writer, _ string, of any) {
	h := &helpText{width: helpWidth(out)}
	switch of := of.(type) {
	case *cli.App:
		h.head(of.Name, of.Usage, of.UsageText, of.Description)
		h.heading("Commands")
		for _, c := range of.VisibleCommands() {
			h.item(c.Name, c.Usage, 16)
		}
		h.paragraphs("Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C (a training has saved then, and --resume goes on).\n\n" +
			"Text and results go to stdout, everything else to stderr. BITGPU_BACKEND and BITGPU_ADAPTER in the environment stand for --backend and --adapter.")
	case *cli.Command:
		h.head("bitgpu "+of.Name, of.Usage, of.UsageText, of.Description)
		h.flags(of.Flags)
	}
	io.WriteString(out, h.text.String()) // the program's stdout remembers errors
}

// helpText is a help text being written.
type helpText struct {
	text  strings.Builder
	width int
}

// usageIndent is the column of text below a heading.
const usageIndent = 3

func (h *helpText) heading(text string) { fmt.Fprintf(&h.text, "\n%s:\n", text) }

func (h *helpText) head(name, usage, lines, description string) {
	h.wrapped(name + ": " + usage)
	h.heading("Usage")
	if lines == "" {
		lines = name + " [flags]"
	}
	for line := range strings.Lines(lines) {
		fmt.Fprintf(&h.text, "%*s%s\n", usageIndent, "", strings.TrimSpace(line))
	}
	h.paragraphs(description)
}

// paragraphs writes wrapped text, with an empty line before each paragraph; lines of an example are not wrapped.
func (h *helpText) paragraphs(text string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		h.text.WriteString("\n")
		if strings.HasPrefix(paragraph, "Example:\n") {
			for line := range strings.Lines(paragraph) {
				h.text.WriteString(strings.TrimRight(strings.Replace(line, "  ", "   ", 1), "\n") + "\n")
			}
			continue
		}
		h.wrapped(paragraph)
	}
}

func (h *helpText) wrapped(text string) {
	for _, line := range wrap(text, h.width) {
		h.text.WriteString(line + "\n")
	}
}

// flags writes the flags under their headings, in the order of the first flag of each.
func (h *helpText) flags(flags []cli.Flag) {
	var headings []string
	under := map[string][]cli.Flag{}
	for _, f := range flags {
		heading := f.(cli.CategorizableFlag).GetCategory()
		if f.Names()[0] == "help" {
			continue
		}
		if heading == "" {
			heading = "Flags"
		}
		if !slices.Contains(headings, heading) {
			headings = append(headings, heading)
		}
		under[heading] = append(under[heading], f)
	}
	for _, heading := range headings {
		h.heading(heading)
		for _, f := range under[heading] {
			f := f.(cli.DocGenerationFlag)
			h.item(flagSyntax(f), flagUsage(f), 28)
		}
	}
}

// item writes a name and, from a column on, its meaning: on the next line if the name is too long, and only slightly indented
// if lines are short.
func (h *helpText) item(name, meaning string, column int) {
	if h.width < 60 {
		column = 2 * usageIndent
	}
	line := fmt.Sprintf("%*s%s", usageIndent, "", name)
	if runewidth.StringWidth(line)+2 > column {
		h.text.WriteString(line + "\n")
		line = ""
	}
	for _, part := range wrap(meaning, h.width-column) {
		h.text.WriteString(line + strings.Repeat(" ", column-runewidth.StringWidth(line)) + part + "\n")
		line = ""
	}
}

// placeholder returns the placeholder of a flag's value, which its usage has in backquotes, and the usage without backquotes.
// The placeholder says how to complete the value: alternatives such as cpu|gpu, or file names if it is one of
// filePlaceholders.
func placeholder(f cli.DocGenerationFlag) (value, usage string) {
	usage = f.GetUsage()
	before, rest, ok := strings.Cut(usage, "`")
	value, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		return "", usage
	}
	if meaning, first := strings.CutPrefix(after, ": "); first && before == "" {
		return value, meaning // the text does not repeat it
	}
	return value, before + value + after
}

// flagSyntax returns a flag as it is typed, its short name first.
func flagSyntax(f cli.DocGenerationFlag) string {
	var names []string
	for _, name := range f.Names() {
		names = append(names, dashes(name))
	}
	slices.SortStableFunc(names, func(a, b string) int { return min(len(a), 3) - min(len(b), 3) })
	text := strings.Join(names, ", ")
	if value, _ := placeholder(f); f.TakesValue() {
		text += " " + value
	}
	return text
}

// flagUsage says what a flag does, and its default.
func flagUsage(f cli.DocGenerationFlag) string {
	_, text := placeholder(f)
	if value := strings.Trim(f.GetDefaultText(), `"`); f.TakesValue() && value != "" {
		text += " (default " + value + ")"
	}
	if names := f.GetEnvVars(); len(names) > 0 {
		text += " [$" + strings.Join(names, ", $") + "]"
	}
	return text
}

// wrap breaks a text between words into lines of at most width columns; longer words stay whole.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
