//go:build mpi && linux

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bitgpu/nn/storage/public/publictest"
)

// sharded are the flags of a small training that eight ranks can share.
func sharded(data, dir string, more ...string) []string {
	return small(slices.Concat([]string{"--data", data, "--batch-size", "8", "--steps", "12", "--save-interval", "4", "--dropout", "0.1",
		"--grad-clip", "0.5", "--seed", "3", "--output-dir", dir}, more)...)
}

// sameFiles compares all checkpoints and the model, byte for byte.
func sameFiles(t *testing.T, want, found string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(want, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(want, path)
		if err != nil || d.IsDir() || rel == "metrics.jsonl" || rel == lossName {
			return err
		}
		n++
		if !bytes.Equal(read(t, path), read(t, found, rel)) {
			t.Errorf("%s differs", rel)
		}
		return nil
	})
	if err != nil || n < 4*3 {
		t.Errorf("got %d files, %v", n, err)
	}
	if steps(t, want) != steps(t, found) {
		t.Error("other metrics")
	}
}

// TestMPIRanks: one process, and 1, 2 and 4 ranks, write the same files, however they sum and keep the optimizer's state.
func TestMPIRanks(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	for name, flags := range map[string][]string{"f32": nil, "bf16": {"--gradient", "bf16"}} {
		alone := filepath.Join(t.TempDir(), "alone")
		mustRun(t, sharded(data, alone, append(flags, "--shards", "8")...)...)
		for n, more := range map[int][]string{1: nil, 2: {"--shard-optimizer"}, 4: nil, 8: nil} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "run")
				text := mpiRun(t, n, sharded(data, dir, slices.Concat(flags, more)...)...).finish(t)
				if want := fmt.Sprintf("%d ranks, %d a host, each with %d of the 8 shards", n, n, 8/n); n > 1 && strings.Count(text, want) != 1 {
					t.Errorf("want %q once: %s", want, text)
				}
				var threads int
				if at := strings.Index(text, "CPU ("); at >= 0 {
					fmt.Sscanf(text[at:], "CPU (%d", &threads)
				}
				if threads < 1 || n*threads > max(runtime.NumCPU(), n) {
					t.Errorf("%d threads of %d processors for each of %d ranks: %s", threads, runtime.NumCPU(), n, text)
				}
				sameFiles(t, alone, dir)
			})
		}
	}
}

// TestMPIResume: a training that is stopped goes on with another number of ranks, and with one process, to the same bytes.
func TestMPIResume(t *testing.T) {
	text := rhyme(t) // the tokens are made by rank 0 and found by the others
	var alone, dir, last string
	inTime(t, func(steps int) bool {
		alone, dir, last = filepath.Join(t.TempDir(), "alone"), filepath.Join(t.TempDir(), "run"), filepath.Join("checkpoints", fmt.Sprintf("step-%08d", steps))
		length := []string{"--steps", strconv.Itoa(steps), "--save-interval", "300"}
		mustRun(t, sharded(text, alone, append(length, "--shards", "8")...)...)
		resume := []string{"train", "--backend", "cpu", "--resume", "--output-dir", dir}
		if !mpiRun(t, 4, sharded(text, dir, length...)...).stopped(t) || !mpiRun(t, 2, resume...).stopped(t) {
			return false
		}
		mustRun(t, resume...)
		return true
	})
	for _, name := range []string{"model.safetensors", "moment1.safetensors", "moment2.safetensors", "state.json"} {
		if !bytes.Equal(read(t, alone, last, name), read(t, dir, last, name)) {
			t.Errorf("%s differs", name)
		}
	}
	if steps(t, alone) != steps(t, dir) {
		t.Error("other metrics")
	}
}

// TestMPILearn: one process, and 1, 2 and 4 ranks, write the same adapter, also where a training goes on with another number of ranks.
func TestMPILearn(t *testing.T) {
	text, dir := proverbs(t), t.TempDir()
	line := func(out string, more ...string) []string {
		return append([]string{"learn", "-m", model("d32-delta"), "--text", text, "-o", filepath.Join(dir, out), "--backend", "cpu"}, more...)
	}
	choices := []string{"--steps", "30", "--context", "16", "--rank", "4"}
	mustRun(t, line("alone.safetensors", append(choices, "--shards", "8")...)...)
	want := read(t, dir, "alone.safetensors")
	for _, n := range []int{1, 2, 4} {
		said := mpiRun(t, n, line("ranks.safetensors", choices...)...).finish(t)
		if n > 1 && strings.Count(said, fmt.Sprintf("%d ranks, %d a host, each with %d of the 8 shards", n, n, 8/n)) != 1 {
			t.Errorf("%d ranks: %s", n, said)
		}
		if !bytes.Equal(read(t, dir, "ranks.safetensors"), want) {
			t.Errorf("%d ranks write another adapter", n)
		}
	}
	inTime(t, func(steps int) bool {
		long := []string{"--steps", strconv.Itoa(steps), "--context", "16", "--rank", "4"}
		mustRun(t, line("long.safetensors", append(long, "--shards", "8")...)...)
		return mpiRun(t, 4, line("stopped.safetensors", long...)...).stopped(t)
	})
	mpiRun(t, 2, line("stopped.safetensors", "--resume")...).finish(t)
	if !bytes.Equal(read(t, dir, "stopped.safetensors"), read(t, dir, "long.safetensors")) {
		t.Error("a training that went on with fewer ranks wrote another adapter")
	}
	self, _ := os.Executable()
	p := mpiRun(t, 1, append(line("other.safetensors", choices...), slices.Concat([]string{":", "-n", "1", self}, line("other.safetensors", append(choices, "--lr", "0.5")...))...)...)
	if want := ": option lr: got 0.5, want 0.002 as rank 0 has"; p.Wait() == nil || strings.Count(p.text(), want) != 1 {
		t.Errorf("%q wanted once: %s", want, p.text())
	}
}

// TestMPIChosen: what is chosen by the size of a text is chosen for the shards, too, and is the same on two ranks.
func TestMPIChosen(t *testing.T) {
	text, alone, dir := rhyme(t), filepath.Join(t.TempDir(), "alone"), filepath.Join(t.TempDir(), "run")
	line := func(dir string, more ...string) []string {
		return append([]string{"train", "--backend", "cpu", "--data", text, "--dim", "32", "--layers", "1", "--steps", "3", "--output-dir", dir}, more...)
	}
	mustRun(t, line(alone, "--shards", "8")...)
	mpiRun(t, 2, line(dir)...).finish(t)
	if !bytes.Equal(read(t, alone, "model.safetensors"), read(t, dir, "model.safetensors")) {
		t.Error("other weights on two ranks")
	}
}

// TestMPIConversations: of conversations, too, one process and 2 and 4 ranks write the same model and the same adapter, where rows are
// shared and where they are not.
func TestMPIConversations(t *testing.T) {
	text, template := chats(t, 60)
	dir, public := t.TempDir(), publictest.File(t, "qwen3")
	tokens := chatTokenFiles(t, text, template)
	for name, pack := range map[string][]string{"own": nil, "packed": {"--pack"}} {
		trained := func(out string, more ...string) []string {
			return sharded(tokens, filepath.Join(dir, name+out), slices.Concat(pack, []string{"--context-len", "64"}, more)...)
		}
		learned := func(out string, more ...string) []string {
			return slices.Concat([]string{"learn", "-m", public, "--chat", "--text", text, "--template", template, "--backend", "cpu",
				"--context", "64", "--steps", "6", "-o", filepath.Join(dir, name+out+".safetensors")}, pack, more)
		}
		mustRun(t, trained("alone", "--shards", "8")...)
		mustRun(t, learned("alone", "--shards", "8")...)
		for _, n := range []int{2, 4} {
			out := fmt.Sprint(n)
			mpiRun(t, n, trained(out)...).finish(t)
			sameFiles(t, filepath.Join(dir, name+"alone"), filepath.Join(dir, name+out))
			if steps(t, filepath.Join(dir, name+"alone")) != steps(t, filepath.Join(dir, name+out)) {
				t.Errorf("%s: %d ranks measure other losses", name, n)
			}
			mpiRun(t, n, learned(out)...).finish(t)
			if !bytes.Equal(read(t, dir, name+out+".safetensors"), read(t, dir, name+"alone.safetensors")) {
				t.Errorf("%s: %d ranks write another adapter", name, n)
			}
		}
	}
}

// TestMPIGPU: gradients that are read back from a GPU are summed the same way.
func TestMPIGPU(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	gpuFlags := []string{"--backend", "gpu", "--adapter", "software", "--steps", "4"}
	alone := filepath.Join(t.TempDir(), "alone")
	if r := bitgpuRun("", sharded(data, alone, append(gpuFlags, "--shards", "8")...)...); r.code != 0 {
		if os.Getenv("BITGPU_REQUIRE_GPU") != "" || !strings.Contains(r.err, "adapter") {
			t.Fatal(r.err)
		}
		t.Skip(r.err)
	}
	for _, more := range [][]string{nil, {"--shard-optimizer"}} {
		dir := filepath.Join(t.TempDir(), "run")
		mpiRun(t, 2, sharded(data, dir, slices.Concat(gpuFlags, more)...)...).finish(t)
		if !bytes.Equal(read(t, alone, "model.safetensors"), read(t, dir, "model.safetensors")) {
			t.Error("other weights on two ranks")
		}
	}
}

// TestMPIKilled kills a random rank again and again, at moments that fall into starts, steps and saves. All ranks end, and the
// training goes on from a whole checkpoint to the bytes of one that nobody disturbed. BITGPU_KILLS says how often, 4 where unset.
func TestMPIKilled(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("BITGPU_KILLS")); err == nil {
		kills = n
	}
	data := tokenFile(t, "some.u32", 400)
	flags := func(dir string) []string {
		return sharded(data, dir, "--steps", "60", "--save-interval", "1", "--shard-optimizer", "--resume")
	}
	root := t.TempDir()
	whole := filepath.Join(root, "whole")
	began := time.Now()
	mpiRun(t, 4, flags(whole)...).finish(t)
	span := time.Since(began)
	random := rand.New(rand.NewPCG(1, 1))
	told, stuck := 0, 0
	dir := filepath.Join(root, "killed0")
	for k := 0; k < kills || told == 0 && k < 20*kills; { // a rank that is killed before it has begun is not named
		saved, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*"))
		p := mpiRun(t, 4, flags(dir)...)
		exited := make(chan error, 1)
		go func() { exited <- p.Wait() }()
		rank := random.IntN(4)
		after := time.After(time.Duration(random.Int64N(int64(span))))
		var err error
		select {
		case err = <-exited:
		case <-after:
			pid := rankProcess(p.Process.Pid, rank)
			if pid > 0 {
				syscall.Kill(pid, syscall.SIGKILL)
				k++
			}
			if pid > 0 && p.standsStill(exited) {
				stuck++
			}
			err = <-exited // or the test's own time is over
			if strings.Contains(p.text(), fmt.Sprintf("rank %d of 4 on ", rank)) {
				told++
				if from := "to go on from " + filepath.Join(dir, "checkpoints", "step-"); len(saved) > 0 && !strings.Contains(p.text(), from) {
					t.Errorf("want %q: %s", from, p.text())
				}
			}
		}
		if strings.Contains(p.text(), "damaged") {
			t.Fatalf("a checkpoint is not whole: %s", p.text())
		}
		if err == nil { // it was done before the kill came
			sameFiles(t, whole, dir)
			dir = filepath.Join(root, fmt.Sprint("killed", k))
		}
	}
	mpiRun(t, 4, flags(dir)...).finish(t)
	sameFiles(t, whole, dir)
	t.Logf("%d of the killed ranks were named; %d launchers stood still behind the last rank", told, stuck)
	if told == 0 {
		t.Error("the killed rank was never named")
	}
}

// TestMPIRefused: what ranks must agree on, and how many there may be, is said once, before the first step.
func TestMPIRefused(t *testing.T) {
	data, other := tokenFile(t, "some.u32", 400), tokenFile(t, "other.u32", 500)
	self, _ := os.Executable()
	dir := filepath.Join(t.TempDir(), "run")
	with := func(more ...string) []string {
		return append([]string{":", "-n", "1", self}, sharded(data, dir, more...)...)
	}
	for _, c := range []struct {
		n    int
		more []string
		want string
	}{
		{3, nil, "train: got 3 ranks, want 1, 2, 4 …, a power of two"},
		{2, []string{"--shards", "1"}, "got 2 ranks, want 1, 2, 4 …, at most as many as --shards, 1"},
		{1, with("--lr", "0.02"), ": option lr: got 0.02, want 0.01 as rank 0 has"},
		{1, with("--dim", "32"), "model: hidden_dim: got 32, want 16 as rank 0 has"},
		{1, with("--data", other), "training tokens: got 500 tokens with CRC-32C "},
		{1, with("--steps", "0"), "steps: got 0, want 1 or more"},
	} {
		p := mpiRun(t, c.n, sharded(data, dir, c.more...)...)
		if err := p.Wait(); err == nil || strings.Count(p.text(), c.want) != 1 || strings.Count(p.text(), "bitgpu: ") != 1 {
			t.Errorf("want %q once: %v: %s", c.want, err, p.text())
		}
		if found, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "*")); len(found) > 0 {
			t.Errorf("got %q, want nothing written", found)
		}
	}
}

// TestMPIInterrupt: a signal that asks for an end, to any rank or to the launcher, ends all of them after the step, saved.
func TestMPIInterrupt(t *testing.T) {
	data := tokenFile(t, "some.u32", 400)
	t.Setenv("OMPI_MCA_odls_base_sigkill_timeout", "15") // seconds that the launcher waits, all of them, before it kills
	for rank, sig := range map[int]syscall.Signal{0: syscall.SIGTERM, 1: syscall.SIGHUP, -1: syscall.SIGINT} {
		dir := filepath.Join(t.TempDir(), "run")
		p := mpiRun(t, 2, sharded(data, dir, "--steps", "1000000", "--save-interval", "1000000")...)
		p.waitFor(t, "step 1/")
		if rank >= 0 {
			p.tell(t, rank, sig)
		} else {
			p.Process.Signal(sig)
		}
		if err := p.Wait(); err == nil {
			t.Errorf("rank %d: want an end as interrupted", rank)
		}
		if !strings.Contains(p.text(), "saved ") || !strings.Contains(p.text(), "to go on: bitgpu train --resume --output-dir "+dir+"\n") {
			t.Errorf("rank %d: %s", rank, p.text())
		}
	}
}
