package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"bitgpu/internal/version"
	"bitgpu/io/atomicfile"

	"github.com/urfave/cli/v2"
)

// manCommand writes the manual pages, for those who make packages: one for the program and one for each command.
func manCommand() *cli.Command {
	return &cli.Command{
		Name: "__man", Hidden: true, ArgsUsage: "DIR",
		Flags: []cli.Flag{&cli.StringFlag{Name: "date", Usage: "the `DAY` in the pages' foot"}},
		Action: func(c *cli.Context) error {
			dir, err := oneArgument(c)
			if err != nil {
				return err
			}
			if _, err := time.Parse(time.DateOnly, c.String("date")); err != nil && c.IsSet("date") {
				return usagef("__man: --date: %v", err)
			}
			set, err := atomicfile.CreateSet(dir)
			if err != nil {
				return err
			}
			defer set.Discard()
			for name, page := range manPages(c.App, c.String("date")) {
				if err := set.Write(name+".1", func(w io.Writer) error { _, err := io.WriteString(w, page); return err }); err != nil {
					return err
				}
			}
			return set.Commit()
		},
	}
}

// manPages returns the pages by name, in the language of man(7).
func manPages(app *cli.App, date string) map[string]string {
	pages := map[string]string{}
	p := manPage(app.Name, date, app.Usage, app.UsageText, app.Description)
	p.section("COMMANDS")
	var also []string
	for _, c := range app.VisibleCommands() {
		name := "bitgpu-" + c.Name
		p.item(`\fB`+roff(c.Name)+`\fR`, c.Usage)
		also = append(also, `\fB`+roff(name)+`\fR(1)`)
		page := manPage(name, date, c.Usage, c.UsageText, c.Description)
		page.flags(c.Flags)
		page.section("SEE ALSO")
		page.line(`\fBbitgpu\fR(1)`)
		pages[name] = page.String()
	}
	p.section("EXIT STATUS")
	for _, status := range [][2]string{{"0", "done"}, {"1", "failed"}, {"2", "wrong usage"}, {"130", "stopped by Ctrl-C, SIGTERM or SIGHUP"}, {"141", "nobody reads stdout"}} {
		p.item(status[0], status[1])
	}
	p.section("SEE ALSO")
	p.line(strings.Join(also, ",\n"))
	pages[app.Name] = p.String()
	return pages
}

// man is a page being written.
type man struct{ strings.Builder }

func manPage(name, date, usage, lines, description string) *man {
	p := new(man)
	fmt.Fprintf(p, ".TH %s 1 %q %q\n", strings.ToUpper(roff(name)), date, "bitgpu "+version.Release)
	p.section("NAME")
	p.line(roff(name + " - " + usage))
	p.section("SYNOPSIS")
	if lines == "" {
		lines = strings.Replace(name, "-", " ", 1) + " [flags]"
	}
	p.block(lines)
	p.section("DESCRIPTION")
	for i, paragraph := range strings.Split(strings.TrimSpace(description), "\n\n") {
		example, ok := strings.CutPrefix(paragraph, "Example:\n")
		switch {
		case ok:
			p.section("EXAMPLES")
			p.block(example)
			continue
		case i > 0:
			p.line(".PP")
		}
		p.line(roff(strings.Join(strings.Fields(paragraph), " ")))
	}
	return p
}

func (p *man) line(text string) { p.WriteString(text + "\n") }

func (p *man) section(title string) { p.line(".SH " + title) }

// block writes lines that are not wrapped.
func (p *man) block(lines string) {
	p.line(".nf")
	for line := range strings.Lines(strings.TrimRight(lines, "\n")) {
		p.line(roff(strings.TrimSpace(line)))
	}
	p.line(".fi")
}

// item writes a term and its meaning. The term is already in man's language.
func (p *man) item(term, meaning string) {
	p.line(".TP")
	p.line(term)
	p.line(roff(meaning))
}

func (p *man) flags(flags []cli.Flag) {
	for i, f := range flags {
		if i == 0 {
			p.section("OPTIONS")
		}
		f := f.(cli.DocGenerationFlag)
		p.item(`\fB`+roff(flagSyntax(f))+`\fR`, flagUsage(f))
	}
}

// roff escapes text: backslashes, hyphens and the beginnings of lines lose their special meaning.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
