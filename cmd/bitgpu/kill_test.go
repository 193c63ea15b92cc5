//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is the program at work.
type process struct {
	*exec.Cmd
	mu     sync.Mutex
	stderr bytes.Buffer
}

func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.Write(data)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// waitFor waits until stderr has a text, at most as long as the test may take.
func (p *process) waitFor(t *testing.T, text string) {
	t.Helper()
	p.until(t, text, func() bool { return strings.Contains(p.text(), text) })
}

// waitForReading waits until the program has read so many bytes of files.
func (p *process) waitForReading(t *testing.T, least int) {
	t.Helper()
	if _, err := os.Stat("/proc/self/io"); err != nil { // not Linux
		time.Sleep(time.Second)
		return
	}
	p.until(t, "reading", func() bool {
		counts, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.Process.Pid))
		var n int
		fmt.Sscanf(string(counts), "rchar: %d", &n)
		return err != nil || n >= least // who has ended has no counts
	})
}

// until waits for what the program is about to do.
func (p *process) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for !done() {
		if limit, ok := t.Deadline(); ok && time.Until(limit) < 10*time.Second {
			t.Fatalf("%q did not come: %s", what, p.text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func startProgram(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: program(t, args...)}
	p.Stdout, p.Stderr = io.Discard, p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

var resumedFrom = regexp.MustCompile(`resumed from step (\d+)`)

// TestTrainKilled kills a training again and again, at moments that fall into steps, saves and starts
// alike. It always goes on from a whole checkpoint, and ends with the weights of a run that nobody
// killed.
func TestTrainKilled(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	flags := func(dir string) []string {
		return small("--data", data, "--steps", "150", "--save-interval", "1", "--seed", "3", "--output-dir", dir)
	}
	whole, killed := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "killed")
	began := time.Now()
	mustRun(t, flags(whole)...)
	// The kills together give the run about twice the time that it needs.
	const kills = 25
	span := 4 * time.Since(began) / kills
	random := rand.New(rand.NewPCG(1, 1))
	newest := 0
	finished := false
	for i := 0; i < kills && !finished; i++ {
		p := startProgram(t, append(flags(killed), "--resume")...)
		exited := make(chan error, 1)
		go func() { exited <- p.Wait() }()
		select {
		case err := <-exited:
			if err != nil {
				t.Fatalf("%v: %s", err, p.text())
			}
			finished = true
		case <-time.After(time.Duration(random.Int64N(int64(span)))):
			p.Process.Kill()
			<-exited
		}
		if m := resumedFrom.FindStringSubmatch(p.text()); m != nil {
			step, err := strconv.Atoi(m[1])
			if err != nil || step < newest {
				t.Fatalf("step %s after step %d: a checkpoint was lost (%v)", m[1], newest, err)
			}
			newest = step
		}
		if strings.Contains(p.text(), "damaged") {
			t.Fatalf("a checkpoint is not whole: %s", p.text())
		}
	}
	t.Logf("step %d was reached before the last start; finished: %v", newest, finished)
	mustRun(t, append(flags(killed), "--resume")...)
	if !bytes.Equal(read(t, whole, "model.safetensors"), read(t, killed, "model.safetensors")) {
		t.Error("the killed run has other weights")
	}
	if steps(t, whole) != steps(t, killed) {
		t.Error("the killed run has other metrics")
	}
	hidden, err := filepath.Glob(filepath.Join(killed, "checkpoints", ".*"))
	if err != nil || len(hidden) > 0 {
		t.Errorf("left behind: %v %v", hidden, err)
	}
}

// TestTrainInterrupt: Ctrl-C finishes the step, saves and ends as interrupted; the run goes on from there.
func TestTrainInterrupt(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	dir := filepath.Join(t.TempDir(), "run")
	p := startProgram(t, small("--data", data, "--steps", "1000000", "--save-interval", "1000000", "--output-dir", dir)...)
	p.waitFor(t, "step 1/")
	p.Process.Signal(syscall.SIGINT)
	p.Wait()
	if code := p.ProcessState.ExitCode(); code != exitInterrupted {
		t.Fatalf("got exit code %d, want %d: %s", code, exitInterrupted, p.text())
	}
	if !strings.Contains(p.text(), "saved ") || !strings.Contains(p.text(), "to go on: bitgpu train --resume --output-dir "+dir+"\n") {
		t.Errorf("%s", p.text())
	}
	saved := len(strings.Split(steps(t, dir), `"step"`)) - 1
	_, stderr := mustRun(t, "train", "--backend", "cpu", "--resume", "--output-dir", dir, "--steps", strconv.Itoa(saved+1))
	if want := "resumed from step " + strconv.Itoa(saved) + "\n"; !strings.Contains(stderr, want) {
		t.Errorf("want %q: %s", want, stderr)
	}
}

// TestReadingInterrupt: Ctrl-C is heard while text becomes a vocabulary and tokens, and leaves nothing
// half-written.
func TestReadingInterrupt(t *testing.T) {
	root := t.TempDir()
	for _, command := range []string{"train", "vocab", "data"} {
		var p *process
		var out string
		var err error
		for size := 16 << 20; ; size *= 2 {
			var text strings.Builder
			for random := rand.New(rand.NewPCG(1, 1)); text.Len() < size; {
				text.WriteString(strconv.FormatUint(random.Uint64(), 36) + " ")
			}
			input := writeText(t, filepath.Join(root, "words.txt"), text.String())
			out = filepath.Join(root, command+strconv.Itoa(size))
			p = startProgram(t, map[string][]string{
				"train": small("--data", input, "--output-dir", out),
				"vocab": {"vocab", "--input", input, "-o", out},
				"data":  {"data", "--input", input, "--tokenizer", filepath.Join(reference, "d32-none", "tokenizer.json"), "--output-dir", out},
			}[command]...)
			p.waitForReading(t, 8<<20)
			p.Process.Signal(syscall.SIGINT)
			err = p.Wait()
			late := err == nil || strings.Contains(p.text(), "of memory") // the text was read before the signal came
			if !late || size > 1<<28 {
				break
			}
		}
		if p.ProcessState.ExitCode() != exitInterrupted {
			t.Errorf("%s: got %v, want exit code %d: %s", command, err, exitInterrupted, p.text())
		}
		if command == "train" && !strings.Contains(p.text(), "stopped before the first step") {
			t.Errorf("%s", p.text())
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s has left %s", command, out)
		}
	}
}

// TestTrainSecondInterrupt: the second Ctrl-C does not wait for the step, which would take an hour.
func TestTrainSecondInterrupt(t *testing.T) {
	line := []string{"train", "--preset", "seed", "--backend", "cpu", "--data", tokenFile(t, "some.u32", 400), "--dim", "256", "--layers", "4",
		"--batch-size", "64", "--context-len", "8", "--accumulate", "10000", "--output-dir", t.TempDir()}
	for pause := time.Duration(0); ; pause += 100 * time.Millisecond {
		p := startProgram(t, line...)
		p.waitFor(t, "of memory")
		time.Sleep(pause)
		exited := make(chan struct{})
		go func() {
			p.Wait()
			close(exited)
		}()
		for over := false; !over; { // until the program has dealt with the first, the second is not told apart from it
			p.Process.Signal(syscall.SIGINT)
			select {
			case <-exited:
				over = true
			case <-time.After(200 * time.Millisecond):
			}
		}
		if strings.Contains(p.text(), "stopped before the first step") {
			continue
		}
		if p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
			t.Errorf("got %v, want an end by the signal: %s", p.ProcessState, p.text())
		}
		return
	}
}
