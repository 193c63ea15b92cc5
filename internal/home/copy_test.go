//go:build dist

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// in runs a command in a folder, with more in its environment, and gives what it writes.
func in(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	run := exec.Command(command[0], command[1:]...)
	run.Dir, run.Env = dir, append(os.Environ(), env...)
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// A copy of this module is moved as the README says, and is whole: it builds, is formatted, and the test that knows its
// packages by name and the one that builds the README's program pass.
func TestHomeOfACopy(t *testing.T) {
	const home = "example.org/x/bitgpu"
	dir := filepath.Join(t.TempDir(), "copy")
	in(t, ".", nil, "git", "clone", "-q", "../..", dir)
	in(t, dir, nil, "make", "home", "PATH="+home)
	if module := strings.TrimSpace(in(t, dir, nil, "go", "list", "-m")); module != home {
		t.Fatalf("got module %s, want %s", module, home)
	}
	if left := in(t, dir, nil, "gofmt", "-l", "."); left != "" {
		t.Errorf("gofmt would change %s", left)
	}
	in(t, dir, []string{"CGO_ENABLED=0"}, "go", "build", "./...")
	in(t, dir, nil, "go", "test", "-run", "TestReadme$", ".")
	in(t, dir, nil, "go", "test", "-run", "TestImportDirection$", "./nn/optest")
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "go get "+home) || strings.Contains(string(readme), "-replace") || strings.Contains(string(readme), "<!--") {
		t.Error("the README does not say how to get the module from its home, and nothing of the time before")
	}
}

// Until it has a home, another module takes it as the README says.
func TestHomeless(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)<!-- until the module has a home -->.*?` + "```sh\n(.*?)```").FindSubmatch(readme)
	if found == nil {
		t.Skip("the module has a home")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(root, filepath.Join(dir, "bitgpu")); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "mine")
	if err := os.Mkdir(mine, 0o755); err != nil {
		t.Fatal(err)
	}
	program := "package main\n\nimport (\n\t\"fmt\"\n\n\t\"bitgpu\"\n)\n\nfunc main() { fmt.Println(bitgpu.ErrClosed) }\n"
	if err := os.WriteFile(filepath.Join(mine, "main.go"), []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	in(t, mine, nil, "go", "mod", "init", "example.com/mine")
	in(t, mine, nil, "sh", "-ec", string(found[1]))
	if said := in(t, mine, nil, "go", "run", "."); strings.TrimSpace(said) == "" {
		t.Error("the program said nothing")
	}
}
