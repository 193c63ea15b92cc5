// Command dist makes what is handed out of a release: archives, a Debian package, Python wheels, manifests of package
// managers, a list of what is inside, and the sums of all of it:
//
//	go run ./internal/dist -o bin/dist
//
// The same commit gives the same bytes wherever it is built with the same Go and C compilers: times are the commit's, paths are left out,
// and what is listed is sorted. It is not for installing compilers; "make dist" does that.
//
// # Why
//
// Why no goreleaser? It wants a hosted release, and wheels it does not know.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	var r release
	out := flag.String("o", "bin/dist", "the `DIR` that is made, in the place of what is there")
	flag.StringVar(&r.version, "version", "", "the release, by default that of the Python package")
	flag.StringVar(&r.url, "url", "https://example.org/bitgpu/v{version}", "where the files of the release will lie, {version} being its number")
	flag.StringVar(&r.homepage, "homepage", "https://example.org/bitgpu", "the project's page")
	flag.StringVar(&r.maintainer, "maintainer", "The authors of bitgpu <bitgpu@example.org>", "who answers for the Debian package")
	flag.StringVar(&r.web, "web", "", "the `DIR` of the web page, if it was made")
	flag.Parse()
	if err := r.make(*out); err != nil {
		fmt.Fprintf(os.Stderr, "dist: %v\n", err)
		os.Exit(1)
	}
}

// release is what all of its files have in common.
type release struct {
	version, url, homepage, maintainer, web string

	module string    // the path of this module
	commit string    // 40 digits
	at     time.Time // of the commit, which all files have
	work   string    // a folder for what is on its way
	out    string
}

// file is one that is packed; a name with a slash at its end is a folder's.
type file struct {
	name  string
	data  []byte
	exec  bool
	owner int // its user and group, in archives that keep them
}

func (r *release) make(out string) (err error) {
	if err := r.identify(); err != nil {
		return err
	}
	if r.work, err = os.MkdirTemp("", "bitgpu-dist-"); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	if err := r.enterSource(); err != nil {
		return err
	}
	for _, step := range []func() error{r.archives, r.deb, r.wheels, r.webPage, r.container, r.sbom, r.homebrew, r.winget, r.sums} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// identify finds the version and the commit, and refuses a tree that is not a commit's.
func (r *release) identify() error {
	if r.version == "" {
		text, err := os.ReadFile("python/bitgpu/__init__.py")
		if err != nil {
			return fmt.Errorf("run it in the root of the repository: %w", err)
		}
		found := regexp.MustCompile(`(?m)^__version__ = "(.+)"$`).FindSubmatch(text)
		if found == nil {
			return fmt.Errorf("python/bitgpu/__init__.py: got no __version__, want one")
		}
		r.version = string(found[1])
	}
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(r.version) {
		return fmt.Errorf("version: got %q, want three numbers, such as 1.2.3", r.version)
	}
	r.url = strings.TrimSuffix(strings.ReplaceAll(r.url, "{version}", r.version), "/")
	var err error
	if r.module, err = output("go", "list", "-m"); err != nil {
		return err
	}
	changed, err := output("git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changed != "" {
		return fmt.Errorf("a release is built from a commit; got changes that are not committed:\n%s", changed)
	}
	if r.commit, err = output("git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	seconds, err := output("git", "log", "-1", "--format=%ct")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of commit %s: %w", r.commit, err)
	}
	r.at = time.Unix(n, 0).UTC()
	fmt.Printf("bitgpu %s of commit %.12s\n", r.version, r.commit)
	return os.Setenv("SOURCE_DATE_EPOCH", seconds)
}

// enterSource goes to a clone of the commit, of which all is made. Go notes a commit in programs that are built in a clone, and not in
// those of a worktree; and what is changed while a release is built is no part of it. The page's engine, which programs hold where it
// was made, is in no commit.
func (r *release) enterSource() (err error) {
	engine := map[string][]byte{}
	if r.web != "" {
		if r.web, err = filepath.Abs(r.web); err != nil {
			return err
		}
		names, _ := filepath.Glob("web/built/[a-z]*") // a malformed pattern would be the only error
		for _, name := range names {
			if engine[name], err = os.ReadFile(name); err != nil {
				return err
			}
		}
		if len(names) == 0 {
			return fmt.Errorf("-web %s: got no engine in web/built, want that of the page; make web builds it", r.web)
		}
	}
	source := filepath.Join(r.work, "source")
	if err := run(nil, "git", "clone", "-q", ".", source); err != nil {
		return err
	}
	if err := os.Chdir(source); err != nil {
		return err
	}
	if commit, err := output("git", "rev-parse", "HEAD"); err != nil || commit != r.commit {
		return fmt.Errorf("the clone of this checkout: got commit %s, %v, want %s", commit, err, r.commit)
	}
	for name, data := range engine {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// output is what a command writes, without the last line's end.
func output(name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// run runs a command that has nothing to say but errors, with more in its environment.
func run(env []string, name string, args ...string) error {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
	}
	return nil
}

// write puts a file into the release.
func (r *release) write(name string, data []byte) error {
	fmt.Printf("  %-56s %9d bytes\n", name, len(data))
	path := filepath.Join(r.out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
