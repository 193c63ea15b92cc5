//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"bitgpu/io/memory"
)

// TestEndingsSave: each signal that asks a program to end lets it save first, a memory as well as a training.
func TestEndingsSave(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		dir := filepath.Join(t.TempDir(), "run")
		p := startProgram(t, small("--data", data, "--steps", "100000000", "--save-interval", "100000000", "--output-dir", dir)...)
		p.waitFor(t, "step 1/")
		p.Process.Signal(sig)
		if err := p.Wait(); p.ProcessState.ExitCode() != exitInterrupted || !strings.Contains(p.text(), "saved "+filepath.Join(dir, "checkpoints", "step-")) {
			t.Errorf("train, %v: got %v: %s", sig, err, p.text())
		}

		path := filepath.Join(t.TempDir(), "m.memory")
		p = &process{Cmd: program(t, "run", "-p", "the", "-n", "100000000", "--memory", path)} // the demo never ends its text
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadByte(); err != nil { // the first token is there
			t.Fatal(err)
		}
		go func() {
			for r := bufio.NewReader(out); ; {
				if _, err := r.ReadByte(); err != nil {
					return
				}
			}
		}()
		p.Process.Signal(sig)
		p.Wait()
		if code := p.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("run, %v: got exit code %d, want %d", sig, code, exitInterrupted)
		}
		if m, err := memory.Read(path); err != nil || m.Tokens < 2 {
			t.Errorf("run, %v: got %+v and %v, want a memory", sig, m, err)
		}
	}
}

// TestLearningGoesOn: a learning that is asked to end saves, and says the line that goes on, which does.
func TestLearningGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text, out := writeText(t, filepath.Join(dir, "text.txt"), strings.Repeat("the ship, the sea\n\n", 40)), filepath.Join(dir, "x.safetensors")
	line := []string{"learn", "-m", model("d32-none"), "--text", text, "-o", out, "--steps", "100000000", "--context", "16", "--backend", "cpu"}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT} {
		p := startProgram(t, line...)
		p.waitFor(t, "step ")
		p.Process.Signal(sig)
		err := p.Wait()
		_, rest, said := strings.Cut(p.text(), "\nto go on: bitgpu ")
		if p.ProcessState.ExitCode() != exitInterrupted || !said {
			t.Fatalf("%v: got %v: %s", sig, err, p.text())
		}
		for _, path := range []string{out, out + stateSuffix} {
			if !exists(path) {
				t.Errorf("%v: %s was not saved", sig, path)
			}
		}
		line = shellWords(strings.TrimSpace(rest))
	}
	want := []string{"learn", "--model", model("d32-none"), "--text", text, "--output", out, "--backend", "cpu", "--resume"}
	if !slices.Equal(line, want) {
		t.Errorf("got the line %q, want %q", line, want)
	}
}

// TestNohup: a training that was started with SIGHUP ignored lives on.
func TestNohup(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	p := &process{Cmd: program(t, small("--data", data, "--steps", "100000000", "--save-interval", "1", "--output-dir", dir)...)}
	p.Args = append([]string{"sh", "-c", `trap "" HUP; exec "$0" "$@"`, p.Path}, p.Args[1:]...)
	p.Path = "/bin/sh"
	p.Stderr = p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	p.waitFor(t, "saved ")
	p.Process.Signal(syscall.SIGHUP)
	p.waitFor(t, fmt.Sprintf("step-%08d", strings.Count(p.text(), "saved ")+20)) // who heeds the signal saves no more than the step that it is at
	p.Process.Signal(syscall.SIGTERM)
	if err := p.Wait(); p.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("got %v: %s", err, p.text())
	}
}

// TestLostReaders: a training goes on when nobody reads its progress, and a run saves its memory when nobody reads its
// text, and says nothing.
func TestLostReaders(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), filepath.Join(t.TempDir(), "run")
	gone := func() *os.File {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		t.Cleanup(func() { w.Close() })
		return w
	}
	p := program(t, small("--data", data, "--steps", "4", "--output-dir", dir)...)
	p.Stdout, p.Stderr = gone(), gone()
	if err := p.Run(); err != nil {
		t.Errorf("train: %v", err)
	}
	if s := newest(t, dir); s.Step != 4 {
		t.Errorf("got step %d, want 4", s.Step)
	}
	path := filepath.Join(t.TempDir(), "m.memory")
	r := &process{Cmd: program(t, "run", "-m", model("d32-delta"), "-p", "the", "-n", "1000", "--memory", path)}
	r.Stdout, r.Stderr = gone(), r
	r.Run()
	if m, err := memory.Read(path); err != nil || m.Tokens < 1 || r.ProcessState.ExitCode() != exitReaderGone || strings.Contains(r.text(), "pipe") {
		t.Errorf("got exit code %d, %+v, %v: %s", r.ProcessState.ExitCode(), m, err, r.text())
	}
}

// TestWritableAtOnce: what cannot be written in the end is said before the work.
func TestWritableAtOnce(t *testing.T) {
	data, dir := tokenFile(t, "some.u32", 400), t.TempDir()
	file := writeText(t, filepath.Join(dir, "checkpoints"), "")
	fails(t, exitError, file+": the directory cannot be made: not a directory", small("--data", data, "--output-dir", dir)...)
	fails(t, exitError, "--memory: "+dir+": got a directory, want a file", "run", "-m", model("d32-delta"), "-p", "the", "--memory", dir)
	fails(t, exitError, "--output: "+dir+": got a directory, want a file", "vocab", "--input", rhyme(t), "-o", dir)
}

// TestModelCut: a model whose file is cut while it writes goes on, since it does not depend on it.
func TestModelCut(t *testing.T) {
	for _, head := range []string{"f32", "f16", "int8"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.bitt")
		mustRun(t, "export", "-o", path, "--pack", "--head", head)
		p := &process{Cmd: program(t, "run", "-m", path, "-p", "ROMEO:", "-n", "1000000", "--memory", filepath.Join(dir, "memory"))}
		p.Stderr = p
		out, err := p.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(out)
		if _, err := r.ReadByte(); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 10); err != nil {
			t.Fatal(err)
		}
		for range 3000 {
			if _, err := r.ReadByte(); err != nil {
				t.Fatalf("%s: %v: %s", head, err, p.text())
			}
		}
		p.Process.Signal(syscall.SIGTERM)
		go r.WriteTo(io.Discard)
		p.Wait()
		if code := p.ProcessState.ExitCode(); code != exitInterrupted {
			t.Errorf("%s: got exit code %d: %s", head, code, p.text())
		}
	}
}

// TestPipesRefused: no command waits for a pipe that nobody writes to, wherever a file is wanted.
func TestPipesRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := func(name string) string {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	any, text, tokens, out := pipe("any"), pipe("p.txt"), pipe("p.u32"), filepath.Join(dir, "out")
	real, vocab := rhyme(t), filepath.Join(reference, "d32-none", "tokenizer.json")
	for _, args := range [][]string{
		{"inspect", any}, {"run", "-m", any, "-p", "x"}, {"run", "-m", model("d32-none"), "-p", "x", "--memory", any},
		{"export", "-m", any, "-o", out + ".bitt"}, {"tokenize", "--tokenizer", any, "-p", "x"}, {"vocab", "--input", text, "-o", out},
		{"data", "--input", real, "--tokenizer", any, "--output-dir", out}, {"data", "--input", text, "--tokenizer", vocab, "--output-dir", out},
		{"eval", "-m", model("d32-none"), "--data", text}, {"eval", "-m", model("d32-none"), "--data", tokens},
		{"logits", "-m", model("d32-none"), "--tokens-file", any, "-o", out}, {"plot", "-o", out + ".png", any},
		small("--data", text, "--output-dir", out), small("--data", tokens, "--output-dir", out), small("--data", real, "--tokenizer", any, "--output-dir", out),
		small("--data", tokenFile(t, "some.u32", 400), "--load", any, "--output-dir", out), {"vocab", "--input", "/dev/zero", "-o", out},
	} {
		if r := bitgpuRun("", args...); r.code == 0 || !strings.Contains(r.err, ", want a regular file") {
			t.Errorf("bitgpu %q: got exit code %d and %q", args, r.code, r.err)
		}
	}
}
