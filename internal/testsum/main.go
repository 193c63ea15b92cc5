// Command testsum is "go test" with a summary of what was not tested: at the end it lists the tests that could not run on
// this machine, with reasons, those that took long, and the SIMD levels that its processor lacks. Its arguments are those of go test.
//
//	go run ./internal/testsum ./...
//
// With TESTSUM in the environment it also appends its summary to the file of that name.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/nn/cpu/simd"
)

func main() {
	code, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintf(os.Stderr, "testsum: %v\n", err)
		code = 1
	}
	os.Exit(code)
}

// run returns the exit code of go test.
func run(args []string, out io.Writer) (int, error) {
	test := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	test.Stderr = os.Stderr
	pipe, err := test.StdoutPipe()
	if err != nil {
		return 1, err
	}
	if err := test.Start(); err != nil {
		return 1, err
	}
	s := summary{out: out, output: map[string][]string{}}
	if err := s.read(pipe); err != nil {
		return 1, err
	}
	test.Wait() // the exit code tells
	account := s.account(lacking())
	fmt.Fprint(out, account)
	if path := os.Getenv("TESTSUM"); path != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return 1, err
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return 1, err
		}
		if _, err := f.WriteString(account); err != nil {
			return 1, err
		}
		if err := f.Close(); err != nil {
			return 1, err
		}
	}
	return test.ProcessState.ExitCode(), nil
}

// lacking returns the SIMD levels that no test here can have used.
func lacking() []string {
	var names []string
	for _, level := range simd.Known() {
		if simd.Use(level) != nil {
			names = append(names, level.String())
		}
	}
	return names
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64 // seconds
}

type summary struct {
	out     io.Writer
	output  map[string][]string // of running tests, by package and name
	passed  int
	failed  []string
	skipped []string // with reasons
	slow    []event  // the tests that took a while, without subtests
}

// slow is what the summary lists with its time, in seconds.
const slow = 30

// read shows what go test would show without -json.
func (s *summary) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				fmt.Fprint(s.out, line)
			} else {
				s.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (s *summary) take(e event) {
	name := e.Package + " " + e.Test
	if e.Elapsed >= slow && e.Test != "" && !strings.Contains(e.Test, "/") {
		s.slow = append(s.slow, e)
	}
	switch {
	case e.Action == "build-output", e.Action == "output" && e.Test == "":
		if e.Output != "PASS\n" {
			fmt.Fprint(s.out, e.Output)
		}
	case e.Action == "output":
		s.output[name] = append(s.output[name], e.Output)
	case e.Action == "fail" && e.Test == "":
		for name, output := range s.output { // of a test that ended the process
			if strings.HasPrefix(name, e.Package+" ") {
				fmt.Fprint(s.out, strings.Join(output, ""))
			}
		}
	case e.Test == "":
	case e.Action == "pass":
		s.passed++
		delete(s.output, name)
	case e.Action == "skip":
		s.skipped = append(s.skipped, name+": "+reason(s.output[name]))
		delete(s.output, name)
	case e.Action == "fail":
		s.failed = append(s.failed, name)
		fmt.Fprint(s.out, strings.Join(s.output[name], ""))
		delete(s.output, name)
	}
}

// reason returns what a test said when it was skipped.
func reason(output []string) string {
	for i := len(output) - 1; i >= 0; i-- {
		line := strings.TrimSpace(output[i])
		if line == "" || strings.HasPrefix(line, "---") || strings.HasPrefix(line, "===") {
			continue
		}
		if place, said, ok := strings.Cut(line, ": "); ok && strings.Contains(place, ".go:") {
			return said
		}
		return line
	}
	return "it does not say why"
}

// account returns the summary of what was tested and what not.
func (s *summary) account(lacking []string) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d tests passed, %d failed, %d skipped\n", s.passed, len(s.failed), len(s.skipped))
	for _, name := range s.failed {
		fmt.Fprintf(&text, "  failed   %s\n", name)
	}
	for _, name := range s.skipped {
		fmt.Fprintf(&text, "  skipped  %s\n", name)
	}
	slices.SortFunc(s.slow, func(a, b event) int { return cmp.Compare(b.Elapsed, a.Elapsed) })
	for _, e := range s.slow {
		fmt.Fprintf(&text, "  %3.0f s    %s %s\n", e.Elapsed, e.Package, e.Test)
	}
	for _, level := range lacking {
		fmt.Fprintf(&text, "  untested SIMD level %s: this processor lacks it\n", level)
	}
	return text.String()
}
