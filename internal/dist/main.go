// Command dist makes the files of a release: archives, Debian packages, Python wheels, manifests for package managers, a list
// of the contents, and checksums of all files:
//
//	go run ./internal/dist -o bin/dist
//
// The same commit gives the same bytes wherever it is built with the same Go and C compilers: times are the commit's, paths
// are left out, and lists are sorted. It does not install compilers; "make dist" does that.
//
// # Why
//
// Why not goreleaser? It requires a hosted release and does not know wheels.
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

// release is what all files of a release have in common.
type release struct {
	version, url, homepage, maintainer, web string

	module string    // the path of this module
	commit string    // 40 digits
	at     time.Time // of the commit, used for all files
	work   string    // temporary folder
	out    string
}

// file is a file to pack; a name that ends in a slash is a folder's.
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

// identify finds the version and the commit, and refuses a working tree with changes.
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

// enterSource changes to a clone of the commit, from which everything is made. Go records a commit in programs built in a
// clone but not in a worktree, and changes during a build have no effect. The page's engine, which is embedded in programs if
// it has been made, is not in any commit.
func (r *release) enterSource() (err error) {
	engine := map[string][]byte{}
	if r.web != "" {
		if r.web, err = filepath.Abs(r.web); err != nil {
			return err
		}
		names, _ := filepath.Glob("web/built/[a-z]*") // only a malformed pattern would be an error
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

// output returns what a command prints, without the last newline.
func output(name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(command.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// run runs a command that only prints errors, with additions to its environment.
func run(env []string, name string, args ...string) error {
	command := exec.Command(name, args...)
	command.Env = append(os.Environ(), env...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, out)
	}
	return nil
}

// write adds a file to the release.
func (r *release) write(name string, data []byte) error {
	fmt.Printf("  %-56s %9d bytes\n", name, len(data))
	path := filepath.Join(r.out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
