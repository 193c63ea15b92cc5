package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// zeros have no end, as those of /dev/zero.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What has no end is refused, and what is as long as it may be is taken.
func TestTextOnStdinIsBounded(t *testing.T) {
	const most = 1000
	for name, read := range map[string]func(io.Reader) (string, error){
		"readText": func(in io.Reader) (string, error) {
			data, err := readText(in, most)
			return string(data), err
		},
		"readTextLine": func(in io.Reader) (string, error) {
			text, err := readTextLine(bufio.NewReaderSize(in, 16), most)
			if err == io.EOF {
				err = nil
			}
			return text, err
		},
	} {
		for _, length := range []int{0, 1, 15, 16, 17, most - 1, most} {
			text := strings.Repeat("a", length)
			if got, err := read(strings.NewReader(text)); err != nil || got != text {
				t.Errorf("%s: %d bytes: got %d (%v)", name, length, len(got), err)
			}
		}
		for _, in := range []io.Reader{strings.NewReader(strings.Repeat("a", most+1)), zeros{}} {
			if _, err := read(in); err == nil || !strings.Contains(err.Error(), "got more than 1.0 kB") {
				t.Errorf("%s: got %v, want a refusal", name, err)
			}
		}
	}
	r := bufio.NewReaderSize(strings.NewReader("one\n"+strings.Repeat("b", 40)+"\nthree"), 16)
	for i, want := range []string{"one\n", strings.Repeat("b", 40) + "\n", "three"} {
		if got, err := readTextLine(r, most); got != want || (err == io.EOF) != (i == 2) {
			t.Errorf("line %d: got %q (%v), want %q", i, got, err, want)
		}
	}
}

func TestCommandsRefuseEndlessText(t *testing.T) {
	for _, args := range [][]string{{"run", "-n", "1"}, {"tokenize"}, {"tokenize", "--jsonl"}} {
		var out, errs strings.Builder
		code := run(append(args[:1:1], append([]string{"-m", model("d32-none")}, args[1:]...)...), io.MultiReader(strings.NewReader("a"), zeros{}), &out, &errs)
		refuse(t, exitError, outcome{code, out.String(), errs.String()}, "stdin: ", "got more than ", ", want at most that of a text that is read whole")
	}
}
