//go:build wine

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// These tests run the program for Windows under Wine, on a screen of Xvfb, as a person does on Windows.

// windows is a machine with the program on it.
type windows struct {
	*testing.T
	dir string // the current folder, with a space in its path
	env []string
}

// newWindows makes one. The program is built, or $BITGPU_EXE.
func newWindows(t *testing.T) *windows {
	w := &windows{T: t, dir: filepath.Join(t.TempDir(), "my folder")}
	prefix := filepath.Join(t.TempDir(), "wine")
	w.env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all", "LC_ALL=C.UTF-8")
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := os.Getenv("BITGPU_EXE")
	if program == "" {
		r := release{version: "0.0.0", module: "bitgpu", work: t.TempDir()}
		if path, err := output("go", "list", "-m"); err == nil {
			r.module = path
		}
		t.Chdir("../..")
		var err error
		if program, err = r.bitgpu(targets[5]); err != nil {
			t.Fatal(err)
		}
	} else {
		t.Chdir("../..")
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	w.write("bitgpu.exe", data)
	w.host("wineboot", "-i")
	const sources = "internal/dist/testdata/"
	w.host(mingw, "-shared", "-o", filepath.Join(prefix, "drive_c/windows/system32/bcryptprimitives.dll"), sources+"bcryptprimitives.c", "-ladvapi32")
	w.host(mingw, "-municode", "-Wall", "-Werror", "-o", filepath.Join(w.dir, "console.exe"), sources+"console.c")
	t.Cleanup(func() { w.host("wineserver", "-k") })
	return w
}

func (w *windows) write(name string, data []byte) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), data, 0o755); err != nil {
		w.Fatal(err)
	}
}

func (w *windows) read(name string) []byte {
	w.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.Fatal(err)
	}
	return data
}

// host runs a command of this machine.
func (w *windows) host(command ...string) {
	w.Helper()
	run := exec.Command(command[0], command[1:]...)
	run.Env = w.env
	if out, err := run.CombinedOutput(); err != nil && command[0] != "wineserver" {
		w.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
}

// bitgpu runs the program without a console, and gives both streams and the exit code.
func (w *windows) bitgpu(args ...string) (out, errs string, code int) {
	w.Helper()
	run := exec.Command("wine", append([]string{"bitgpu.exe"}, args...)...)
	var stdout, stderr bytes.Buffer
	run.Dir, run.Env, run.Stdout, run.Stderr = w.dir, w.env, &stdout, &stderr
	if err := run.Run(); err != nil && run.ProcessState == nil {
		w.Fatal(err)
	}
	return strings.ReplaceAll(stdout.String(), "\r\n", "\n"), stderr.String(), run.ProcessState.ExitCode()
}

// wants checks the outcome of a call.
func (w *windows) wants(want string, args ...string) {
	w.Helper()
	if out, errs, code := w.bitgpu(args...); code != 0 || !strings.Contains(out, want) {
		w.Errorf("%q: got %q, exit code %d, want %q\n%s", args, out, code, want, errs)
	}
}

// console has a person do steps (testdata/console.c) at a console, and gives what the screen shows in the end.
func (w *windows) console(line string, steps ...string) string {
	w.Helper()
	run := exec.Command("wine", append([]string{"console.exe", "screen.txt", line}, steps...)...)
	run.Dir, run.Env = w.dir, w.env
	out, err := run.CombinedOutput()
	screen, _ := os.ReadFile(filepath.Join(w.dir, "screen.txt"))
	if err != nil {
		w.Fatalf("%s: %v\n%s\nthe screen:\n%s", line, err, out, screen)
	}
	return string(screen)
}

func TestWindows(t *testing.T) {
	if os.Getenv("DISPLAY") == "" {
		t.Fatal("Wine's Vulkan and consoles want a screen: run make test-windows")
	}
	w := newWindows(t)
	const line = "Well, what hast thou in that gracious lady?\n\nBAP"

	t.Run("run", func(t *testing.T) {
		w := &windows{t, w.dir, w.env}
		w.wants("windows/amd64, CPU and GPU (DX12 or Vulkan)", "version")
		w.wants(line, "run", "--backend", "cpu", "-p", "ROMEO:", "-n", "20", "--seed", "3")
		w.wants(line, "run", "--backend", "gpu", "--adapter", "llvmpipe", "-p", "ROMEO:", "-n", "20", "--seed", "3") // equal on a GPU
		if _, errs, _ := w.bitgpu("run", "--backend", "cpu", "-p", "x", "-n", "1", "--stats"); !regexp.MustCompile(`the whole program [1-9]`).MatchString(errs) {
			w.Errorf("got %q, want the memory that the program had", errs)
		}
		w.wants("GB of memory", "devices")
	})

	t.Run("messages", func(t *testing.T) {
		w := &windows{t, w.dir, w.env}
		for _, args := range [][]string{{"inspect", "größe 1.bitt"}, {"view", "-p", "x"}, {"run", "--backend", "gpu", "--adapter", "none", "-p", "x"}, {"help", "run"}, {"help", "train"}} {
			out, errs, _ := w.bitgpu(args...)
			for _, foreign := range []string{"Debian", "libvulkan", " apt", ".; ", "'Once", "'ROMEO"} {
				if strings.Contains(out+errs, foreign) {
					w.Errorf("%q: got %q in\n%s", args, foreign, out+errs)
				}
			}
		}
		if screen := w.console(`bitgpu.exe inspect "größe → 1.bitt"`); !strings.Contains(screen, "größe → 1.bitt: ") || !strings.Contains(screen, "exit 1\n") {
			w.Errorf("got %q, want the name as it was typed", screen)
		}
	})

	t.Run("train", func(t *testing.T) {
		w := &windows{t, w.dir, w.env}
		w.write("a book.txt", bytes.Repeat([]byte("To be, or not to be: that is the question.\n\nWhether 'tis nobler in the mind to suffer\n\n"), 100))
		const shape = ` --backend cpu --data "a book.txt" --dim 32 --layers 1 --vocab-size 300 --batch-size 2 --context-len 16 --save-interval 100 --steps `
		folder, whole := `my models\größe`, `whole`
		// A second training in the same folder finds it locked, while the first goes on until Ctrl-C.
		first := exec.Command("wine", "console.exe", "first.txt", `bitgpu.exe train`+shape+`100000000 --output-dir "`+folder+`"`, "?saved", "@tried", "^C")
		first.Dir, first.Env = w.dir, w.env
		if err := first.Start(); err != nil {
			w.Fatal(err)
		}
		for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
			if saved, _ := filepath.Glob(filepath.Join(w.dir, "my models", "größe", "checkpoints", "*")); len(saved) > 0 {
				break
			}
		}
		_, refused, code := w.bitgpu("train", "--resume", "--backend", "cpu", "--output-dir", folder)
		w.write("tried", nil)
		if err := first.Wait(); err != nil {
			w.Fatalf("%v\n%s", err, w.read("first.txt"))
		}
		if code != 1 || !strings.Contains(refused, "another training is writing to this directory") {
			w.Errorf("the second training: exit code %d, got %q, want it refused", code, refused)
		}
		stopped := string(w.read("first.txt"))
		if !strings.Contains(stopped, `to go on: bitgpu train --resume --output-dir "my models\größe"`) || !strings.Contains(stopped, "exit 130\n") {
			w.Fatalf("after Ctrl-C: got\n%s", stopped)
		}
		steps := regexp.MustCompile(`stopped after (\d+) of`).FindStringSubmatch(stopped)
		if steps == nil {
			w.Fatalf("got no count of steps in\n%s", stopped)
		}
		var done int
		fmt.Sscan(steps[1], &done)
		if _, errs, code := w.bitgpu("train", "--resume", "--backend", "cpu", "--steps", fmt.Sprint(done+50), "--decay-steps", "0", "--output-dir", folder); code != 0 {
			w.Fatalf("--resume: exit code %d\n%s", code, errs)
		}
		w.wants("", "run", "--backend", "cpu", "-m", folder+`\model.bitt`, "-p", "To be", "-n", "5")
		// Resumed or not, a training comes to the same weights, to the bit.
		const short = ` train` + shape + `60 --output-dir `
		w.console(`bitgpu.exe` + short + whole)
		w.console(`bitgpu.exe`+short+`parts`, "?parameters", "^C")
		if _, err := os.Stat(filepath.Join(w.dir, "parts", "model.bitt")); err != nil {
			if _, errs, code := w.bitgpu("train", "--resume", "--backend", "cpu", "--output-dir", "parts"); code != 0 {
				w.Fatalf("--resume: exit code %d\n%s", code, errs)
			}
		}
		if !bytes.Equal(w.read("whole/model.bitt"), w.read("parts/model.bitt")) {
			w.Error("the resumed training came to other weights")
		}
	})

	t.Run("chat", func(t *testing.T) {
		w := &windows{t, w.dir, w.env}
		w.write("play.jinja", []byte("{% for m in messages %}{{ 'ROMEO' if m.role == 'user' else 'JULIET' }}:\n{{ m.content | trim }}\n\n"+
			"{% endfor %}{% if add_generation_prompt %}JULIET:\n{% endif %}\n"))
		flags := []string{"chat", "--backend", "cpu", "--template", "play.jinja", "--seed", "12", "--temp", "0.6", "--stop", "ROMEO:", "--stop", "JULIET:", "--memory", "our talk.memory"}
		screen := w.console("bitgpu.exe "+strings.ReplaceAll(strings.Join(flags, " "), "our talk.memory", `"our talk.memory"`),
			"?>", "!My lady, is the night so dark?", "?changed by this", "!/save größe.talk", "?in größe.talk", "!/quit")
		if !strings.Contains(screen, "O, how sweetly saints are not changed by this!") || !strings.Contains(screen, "exit 0\n") {
			w.Errorf("got\n%s", screen)
		}
		// It goes on where it ended, and its file is replaced as a whole.
		before := w.read("our talk.memory")
		out, errs, code := w.bitgpu(append(flags, "--stats", "-p", "And will you come with me?")...)
		if code != 0 || !strings.Contains(out, "O, how sweetly saints love me?") || !strings.Contains(errs, "kept    15 tokens") {
			w.Errorf("got %q, exit code %d\n%s", out, code, errs)
		}
		if bytes.Equal(before, w.read("our talk.memory")) {
			w.Error("the conversation was not saved")
		}
		// Ctrl-C ends a text, and the memory is saved.
		if screen := w.console("bitgpu.exe run --backend cpu -p ROMEO: -n 1000000 --memory long.memory", "?bitgpu: running", "^C"); !strings.Contains(screen, "exit 130\n") {
			w.Errorf("after Ctrl-C: got\n%s", screen)
		}
		w.read("long.memory")
		left, err := filepath.Glob(filepath.Join(w.dir, ".*bitgpu-new-*"))
		if err != nil || len(left) > 0 {
			w.Errorf("left behind: %v, %v", left, err)
		}
	})

	t.Run("library", func(t *testing.T) {
		if os.Getenv("BITGPU_EXE") != "" {
			t.Skip("the program is given, the library not built")
		}
		w := &windows{t, w.dir, w.env}
		r := release{version: "0.0.0", module: "bitgpu", work: t.TempDir()}
		library, err := r.build(targets[5], "./cmd/libbitgpu", "libbitgpu.so", "-buildmode=c-shared")
		if err != nil {
			t.Fatal(err)
		}
		if err := checkDLL(library); err != nil {
			t.Error(err)
		}
		data, err := os.ReadFile(library)
		if err != nil {
			t.Fatal(err)
		}
		w.write("libbitgpu.so", data)
		w.host(mingw, "-std=c99", "-Wall", "-Icmd/libbitgpu", "-o", filepath.Join(w.dir, "client.exe"), "cmd/libbitgpu/testdata/client.c", library)
		model, err := os.ReadFile("testdata/reference/d32-none/model.bitt")
		if err != nil {
			t.Fatal(err)
		}
		w.write("model.bitt", model)
		run := exec.Command("wine", "client.exe", "model.bitt", "a memory")
		run.Dir, run.Env = w.dir, w.env
		if out, err := run.Output(); err != nil || strings.TrimSpace(string(out)) != "done" {
			t.Errorf("the client in C: got %q, %v, want done", out, err)
		}
	})
}
