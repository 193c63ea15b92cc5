//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// typist is a program of expect that types lines at a shell in a terminal, each with a tab, and writes what the line has become. Its
// arguments are the shell with its arguments, what it is told first, and the lines. The shell writes its line to the file "line"
// in HOME at Ctrl-X s.
const typist = `
log_user 0
set timeout -1
set file "$env(HOME)/line"
spawn -noecho {*}[lindex $argv 0]
send -- "[lindex $argv 1]; echo rea''dy\r"
expect "ready"
foreach line [lrange $argv 2 end] {
  send -- "$line\t\030s"
  while {![file exists $file]} { after 20 }
  set in [open $file]
  puts [string trimright [read $in] "\n"]
  close $in
  file delete $file
}
close
`

// afterTabs types lines, each with a tab, and returns what they have become. The shell is in a directory with the files of the
// test, and HOME has a folder bin with the program.
func afterTabs(t *testing.T, shell []string, first string, lines ...string) []string {
	t.Helper()
	for _, name := range []string{"expect", shell[0]} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	home := t.TempDir()
	if err := os.Rename(programDir(t), filepath.Join(home, "bin")); err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(home, "files")
	for _, name := range []string{"first.bitt", "two words.bitt", "models/inner.bitt"} {
		path := filepath.Join(files, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("expect", append([]string{"-f", "-", strings.Join(shell, " "), first}, lines...)...)
	cmd.Dir, cmd.Stdin = files, strings.NewReader(typist)
	cmd.Env = append(os.Environ(), "HOME="+home, "TERM=xterm", "PATH="+filepath.Join(home, "bin")+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// tabbed are lines, and what a tab makes of them in every shell.
var tabbed = [][2]string{
	{"bitgpu tra", "bitgpu train"},
	{"bitgpu run --tem", "bitgpu run --temp"},
	{"bitgpu run --backend c", "bitgpu run --backend cpu"},
	{"bitgpu run --backend=c", "bitgpu run --backend=cpu"},
	{"bitgpu run -m fi", "bitgpu run -m first.bitt"},
	{"bitgpu run -m tw", `bitgpu run -m two\ words.bitt`},
	{"bitgpu run -m models/", "bitgpu run -m models/inner.bitt"},
	{"bitgpu run --memory=fi", "bitgpu run --memory=first.bitt"},
	{"bitgpu inspect fi", "bitgpu inspect first.bitt"},
	{"bitgpu nonsense fi", "bitgpu nonsense fi"},
	{"~/bin/bitgpu tra", "~/bin/bitgpu train"},
	{"BITGPU_BACKEND=cpu bitgpu tra", "BITGPU_BACKEND=cpu bitgpu train"},
}

func checkTabs(t *testing.T, shell []string, first string) {
	t.Helper()
	var lines []string
	for _, pair := range tabbed {
		lines = append(lines, pair[0])
	}
	got := afterTabs(t, shell, first, lines...)
	if len(got) != len(tabbed) {
		t.Fatalf("got %q", got)
	}
	for i, pair := range tabbed {
		if strings.TrimRight(got[i], " ") != pair[1] {
			t.Errorf("%s: %q and a tab: got %q, want %q", shell[0], pair[0], got[i], pair[1])
		}
	}
}

// The line goes to a file under another name first, so that nobody reads a part of it.
const (
	zshLine  = `unsetopt beep; show() { print -rn -- "$BUFFER" > ~/part; mv ~/part ~/line; zle kill-whole-line }; zle -N show; bindkey '^Xs' show`
	fishLine = `function show; commandline > ~/part; mv ~/part ~/line; commandline -r ''; end; bind \cxs show`
	bashLine = `show() { printf %s "$READLINE_LINE" > ~/part; mv ~/part ~/line; READLINE_LINE= READLINE_POINT=0; }; bind -x '"\C-xs": show'`
)

func TestZshAtATerminal(t *testing.T) {
	checkTabs(t, []string{"zsh", "-f", "-i"}, "autoload -Uz compinit; compinit -u -D; source <(bitgpu completion zsh); "+zshLine)
}

// In a folder of fpath, the first tab completes already.
func TestZshFunction(t *testing.T) {
	first := "mkdir ~/functions; bitgpu completion zsh > ~/functions/_bitgpu; fpath=(~/functions $fpath); autoload -Uz compinit; compinit -u -D; " + zshLine
	got := afterTabs(t, []string{"zsh", "-f", "-i"}, first, "bitgpu tra", "bitgpu run --memory=fi")
	if want := "bitgpu train bitgpu run --memory=first.bitt"; strings.Join(strings.Fields(strings.Join(got, " ")), " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

func TestFishAtATerminal(t *testing.T) {
	checkTabs(t, []string{"fish", "--no-config", "-i"}, "bitgpu completion fish | source; "+fishLine)
}

func TestBashAtATerminal(t *testing.T) {
	checkTabs(t, []string{"bash", "--norc", "--noprofile", "-i"}, "source <(bitgpu completion bash); "+bashLine)
}
