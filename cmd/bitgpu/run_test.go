package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"bitgpu"
	"bitgpu/io/memory"
	"bitgpu/io/safetensors"
)

func TestRunWritesTheTextAlone(t *testing.T) {
	m, err := bitgpu.Load(model("d32-none"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	want, err := m.Generate(context.Background(), "the", bitgpu.Options{MaxTokens: 50, Temperature: 1, Seed: 9})
	if err != nil || want == "" {
		t.Fatalf("%q, %v", want, err)
	}
	args := []string{"run", "-m", model("d32-none"), "--temp", "1", "--seed", "9", "-n", "50"}
	for about, r := range map[string]outcome{
		"-p":    bitgpuRun("", append(args, "-p", "the")...),
		"stdin": bitgpuRun("the\n", args...),
		"stats": bitgpuRun("", append(args, "--stats", "-p", "the")...),
	} {
		if r.code != 0 || r.out != want {
			t.Errorf("%s: got %q, want %q (%d, %s)", about, r.out, want, r.code, r.err)
		}
		if !strings.HasPrefix(r.err, "bitgpu: running on CPU (") {
			t.Errorf("%s: the device is not said: %q", about, r.err)
		}
		if stats := strings.Contains(r.err, "tokens/s") && strings.Contains(r.err, "seed 9") && strings.Contains(r.err, "weights"); stats != (about == "stats") {
			t.Errorf("%s: %q", about, r.err)
		}
		if !utf8.ValidString(r.out) {
			t.Errorf("%s: %q is not UTF-8", about, r.out)
		}
	}
	stop := string([]rune(want)[5:8])
	if r := bitgpuRun("", append(args, "-p", "the", "--stop", "\x00,", "--stop", stop)...); r.out != want[:strings.Index(want, stop)] {
		t.Errorf("--stop %q: %q of %q", stop, r.out, want)
	}
}

func TestSeeds(t *testing.T) {
	text := func(args ...string) string {
		return succeed(t, "", append([]string{"run", "-m", model("d32-none"), "-p", "the", "-n", "40", "--temp", "1"}, args...)...)
	}
	one, again, two := text("--seed", "1"), text("--seed", "1"), text("--seed", "2")
	free, other := text(), text()
	if one != again || one == two || free == other {
		t.Error("one seed one text, other seeds other texts, no seed another text each time")
	}
}

func TestMemoryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.soul")
	args := []string{"run", "-m", model("d32-delta"), "-n", "0", "--memory", path, "-p"}
	if out := succeed(t, "", append(args, "one two")...); out != "" {
		t.Errorf("-n 0 wrote %q", out)
	}
	succeed(t, "", append(args, " three")...)
	got, err := memory.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bitgpu.Load(model("d32-delta"), bitgpu.WithBackend(bitgpu.CPU))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one two", " three"} {
		if _, err := s.Learn(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	want, err := s.Memory()
	if err != nil {
		t.Fatal(err)
	}
	if got.Tokens != s.Position() || !equalFloats(got.Layers[1].W, want[1].W) || !equalFloats(got.Layers[1].Conv, want[1].Tail) {
		t.Errorf("the memory of %d tokens is not that of a session over %d", got.Tokens, s.Position())
	}
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d32-none"), "-p", "x", "--memory", path), path, "another model")
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(t, exitError, bitgpuRun("", append(args, "x")...), path)
	if data, _ := os.ReadFile(path); string(data) != "garbage" {
		t.Error("a broken memory was written over")
	}
	refuse(t, exitError, bitgpuRun("", "run", "-m", model("d32-none"), "-p", "x", "--memory", "no/such/f"), "no/such")
}

func equalFloats(a, b []float32) bool {
	x := safetensors.FromFloat32s("", []int{len(a)}, a)
	y := safetensors.FromFloat32s("", []int{len(b)}, b)
	return len(a) > 0 && bytes.Equal(x.Data, y.Data)
}

// damage copies the reference model with a change to its bytes.
func damage(t *testing.T, change func(data []byte) []byte) string {
	t.Helper()
	data, err := os.ReadFile(model("d32-none"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "broken.bitt")
	if err := os.WriteFile(path, change(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// editTensors rewrites the JSON of the safetensors header inside a .bitt file, which may only grow shorter.
func editTensors(edit func(header map[string]map[string]any)) func([]byte) []byte {
	return func(data []byte) []byte {
		body := data[12+binary.LittleEndian.Uint64(data[4:]):]
		n := binary.LittleEndian.Uint64(body)
		var header map[string]map[string]any
		if err := json.Unmarshal(body[8:8+n], &header); err != nil {
			panic(err)
		}
		edit(header)
		text, err := json.Marshal(header)
		if err != nil {
			panic(err)
		}
		out := bytes.Clone(data[:len(data)-len(body)])
		out = binary.LittleEndian.AppendUint64(out, uint64(len(text)))
		return append(append(out, text...), body[8+n:]...)
	}
}

func replace(from, to string) func([]byte) []byte {
	return func(data []byte) []byte {
		if !bytes.Contains(data, []byte(from)) {
			panic(from + " is not in the file")
		}
		return bytes.Replace(data, []byte(from), []byte(to), 1)
	}
}

func TestBrokenFiles(t *testing.T) {
	length := func(n uint64) func([]byte) []byte {
		return func(data []byte) []byte {
			binary.LittleEndian.PutUint64(data[4:], n)
			return data
		}
	}
	const up = "layers.1.ttt.up.weight"
	for about, c := range map[string]struct {
		change func([]byte) []byte
		want   string
	}{
		"wrong magic":           {replace("BITT", "BUTT"), `"BUTT`},
		"an empty file":         {func([]byte) []byte { return nil }, "an empty file"},
		"header past the end":   {length(1 << 40), "header of 1099511627776 bytes announced"},
		"header of 2^63":        {length(1 << 63), "header of 9223372036854775808 bytes announced"},
		"no JSON":               {replace(`"config"`, `"config`), "JSON"},
		"cut short":             {func(data []byte) []byte { return data[:len(data)-100] }, "the file has"},
		"tensor missing":        {replace(up, "layers.1.ttt.up.wrong!"), up},
		"tensor of other shape": {editTensors(func(h map[string]map[string]any) { h[up]["shape"] = []int{8, 32} }), up + ": got shape (8, 32), want (32, 8)"},
		"tensor of other type":  {editTensors(func(h map[string]map[string]any) { h[up]["dtype"] = "I32" }), up + ": got type I32, want F32, F16, BF16 or U8"},
		"tensors overlap": {editTensors(func(h map[string]map[string]any) {
			h[up]["data_offsets"] = h["layers.0.ttt.up.weight"]["data_offsets"]
		}), "layers."},
		"tensor outside": {editTensors(func(h map[string]map[string]any) {
			h["layers.1.mlp.down_proj.weight"]["data_offsets"] = []int{1 << 40, 1<<40 + 4*32*128}
		}), "layers.1.mlp.down_proj.weight: lies at bytes 1099511627776"},
		"tokenizer size": {replace(`"content": "<|padding|>"`, `"content": "<|endoftext|>"`), "tokenizer"},
		"vocab_size":     {replace(`"vocab_size": 300`, `"vocab_size": 301`), "embed.weight: got shape (300, 32), want (301, 32)"},
		"NaN": {func(data []byte) []byte {
			binary.LittleEndian.PutUint32(data[len(data)-4:], 0x7fc00000)
			return data
		}, "NaN"},
	} {
		t.Run(about, func(t *testing.T) {
			path := damage(t, c.change)
			for _, args := range [][]string{
				{"run", "-m", path, "-p", "x"}, {"inspect", path}, {"export", "-m", path, "-o", filepath.Join(t.TempDir(), "o.bitt")},
				{"logits", "-m", path, "--tokens", "1", "-o", filepath.Join(t.TempDir(), "o.safetensors")},
			} {
				refuse(t, exitError, bitgpuRun("", args...), path, c.want)
			}
		})
	}
}

func TestBadInput(t *testing.T) {
	m := model("d32-none")
	odd := filepath.Join(t.TempDir(), "odd.u32")
	if err := os.WriteFile(odd, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	beyond := filepath.Join(t.TempDir(), "beyond.u32")
	if err := os.WriteFile(beyond, []byte{1, 0, 0, 0, 44, 1, 0, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	mute := filepath.Join(t.TempDir(), "mute") + "/"
	succeed(t, "", "export", "-m", m, "-o", mute)
	if err := os.Remove(filepath.Join(mute, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.safetensors")
	for _, c := range []struct {
		stdin string
		args  []string
		want  []string
	}{
		{"", []string{"run", "-m", "no/such.bitt", "-p", "x"}, []string{"no/such.bitt"}},
		{"", []string{"run", "-m", m, "-p", ""}, []string{"the prompt is empty"}},
		{"\n", []string{"run", "-m", m}, []string{"stdin", "the prompt is empty"}},
		{"", []string{"run", "-m", m, "-p", "x", "--backend", "gpu", "--adapter", "no such adapter"}, []string{"adapter"}},
		{"", []string{"logits", "-m", m, "--tokens", "1,300", "-o", out}, []string{"--tokens: ", "token 1: got 300, want an id below 300"}},
		{"", []string{"logits", "-m", m, "--tokens-file", beyond, "-o", out}, []string{beyond + ": ", "token 1: got 300, want an id below 300"}},
		{"", []string{"run", "-m", mute, "-p", "x"}, []string{mute + ": the model has no tokenizer"}},
		{"", []string{"logits", "-m", m, "--tokens", ",", "-o", out}, []string{"the prompt is empty"}},
		{"", []string{"logits", "-m", m, "--tokens-file", odd, "-o", out}, []string{odd, "got 5 bytes, want a multiple of 4"}},
		{"", []string{"logits", "-m", m, "--tokens-file", "no/such.u32", "-o", out}, []string{"no/such.u32"}},
		{"", []string{"logits", "-m", m, "--tokens", "1", "-o", "no/such/out"}, []string{"no/such/out"}},
		{"", []string{"tokenize", "--tokenizer", odd, "-p", "x"}, []string{odd}},
		{"", []string{"tokenize", "-m", m, "--decode", "300"}, []string{"got 300, want an id below 300"}},
		{"", []string{"inspect", odd}, []string{odd}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) { refuse(t, exitError, bitgpuRun(c.stdin, c.args...), c.want...) })
	}
	if r := bitgpuRun("\"ok\"\nnot JSON\n", "tokenize", "-m", m, "--jsonl"); r.code != exitError || !strings.Contains(r.err, `line 2: got "not JSON", want a JSON string`) {
		t.Errorf("%+v", r)
	}
}

// program runs the test binary as the program.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "BITGPU_BACKEND=cpu")
	return cmd
}

// Ctrl-C ends the text, saves the memory, and is told apart from an end.
func TestInterrupt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.soul")
	endless := damage(t, func(data []byte) []byte {
		return bytes.ReplaceAll(data, []byte("<|endoftext|>"), []byte("<|neverends|>"))
	})
	cmd := program(t, "run", "-m", endless, "-p", "the", "-n", "1000000000", "--memory", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const enough = 1000 // bytes, of tokens of up to 20: 50 have been read when the signal comes
	if _, err := io.ReadFull(out, make([]byte, enough)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, out)
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("got exit code %d, want %d", code, exitInterrupted)
	}
	if m, err := memory.Read(path); err != nil {
		t.Errorf("the memory was not saved: %v", err)
	} else if m.Tokens < enough/20 {
		t.Errorf("the memory has read %d tokens, want %d and more", m.Tokens, enough/20)
	}
}

// TestMemoryHeld: a memory is taken by one run at a time, as the one that saved last would undo what the other has learned.
func TestMemoryHeld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.memory")
	line := func(prompt string) []string {
		return []string{"run", "-m", model("d32-delta"), "-p", prompt, "-n", "0", "--memory", path}
	}
	succeed(t, "", line("one")...)
	before := read(t, path)
	link := filepath.Join(dir, "link.memory")
	if err := os.Symlink(path, link); err != nil {
		link = path // as on Windows
	}
	release, err := holdMemory(link)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, exitError, bitgpuRun("", line("two")...), "--memory "+path+": another bitgpu goes on from it")
	if !bytes.Equal(read(t, path), before) {
		t.Error("it has been written")
	}
	release()
	succeed(t, "", line("two")...)
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
