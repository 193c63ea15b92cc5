package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The parser's context stays in the files that define a subcommand, or flags that several of them share, and in those that extend
// the parser itself. Everything behind them takes values.
func TestContextStaysInSubcommands(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	defines := regexp.MustCompile(`(?m)^func \w+\([^)]*\) (\*cli\.Command|(flags )?\(?\[?\]?cli\.Flag\)?) {$`)
	parser := map[string]bool{"numbers.go": true, "usage.go": true, "main.go": true, "completion.go": true, "help.go": true}
	seen := 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") || !strings.Contains(string(text), "*cli.Context") || parser[name] {
			continue
		}
		seen++
		if !defines.Match(text) {
			t.Errorf("%s takes *cli.Context, but defines neither a subcommand nor flags: give it values", name)
		}
	}
	if seen < 15 {
		t.Errorf("got %d files with a subcommand, want at least 15", seen)
	}
}
