//go:build mpi && linux

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mpiRun is the program on n ranks, more than there may be cores.
func mpiRun(t *testing.T, n int, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("mpirun", slices.Concat([]string{"--oversubscribe", "-n", strconv.Itoa(n), self}, args)...)}
	p.Env = append(os.Environ(), asProgram+"=1", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	p.Stdout, p.Stderr = io.Discard, p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	return p
}

// finish waits for a good end.
func (p *process) finish(t *testing.T) string {
	t.Helper()
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, p.text())
	}
	return p.text()
}

// rankProcess is the process of a rank that a launcher started, 0 where there is none yet.
func rankProcess(launcher, rank int) int {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		environ, _ := os.ReadFile(path)
		if !slices.Contains(strings.Split(string(environ), "\x00"), "OMPI_COMM_WORLD_RANK="+strconv.Itoa(rank)) {
			continue
		}
		stat, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "stat"))
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(launcher) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return pid
		}
	}
	return 0
}

// stopped tells rank 0 to end by SIGTERM once the training has begun, which the others then do too, and reports whether it was not done
// before. The launcher would kill all of them a second after it was told, which a busy machine may need.
func (p *process) stopped(t *testing.T) bool {
	t.Helper()
	p.waitFor(t, "step ")
	if pid := rankProcess(p.Process.Pid, 0); pid > 0 {
		syscall.Kill(pid, syscall.SIGTERM)
	}
	p.Wait()
	return strings.Contains(p.text(), "to go on: bitgpu ")
}

// inTime does what stops a training of so many steps, and again with more where it was done before.
func inTime(t *testing.T, stopped func(steps int) bool) {
	t.Helper()
	for steps := 600; !stopped(steps); steps *= 2 {
		if steps > 1<<20 {
			t.Fatalf("a training of %d steps was done before it could be stopped", steps)
		}
	}
}

func (p *process) tell(t *testing.T, rank int, sig syscall.Signal) {
	t.Helper()
	pid := rankProcess(p.Process.Pid, rank)
	if pid == 0 {
		t.Fatalf("rank %d is not there: %s", rank, p.text())
	}
	syscall.Kill(pid, sig)
}

// standsStill waits until the launcher ends or has no rank for half a minute. Then it is killed: Open MPI 4.1.4's was seen to wait for a
// lock of its own library (PMIx_server_finalize) when all ranks had ended. A rank that lives on keeps the test waiting.
func (p *process) standsStill(exited chan error) bool {
	for alone := 0; alone < 150; alone++ {
		select {
		case err := <-exited:
			exited <- err
			return false
		case <-time.After(200 * time.Millisecond):
		}
		for rank := range 4 {
			if rankProcess(p.Process.Pid, rank) > 0 {
				alone = 0
			}
		}
	}
	p.Process.Kill()
	return true
}
