package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// programDir is a directory with this program in it.
func programDir(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asProgram, self)
	if err := os.WriteFile(filepath.Join(dir, "bitgpu"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The bash script completes commands and flags, and leaves values to the shell.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	dir := programDir(t)
	complete := func(words ...string) []string {
		t.Helper()
		script := fmt.Sprintf("source <(bitgpu completion bash)\nCOMP_WORDS=(%s)\nCOMP_CWORD=%d\n_bitgpu\nprintf '%%s\\n' \"${COMPREPLY[@]}\"\n",
			"'"+strings.Join(words, "' '")+"'", len(words)-1)
		cmd := exec.Command(bash, "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.Fields(string(out))
	}
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"bitgpu", "log"}, "logits"},
		{[]string{"bitgpu", "run", "--te"}, "--temp"},
		{[]string{"bitgpu", "run", "--temp", "0", "--s"}, "--stats"},
	} {
		if got := complete(c.words...); !slices.Contains(got, c.want) {
			t.Errorf("%q: got %q, want %s", c.words, got, c.want)
		}
	}
	for _, words := range [][]string{{"bitgpu", "run", "--backend", "="}, {"bitgpu", "run", "--backend", "=", ""}, {"bitgpu", "run", "--backend", ""}} {
		if got := complete(words...); !slices.Equal(got, []string{"auto", "gpu", "cpu"}) {
			t.Errorf("%q: %q", words, got)
		}
	}
	if got := complete("bitgpu", "run", "-m", ""); len(got) != 0 {
		t.Errorf("got %q after -m, want a file", got)
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o bashdefault", "zsh": "#compdef bitgpu", "fish": "complete -c bitgpu", "powershell": "Register-ArgumentCompleter",
	} {
		if out := succeed(t, "", "completion", shell); !strings.Contains(out, want) {
			t.Errorf("%s: want %q in %s", shell, want, out)
		}
	}
}

func TestComplete(t *testing.T) {
	app := newApp(nil, nil, nil)
	for _, c := range []struct{ line, want string }{
		{"", "run chat serve"},
		{"tr", "train"},
		{"ch", "chat"},
		{"chat --th", "--think --threads"},
		{"chat --template ", ":files"},
		{"help ev", "eval"},
		{"run --backend ", "auto gpu cpu"},
		{"run --backend c", "cpu"},
		{"run --backend = g", "gpu"}, // as bash cuts it
		{"run --backend=g", "--backend=gpu"},
		{"run --adapter ", "software"},
		{"train --mixer ", "tied delta"},
		{"train --order s", "shuffle sequential"},
		{"train --recompute ", "auto on off"},
		{"train --document ", "line block file"},
		{"train --ttt-rule m", "minibatch"},
		{"export --head ", "f32 f16 int8"},
		{"serve --log-format ", "text json"},
		{"serve --memory-dir ", ":files"},
		{"completion ", "bash zsh fish powershell"},
		{"run -m ", ":files"},
		{"run --memory x", ":files"},
		{"run --memory=x", ":files"},
		{"train --data ", ":files"},
		{"train --output-dir ", ":files"},
		{"vocab --input ", ":files"},
		{"export -o ", ":files"},
		{"inspect ", ":files"},
		{"plot a ", ":files"},
		{"run -n ", ""},
		{"run -p ", ""},
		{"run --temp 0 --st", "--stop --stats"},
		{"run --stop x --stats --st", "--stop"},
		{"inspect --j", "--json"},
		{"version ", ""},
		{"nothing ", ""},
	} {
		words := strings.Split(c.line, " ")
		if got := strings.Join(complete(app.Commands, words), " "); got != c.want && !(c.line == "" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%q: got %q, want %q", c.line, got, c.want)
		}
	}
	if got := succeed(t, "", "__complete", "run", "--backend", ""); got != "auto\ngpu\ncpu\n" {
		t.Errorf("%q", got)
	}
	if got := succeed(t, "", "__complete", "--equals", "run", "--backend", "="); got != "auto\ngpu\ncpu\n" {
		t.Errorf("%q", got)
	}
}

// The scripts of other shells complete too, where the shells are installed.
func TestFishCompletion(t *testing.T) {
	fish, err := exec.LookPath("fish")
	if err != nil {
		t.Skip("fish is not installed")
	}
	dir := programDir(t)
	for line, want := range map[string]string{"bitgpu tra": "train", "bitgpu run --backend ": "auto\ncpu\ngpu", "bitgpu run --st": "--stats\n--stop"} {
		cmd := exec.Command(fish, "--no-config", "-c", "bitgpu completion fish | source; complete -C '"+line+"'")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		lines := strings.Fields(string(out))
		slices.Sort(lines)
		if got := strings.Join(lines, "\n"); got != want || err != nil {
			t.Errorf("%q: got %q, want %q, %v", line, out, want, err)
		}
	}
}
