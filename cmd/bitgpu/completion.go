package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// Each script asks the program itself what may follow. After a flag that takes a value it leaves the word to the
// shell, which completes files.
const bashCompletion = `_bitgpu() {
  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
  local -a words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  COMPREPLY=()
  if [[ $cur == -* ]]; then words+=("$cur"); elif [[ $prev == -* ]]; then return; fi
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _bitgpu bitgpu
`

const zshCompletion = `#compdef bitgpu
_bitgpu() {
  local -a ask found
  ask=("${(@)words[1,CURRENT-1]}")
  if [[ ${words[CURRENT]} == -* ]]; then ask+=("${words[CURRENT]}"); elif [[ ${words[CURRENT-1]} == -* ]]; then _files; return; fi
  found=("${(@f)$("${ask[@]}" --generate-bash-completion 2>/dev/null)}")
  if [[ -n ${found[1]} ]]; then compadd -- "${found[@]}"; else _files; fi
}
compdef _bitgpu bitgpu
`

const powershellCompletion = `Register-ArgumentCompleter -Native -CommandName bitgpu -ScriptBlock {
  param($word, $ast, $cursor)
  $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { $_.ToString() })
  if ($word -like '-*') { $words += $word } elseif ($words[-1] -like '-*') { return }
  $rest = @($words | Select-Object -Skip 1) + '--generate-bash-completion'
  & $words[0] @rest 2>$null | Where-Object { $_ -like "$word*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`

// fishCompletion is the library's script, which offers no files anywhere, with files for the flags that take a value
// and for inspect's argument, and without the marks of values in the descriptions.
func fishCompletion(app *cli.App) (string, error) {
	script, err := app.ToFishCompletion()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for line := range strings.Lines(script) {
		if strings.Contains(line, " -r -d ") {
			line = strings.Replace(line, " -f -l ", " -l ", 1)
		}
		text.WriteString(strings.ReplaceAll(line, "`", ""))
	}
	text.WriteString("\ncomplete -c bitgpu -n '__fish_seen_subcommand_from inspect' -F\n")
	return text.String(), nil
}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "write a script that lets the shell complete commands and flags",
		UsageText: "bitgpu completion bash|zsh|fish|powershell",
		ArgsUsage: "SHELL",
		Description: example("Bash: source <(bitgpu completion bash), in ~/.bashrc to keep it. Zsh likewise, after compinit. Fish: write it to\n"+
			"~/.config/fish/completions/bitgpu.fish. PowerShell: bitgpu completion powershell | Out-String | Invoke-Expression, in $PROFILE.",
			"bitgpu completion bash"),
		Action: func(c *cli.Context) error {
			shell, err := oneArgument(c)
			if err != nil {
				return err
			}
			script, ok := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "powershell": powershellCompletion}[shell]
			if shell == "fish" {
				if script, err = fishCompletion(c.App); err != nil {
					return err
				}
				ok = true
			}
			if !ok {
				return usagef("completion: %s wanted, %q found", strings.Join([]string{"bash", "zsh", "fish"}, ", ")+" or powershell", shell)
			}
			_, err = fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}
