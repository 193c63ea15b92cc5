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

// The bash script completes commands and flags, and leaves values to the shell.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := fmt.Sprintf("#!%s\n%s=1 exec -a bitgpu %q \"$@\"\n", bash, asProgram, self)
	if err := os.WriteFile(filepath.Join(dir, "bitgpu"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
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
			t.Errorf("%q: %s wanted, %q found", c.words, c.want, got)
		}
	}
	if got := complete("bitgpu", "run", "-m", ""); len(got) != 0 {
		t.Errorf("a file wanted after -m, %q found", got)
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "complete -o bashdefault", "zsh": "#compdef bitgpu", "fish": "complete -c bitgpu", "powershell": "Register-ArgumentCompleter",
	} {
		if out := succeed(t, "", "completion", shell); !strings.Contains(out, want) {
			t.Errorf("%s: %q wanted in %s", shell, want, out)
		}
	}
}

func TestFishCompletesFilesAfterFlagsThatTakeAValue(t *testing.T) {
	out := succeed(t, "", "completion", "fish")
	for line := range strings.Lines(out) {
		value := strings.Contains(line, " -l model ") || strings.Contains(line, " -l memory ")
		if value && strings.Contains(line, " -f ") || strings.Contains(line, "`") {
			t.Errorf("%q", line)
		}
	}
	if !strings.Contains(out, "-l model") {
		t.Error("no --model")
	}
}
