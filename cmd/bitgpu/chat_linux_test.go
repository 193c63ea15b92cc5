package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// atTerminal starts the program at a pseudo-terminal; what it shows is the process's text.
func atTerminal(t *testing.T, args ...string) (p *process, keys *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { keys.Close() })
	if err := unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skip(err)
	}
	n, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Skip(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer tty.Close()
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	p = &process{Cmd: program(t, args...)}
	p.Env = append(p.Env, "TERM=xterm", "NO_COLOR=", "XDG_CONFIG_HOME="+t.TempDir())
	p.Stdin, p.Stdout, p.Stderr = tty, tty, tty
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := keys.Read(buffer)
			p.Write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	return p, keys
}

// At a terminal thoughts are dimmed, Ctrl-C stops an answer and not the chat, and Ctrl-D leaves and saves.
func TestChatAtATerminal(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "talk.memory")
	template := writeText(t, filepath.Join(dir, "thinking.jinja"),
		"{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% if enable_thinking %}<think>\n{% endif %}{% endif %}")
	p, keys := atTerminal(t, "chat", "--template", template, "--think", "--memory", file) // the demo never ends its text
	p.waitFor(t, "/help lists the commands")
	keys.WriteString("ROMEO\r")
	p.waitFor(t, "\x1b[2m")
	p.waitFor(t, "\x1b[0m")
	keys.WriteString("\x03")
	keys.WriteString("/think off\r/n 5\r\"\"\"one\rtwo\"\"\"\r")
	p.waitFor(t, "[5 tokens are the limit")
	keys.WriteString("/sys\t")
	p.waitFor(t, "/system ")
	keys.WriteString("Be brief.\r")
	keys.WriteString("\x04")
	if err := p.Wait(); err != nil {
		t.Fatalf("%v: %s", err, p.text())
	}
	r := bitgpuRun("", "chat", "--template", template, "--memory", file, "-n", "1", "-p", "x", "--show-prompt")
	for _, want := range []string{"system: Be brief.\nuser: ROMEO\nassistant: ", "\nuser: one\ntwo\nassistant: "} {
		if !strings.Contains(r.err, want) {
			t.Errorf("want %q in %q", want, r.err)
		}
	}
}

// A closed terminal saves what was changed of a conversation, also where the model has read as many tokens as before.
func TestClosedTerminalSavesChanges(t *testing.T) {
	dir := t.TempDir()
	template := writeText(t, filepath.Join(dir, "play.jinja"), turns)
	first := filepath.Join(dir, "first.memory")
	mustRun(t, "chat", "--template", template, "--memory", first, "--seed", "1", "-n", "5", "-p", "ROMEO")
	for keys, said := range map[string]string{"/undo\r": "taken back", "/system Be brief.\r/x\r": "no command /x", "/seed 2\r/regen\r": "are the limit", "/help\r": "leave, as do"} {
		file := filepath.Join(dir, "talk.memory")
		if err := os.WriteFile(file, read(t, first), 0o600); err != nil {
			t.Fatal(err)
		}
		p, terminal := atTerminal(t, "chat", "--template", template, "--memory", file, "-n", "5")
		p.waitFor(t, "/help lists the commands")
		terminal.WriteString(keys)
		p.waitFor(t, said)
		if err := p.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		changed := !bytes.Equal(read(t, file), read(t, first))
		if want := keys != "/help\r"; changed != want {
			t.Errorf("after %q the file has changed: %v, want %v\n%s", keys, changed, want, p.text())
		}
	}
}

// bitgpu run at a terminal goes on from text with a model without a template, and says so, and in turns with one.
func TestRunAtATerminal(t *testing.T) {
	p, keys := atTerminal(t, "run", "-m", model("d32-none"), "-n", "3")
	p.waitFor(t, "the model has no chat template")
	p.waitFor(t, "Type text for the model to go on from")
	keys.WriteString("one\r")
	p.waitFor(t, "[3 tokens are the limit")
	keys.WriteString("\x04")
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.text())
	}
	public := os.Getenv("BITGPU_PUBLIC_MODELS")
	if public == "" {
		t.Skip("BITGPU_PUBLIC_MODELS is not set")
	}
	p, keys = atTerminal(t, "run", "-m", filepath.Join(public, "a_qwen3/model-PQ2_0.gguf"), "--context", "64", "--seed", "1")
	p.waitFor(t, "Type a message")
	keys.WriteString("Hello\r/stats\r")
	p.waitFor(t, "kept    0 tokens")
	keys.WriteString("/undo\r/regen\r/exit\r")
	if err := p.Wait(); err != nil || !strings.Contains(p.text(), "there is no turn yet") {
		t.Errorf("%v: %s", err, p.text())
	}
}
