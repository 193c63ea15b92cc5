package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// killAt in the environment makes the test binary write a set and kill itself at a change of the file system.
const killAt = "ATOMICFILE_TEST_KILL_AT"

func TestMain(m *testing.M) {
	if at, err := strconv.Atoi(os.Getenv(killAt)); err == nil {
		n := 0
		Fault = func(string) error {
			if n == at {
				self, _ := os.FindProcess(os.Getpid())
				self.Kill()
				select {}
			}
			n++
			return nil
		}
		if err := writeSet(os.Getenv("ATOMICFILE_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writeSet replaces the old set, of a and b, by a new one, of a and c.
func writeSet(dir string) error {
	s, err := CreateSet(dir)
	if err != nil {
		return err
	}
	defer s.Discard()
	for _, name := range []string{"a", "c"} {
		if err := s.Write(name, writeString("new "+name)); err != nil {
			return err
		}
	}
	s.Guard("a", []byte("closed"))
	return s.Commit("b")
}

// closed reports of a directory, as a program finds it that does not call Recover, whether it is marked as unfinished; if it is not,
// its files belong together.
func closed(t *testing.T, dir string) bool {
	t.Helper()
	var found []string
	for _, name := range []string{"a", "b", "c"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			data = []byte("none")
		}
		found = append(found, string(data))
	}
	if found[0] == "closed" {
		return true
	}
	if all := strings.Join(found, ", "); all != "old a, old b, none" && all != "new a, none, new c" {
		t.Errorf("got %q, which nothing tells from a whole directory", all)
	}
	return false
}

// oldSet makes a directory with a set and what a person has put there.
func oldSet(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "d")
	for name, text := range map[string]string{"a": "old a", "b": "old b", "notes.txt": "mine", "sub/x": "mine too"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	oldFiles = "a=old a b=old b notes.txt=mine sub/x=mine too "
	newFiles = "a=new a c=new c notes.txt=mine sub/x=mine too "
)

// files lists a directory's files with their contents, without those that are no part of it yet.
func files(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == stageName:
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		fmt.Fprintf(&all, "%s=%s ", name, content(t, path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestSetFails: whichever change of the file system fails, the directory has the old files or, where it says that new
// ones are on their way, the new ones when it is next opened; and the next set can be written.
func TestSetFails(t *testing.T) {
	broken := errors.New("broken")
	recovered := 0
	for at := 0; ; at++ {
		dir, n := oldSet(t), 0
		var failed string
		Fault = func(what string) error {
			if n++; n == at+1 {
				failed = what
				return broken
			}
			return nil
		}
		err := writeSet(dir)
		Fault = nil
		if failed == "" {
			if err != nil || files(t, dir) != newFiles {
				t.Fatalf("got %v and %q, want the new files", err, files(t, dir))
			}
			break
		}
		if !errors.Is(err, broken) || strings.Contains(err.Error(), "\n") {
			t.Errorf("change %d, %s: got the error %v", at, failed, err)
		}
		committed := failed == "move" || failed == "end" || at > 0 && strings.Contains(files(t, dir), commitName)
		if err := Recover(dir); err != nil {
			t.Fatal(err)
		}
		got := files(t, dir)
		if got != oldFiles && got != newFiles || committed && got != newFiles {
			t.Errorf("change %d, %s: got %q", at, failed, got)
		}
		if committed {
			recovered++
		}
		if err := writeSet(dir); err != nil || files(t, dir) != newFiles {
			t.Errorf("change %d, %s: the next set: %v, %q", at, failed, err, files(t, dir))
		}
	}
	if recovered < 4 {
		t.Errorf("got %d failures behind the commit, want some", recovered)
	}
}

// TestSetKilled does the same with kills.
func TestSetKilled(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the processes are Unix's")
	}
	old, fresh, unfinished := 0, 0, 0
	for at := 0; ; at++ {
		dir := oldSet(t)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", killAt, at), "ATOMICFILE_TEST_DIR="+dir)
		out, err := child.CombinedOutput()
		if closed(t, dir) {
			unfinished++
		}
		if err := Recover(dir); err != nil {
			t.Fatal(err)
		}
		got := files(t, dir)
		if err == nil {
			if got != newFiles {
				t.Errorf("got %q of a run that was not killed", got)
			}
			break
		}
		switch {
		case len(out) > 0:
			t.Fatalf("change %d: %s", at, out)
		case got == oldFiles:
			old++
		case got == newFiles:
			fresh++
		default:
			t.Errorf("change %d: got %q", at, got)
		}
		if err := writeSet(dir); err != nil || files(t, dir) != newFiles {
			t.Errorf("change %d: got %v and %q after the next set", at, err, files(t, dir))
		}
	}
	if old == 0 || fresh == 0 || unfinished == 0 {
		t.Errorf("got %d kills before the commit and %d behind, %d of them while files move, want all", old, fresh, unfinished)
	}
}

// TestSetRefusals: what could not be put in place is said before the commit, and two writers do not meet.
func TestSetRefusals(t *testing.T) {
	dir := oldSet(t)
	if err := os.Mkdir(filepath.Join(dir, "c"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeSet(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "c")+": got a directory, want a regular file") || files(t, dir) != oldFiles {
		t.Errorf("got %v and %q", err, files(t, dir))
	}
	file := filepath.Join(dir, "a")
	if _, err := CreateSet(file); err == nil || !strings.Contains(err.Error(), file+": the directory cannot be made: not a directory") {
		t.Errorf("got %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	s, err := CreateSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateSet(dir); err == nil || !strings.Contains(err.Error(), "another bitgpu is writing") {
		t.Errorf("got %v of a second writer", err)
	}
	s.Discard()
	fresh := filepath.Join(dir, "x", "y")
	if s, err = CreateSet(fresh); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	if _, err := os.Stat(filepath.Dir(fresh)); err == nil {
		t.Error("a set that was given up has left its directory")
	}
}

// TestClearStale: the temporary file of a killed process goes, that of one at work stays.
func TestClearStale(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the locks are Unix's")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	dead, mine := filepath.Join(dir, ".f"+mark+"1a2b"), filepath.Join(dir, ".f.2024")
	for _, name := range []string{dead, mine} {
		if err := os.WriteFile(name, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	first, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	ClearStale(dir)
	second, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	second.Discard()
	if _, err := os.Stat(dead); err == nil {
		t.Error("the file of a dead process is left")
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
	if err := first.Commit(); err != nil {
		t.Errorf("the file of a process at work was taken away: %v", err)
	}
	if err := Check(path); err != nil {
		t.Error(err)
	}
	os.Remove(mine)
	onlyFile(t, dir, "f")
}
