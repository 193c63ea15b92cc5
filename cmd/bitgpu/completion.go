package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completeName is the hidden command with which the scripts ask for completions of its last argument, given those before it.
// It writes one candidate per line, and askFiles if a file name is expected, which the shell completes best.
const (
	completeName = "__complete"
	askFiles     = ":files"
)

// The shells give the command as it was typed, with a ~ that nobody has replaced.
const bashCompletion = `_bitgpu() {
  local cur="${COMP_WORDS[COMP_CWORD]}" program="${COMP_WORDS[0]/#\~/$HOME}"
  local -a words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
  if [[ $cur == '=' ]]; then words+=('='); cur=; fi
  COMPREPLY=($("$program" __complete "${words[@]}" "$cur" 2>/dev/null))
  if [[ ${COMPREPLY[0]} == ':files' ]]; then
    COMPREPLY=()
    compopt -o default -o bashdefault 2>/dev/null
  elif [[ ${#COMPREPLY[@]} == 0 ]]; then
    compopt +o default +o bashdefault 2>/dev/null
  fi
}
complete -o bashdefault -o default -F _bitgpu bitgpu
`

// In a directory of fpath the whole file is the function, in a script that is read it defines one.
const zshCompletion = `#compdef bitgpu
_bitgpu() {
  local -a found
  found=("${(@f)$("${(Q)words[1]/#\~/$HOME}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ ${found[1]} == ':files' ]]; then
    [[ $PREFIX == -*=* ]] && compset -P '*='
    _files
  elif [[ -n ${found[1]} ]]; then
    compadd -- "${found[@]}"
  fi
}
if [[ ${funcstack[1]} == _bitgpu ]]; then _bitgpu; else compdef _bitgpu bitgpu; fi
`

const fishCompletion = `function __bitgpu_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  while string match -qr '^[A-Za-z_][A-Za-z0-9_]*=' -- "$words[1]"
    set -e words[1]
  end
  set -l program (string replace -r '^~' $HOME -- $words[1])
  set -l found ($program __complete $words[2..-1] "$current" 2>/dev/null)
  if test "$found[1]" = ':files'
    set -l flag (string match -r -- '^-[^=]*=' "$current")
    set -l path (string replace -r -- '^-[^=]*=' '' "$current")
    for file in (__fish_complete_path "$path")
      echo "$flag$file"
    end
  else
    string join \n -- $found
  end
end
complete -c bitgpu -f -a '(__bitgpu_complete)'
`

const powershellCompletion = `Register-ArgumentCompleter -Native -CommandName bitgpu -ScriptBlock {
  param($word, $ast, $cursor)
  $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
  # An empty last argument is lost on its way to a program before PowerShell 7.3, so the word follows an equals sign.
  $rest = @($words | Select-Object -Skip 1) + "=$word"
  $found = @(& $words[0] __complete --equals @rest 2>$null)
  if ($found[0] -eq ':files') { return }
  $found | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
}
`

func completionCommand() *cli.Command {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion}
	return &cli.Command{
		Name:      "completion",
		Usage:     "write a script that lets the shell complete commands, flags and values",
		UsageText: "bitgpu completion bash|zsh|fish|powershell",
		ArgsUsage: "bash|zsh|fish|powershell",
		Description: example("Bash: source <(bitgpu completion bash), in ~/.bashrc to keep it. Zsh likewise, after compinit. Fish: write it to "+
			"~/.config/fish/completions/bitgpu.fish. PowerShell: bitgpu completion powershell | Out-String | Invoke-Expression, in $PROFILE.",
			"bitgpu completion bash"),
		Action: func(c *cli.Context) error {
			shell, err := oneArgument(c)
			if err != nil {
				return err
			}
			script, ok := scripts[shell]
			if !ok {
				return usagef("completion: got %q, want bash, zsh, fish or powershell", shell)
			}
			_, err = io.WriteString(c.App.Writer, script)
			return err
		},
	}
}

func completeCommand() *cli.Command {
	return &cli.Command{
		Name: completeName, Hidden: true, SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) > 0 && words[0] == "--equals" {
				words = words[1:]
				words[len(words)-1] = strings.TrimPrefix(words[len(words)-1], "=")
			}
			for _, candidate := range complete(c.App.Commands, words) {
				fmt.Fprintln(c.App.Writer, candidate)
			}
			return nil
		},
	}
}

// complete returns the completions of the last word, or only askFiles.
func complete(commands []*cli.Command, words []string) []string {
	if len(words) < 2 {
		words = append([]string{""}, words...)[len(words):] // only the word itself, "" for none
		return beginning(words[0], commandNames(commands))
	}
	before, word := words[1:len(words)-1], words[len(words)-1]
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == words[0] })
	if i < 0 {
		return nil
	}
	command := commands[i]
	// bash splits --flag=value into three words.
	if n := len(before); n > 0 && before[n-1] == "=" {
		before = before[:n-1]
	}
	if n := len(before); n > 0 {
		if f := flagOf(command, before[n-1]); f != nil && f.TakesValue() {
			value, _ := placeholder(f)
			return values(value, word)
		}
	}
	if flag, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(flag, "-") {
		f := flagOf(command, flag)
		if f == nil || !f.TakesValue() {
			return nil
		}
		wanted, _ := placeholder(f)
		found := values(wanted, value)
		for i := range found {
			if found[i] != askFiles {
				found[i] = flag + "=" + found[i]
			}
		}
		return found
	}
	if strings.HasPrefix(word, "-") {
		return beginning(word, unusedFlags(command, before))
	}
	if command.Name == "help" {
		return beginning(word, commandNames(commands))
	}
	return values(command.ArgsUsage, word)
}

// filePlaceholders are the placeholders of values that are file names.
var filePlaceholders = []string{"FILE", "DIR", "MODEL", "DATA", "OUT", "GLOB", "RUN…"}

// values returns the words that a placeholder stands for.
func values(placeholder, word string) []string {
	var known []string
	for _, alternative := range strings.Split(placeholder, "|") {
		if slices.Contains(filePlaceholders, alternative) {
			return []string{askFiles}
		}
		if alternative != "" && strings.Trim(alternative, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
			known = append(known, alternative)
		}
	}
	return beginning(word, known)
}

func commandNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// flagOf returns a command's flag as typed, nil if it has no such flag.
func flagOf(command *cli.Command, typed string) cli.DocGenerationFlag {
	for _, f := range command.Flags {
		if strings.HasPrefix(typed, "-") && slices.Contains(f.Names(), strings.TrimLeft(typed, "-")) {
			return f.(cli.DocGenerationFlag)
		}
	}
	return nil
}

// unusedFlags returns the flags that words do not contain, and those that may be repeated.
func unusedFlags(command *cli.Command, words []string) []string {
	flags := []string{"--help"}
	for _, f := range command.Flags {
		_, again := f.(*cli.StringSliceFlag)
		used := slices.ContainsFunc(words, func(word string) bool {
			flag, _, _ := strings.Cut(word, "=")
			return flagOf(command, flag) == f.(cli.DocGenerationFlag)
		})
		if again || !used {
			flags = append(flags, dashes(f.Names()[0]))
		}
	}
	return flags
}

func beginning(with string, words []string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool { return !strings.HasPrefix(word, with) })
}
