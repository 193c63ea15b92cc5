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
	for !strings.Contains(p.text(), text) {
		if limit, ok := t.Deadline(); ok && time.Until(limit) < 10*time.Second {
			t.Fatalf("%q did not come: %s", text, p.text())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// work waits until the program has computed for so long, however little of a busy machine it gets.
func (p *process) work(t *testing.T, least time.Duration) {
	t.Helper()
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil { // not Linux
			time.Sleep(least)
			return
		}
		// After the name, which ends with the last bracket: utime and stime are fields 14 and 15 of proc(5), in 1/100 s.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		if fields[0] == "Z" || time.Duration(user+system)*10*time.Millisecond >= least {
			return
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
	time.Sleep(50 * time.Millisecond)
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
	var text strings.Builder
	for random := rand.New(rand.NewPCG(1, 1)); text.Len() < 16<<20; {
		text.WriteString(strconv.FormatUint(random.Uint64(), 36) + " ")
	}
	root := t.TempDir()
	input := writeText(t, filepath.Join(root, "words.txt"), text.String())
	for _, command := range []string{"train", "vocab", "data"} {
		out := filepath.Join(root, command)
		args := map[string][]string{
			"train": small("--data", input, "--output-dir", out),
			"vocab": {"vocab", "--input", input, "-o", out},
			"data":  {"data", "--input", input, "--tokenizer", filepath.Join(reference, "d32-none", "tokenizer.json"), "--output-dir", out},
		}[command]
		p := startProgram(t, args...)
		p.work(t, 500*time.Millisecond) // of the several seconds that the words take
		p.Process.Signal(syscall.SIGINT)
		if err := p.Wait(); p.ProcessState.ExitCode() != exitInterrupted {
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

// TestTrainSecondInterrupt: the second Ctrl-C does not wait for the step, which would take hours.
func TestTrainSecondInterrupt(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	p := startProgram(t, small("--data", data, "--batch-size", "64", "--accumulate", "10000", "--output-dir", t.TempDir())...)
	p.waitFor(t, "of memory")
	exited := make(chan error, 1)
	go func() { exited <- p.Wait() }()
	for { // until the program has dealt with the first, the second is not told apart from it
		p.Process.Signal(syscall.SIGINT)
		select {
		case err := <-exited:
			if err == nil {
				t.Error("got a good end, want an end by the signal")
			}
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}
