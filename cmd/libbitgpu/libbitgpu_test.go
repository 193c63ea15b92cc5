//go:build cgo

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"bitgpu"
)

const reference = "../../testdata/reference/d32-none"

// TestFromC builds the library and a program in C over its header, and runs it.
func TestFromC(t *testing.T) {
	compiler, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is not installed")
	}
	dir := t.TempDir()
	client := filepath.Join(dir, "client")
	for _, command := range [][]string{
		{"go", "build", "-buildmode=c-shared", "-buildvcs=false", "-o", filepath.Join(dir, "libbitgpu.so"), "."},
		{compiler, "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I.", "-o", client, "testdata/client.c",
			"-L" + dir, "-lbitgpu", "-Wl,-rpath," + dir},
		{client, filepath.Join(reference, "model.bitt"), filepath.Join(dir, "memory")},
	} {
		run := exec.Command(command[0], command[1:]...)
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
		if command[0] == client && string(out) != "done\n" {
			t.Errorf("the program wrote %q", out)
		}
	}
}

func load(t *testing.T) *model {
	t.Helper()
	m, err := bitgpu.Load(reference, bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	opened := &model{Model: m, sessions: map[*session]bool{}}
	t.Cleanup(func() { opened.close() })
	return opened
}

func open(t *testing.T, m *model) *session {
	t.Helper()
	s, err := m.open()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// endless is a text that does not end: at temperature 0 the model comes to repeat itself.
var endless = bitgpu.Options{MaxTokens: 1 << 30}

func TestHandlesAreNeverUsedTwice(t *testing.T) {
	a := table.add(new(stream))
	if _, err := find[*session]("session", a); !errors.Is(err, bitgpu.ErrClosed) {
		t.Errorf("a stream taken for a session: %v", err)
	}
	if _, err := take[*stream]("stream", a); err != nil {
		t.Error(err)
	}
	if _, err := take[*stream]("stream", a); !errors.Is(err, bitgpu.ErrClosed) {
		t.Errorf("taken twice: %v", err)
	}
	b := table.add(new(stream))
	if a == b || a == 0 || b == 0 {
		t.Errorf("numbers %d and %d", a, b)
	}
	if _, err := take[*stream]("stream", b); err != nil {
		t.Error(err)
	}
}

// What ends with a model or a session leaves no number behind, nor memory.
func TestClosingForgetsHandles(t *testing.T) {
	before := len(table.values)
	for range 10 {
		m := load(t)
		h := table.add(m)
		for range 3 {
			s := open(t, m)
			table.add(s)
			table.add(s.stream("hello", endless))
		}
		closed := open(t, m)
		number := table.add(closed.stream("hello", endless))
		closed.close()
		if _, err := find[*stream]("stream", number); !errors.Is(err, bitgpu.ErrClosed) {
			t.Errorf("a stream of a closed session: %v", err)
		}
		m.close()
		if _, err := take[*model]("model", h); err != nil {
			t.Error(err)
		}
	}
	if len(table.values) != before {
		t.Errorf("%d values before, %d after", before, len(table.values))
	}
}

// Closing a model, a session or a stream ends streams that others wait for, and leaves no goroutine.
func TestClosingEndsStreams(t *testing.T) {
	if _, _, err := open(t, load(t)).stream("hello", bitgpu.Options{}).next(); err != nil { // starts the workers
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for _, close := range []func(*model, *session, *stream){
		func(m *model, _ *session, _ *stream) { m.close() },
		func(_ *model, s *session, _ *stream) { s.close() },
		func(_ *model, _ *session, st *stream) { st.close() },
	} {
		for range 20 {
			m := load(t)
			s := open(t, m)
			at := s.stream("hello", endless)
			if _, ok, err := at.next(); !ok || err != nil {
				t.Fatal(ok, err)
			}
			var all sync.WaitGroup
			for range 2 { // two that wait for text, two that close
				all.Go(func() {
					for {
						_, ok, err := at.next()
						if ok {
							continue
						}
						if !errors.Is(err, bitgpu.ErrClosed) {
							t.Errorf("the stream ended with %v", err)
						}
						return
					}
				})
				all.Go(func() { close(m, s, at) })
			}
			all.Wait()
			m.close()
			if _, err := m.open(); !errors.Is(err, bitgpu.ErrClosed) {
				t.Errorf("a session of a closed model: %v", err)
			}
		}
	}
	// What never ends is shown by the time limit of go test, with where it waits.
	for runtime.NumGoroutine() > before {
		time.Sleep(time.Millisecond)
	}
}

// A stream that waits to be asked keeps nobody else from working, and its session says what it is doing.
func TestWaitingStream(t *testing.T) {
	m := load(t)
	s, other := open(t, m), open(t, m)
	at := s.stream("hello", endless)
	if _, ok, err := at.next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	use := func(s *session) error {
		return s.use(func(s *bitgpu.Session) error {
			_, err := s.Forward([]uint32{1})
			return err
		})
	}
	if err := use(s); !errors.Is(err, errStreaming) {
		t.Errorf("a session in the middle of a stream: %v", err)
	}
	if err := use(other); err != nil {
		t.Error(err)
	}
	at.close()
	if err := use(s); err != nil {
		t.Error(err)
	}
}

// A stream that was never asked reads nothing and can be closed, also after its model.
func TestUnaskedStream(t *testing.T) {
	m := load(t)
	s := open(t, m)
	first, second := s.stream("hello", endless), s.stream("hello", endless)
	first.close()
	if _, ok, err := first.next(); ok || !errors.Is(err, bitgpu.ErrClosed) {
		t.Error(ok, err)
	}
	s.use(func(s *bitgpu.Session) error {
		if s.Position() != 0 {
			t.Errorf("position %d", s.Position())
		}
		return nil
	})
	m.close()
	if _, ok, err := second.next(); ok || !errors.Is(err, bitgpu.ErrClosed) {
		t.Error(ok, err)
	}
	second.close()
	s.close()
}

func TestPanicsBecomeErrors(t *testing.T) {
	if err := safely(func() error { panic("no") }); err == nil || !strings.Contains(err.Error(), "no") {
		t.Error(err)
	}
}

// The header that C includes is the one that the exported functions were compiled against: this only says that the
// Python package knows the same interface.
func TestPythonKnowsTheInterface(t *testing.T) {
	header, err := os.ReadFile("bitgpu.h")
	if err != nil {
		t.Fatal(err)
	}
	library, err := os.ReadFile("../../python/bitgpu/_library.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(header), "\n") {
		if version, ok := strings.CutPrefix(line, "#define BITGPU_ABI "); ok && !strings.Contains(string(library), "\nABI = "+version+"\n") {
			t.Errorf("_library.py: want ABI = %s", version)
		}
		name, isFunction := strings.CutPrefix(line, "bitgpu_status bitgpu_")
		if name, _, _ = strings.Cut(name, "("); isFunction && !strings.Contains(string(library), `"`+name+`": [`) {
			t.Errorf("_library.py: want a function %q", name)
		}
	}
}
