package main

import (
	"bytes"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/nn/cpu/parallel"
	"bitgpu/nn/storage/public/publictest"

	"github.com/urfave/cli/v2"
)

// asProgram in the environment makes the test binary the program itself, for tests that need a process.
const asProgram = "BITGPU_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Setenv("BITGPU_BACKEND", "cpu") // the same engine on every machine
	os.Unsetenv("BITGPU_ADAPTER")
	for _, s := range endings { // as under nohup, or behind &: with a handler here, the programs that tests start are ended by them
		if ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	os.Exit(m.Run())
}

const reference = "../../testdata/reference"

func model(name string) string { return filepath.Join(reference, name, "model.bitt") }

// outcome is what a run of the program gave.
type outcome struct {
	code     int
	out, err string
}

func bitgpuRun(stdin string, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(args, strings.NewReader(stdin), &out, &err)
	return outcome{code, out.String(), err.String()}
}

// succeed runs the program and returns its stdout.
func succeed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := bitgpuRun(stdin, args...)
	if r.code != 0 {
		t.Fatalf("bitgpu %q: exit code %d: %s", args, r.code, r.err)
	}
	return r.out
}

// refuse runs the program and demands an exit code, an empty stdout, and one sentence on stderr with all of want.
func refuse(t *testing.T, code int, r outcome, want ...string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(r.err, "\n"), "\n")
	last := lines[len(lines)-1]
	if len(lines) == 2 && strings.HasPrefix(lines[0], "bitgpu: running on ") {
		lines = lines[1:]
	}
	if r.code != code || r.out != "" || len(lines) != 1 || !strings.HasPrefix(last, "bitgpu: ") || strings.Contains(last, "goroutine") {
		t.Errorf("got exit code %d, stdout %q, stderr %q, want %d and one sentence", r.code, r.out, r.err, code)
	}
	for _, w := range want {
		if !strings.Contains(last, w) {
			t.Errorf("want %q in %q", w, last)
		}
	}
}

func TestDemo(t *testing.T) {
	text := succeed(t, "", "run", "-p", "ROMEO:", "-n", "40", "--seed", "1", "--backend", "cpu")
	if len(strings.Fields(text)) < 10 {
		t.Errorf("got %q, want 40 tokens of text", text)
	}
	path := filepath.Join(t.TempDir(), "demo.bitt")
	succeed(t, "", "export", "-o", path, "--pack", "--head", "f16")
	again := succeed(t, "", "run", "-m", path, "-p", "ROMEO:", "-n", "40", "--seed", "1", "--backend", "cpu")
	if again != text {
		t.Errorf("the exported demo writes %q, the embedded one %q", again, text)
	}
	if ids := succeed(t, "", "tokenize", "-p", "ROMEO:", "--ids"); !strings.Contains(ids, ",") {
		t.Errorf("got %q, want token ids", ids)
	}
}

func TestWrongUsage(t *testing.T) {
	m := model("d32-none")
	for _, c := range []struct {
		args string
		want string
	}{
		{"runn", `no command "runn"; did you mean "run"?`},
		{"help runn", `no command "runn"; did you mean "run"?`},
		{"run -m " + m + " hello", `unexpected argument "hello"`},
		{"run -m " + m + " -p x --tmp 1", `no flag --tmp; did you mean "--temp"?`},
		{"run -m " + m + " -p x --temp warm", `run: --temp: got "warm", want a number`},
		{"run -m " + m + " -p x --temp -1", "run: --temp: got -1, want 0 or more"},
		{"run -m " + m + " -p x --kv f8", `--kv: got "f8", want f32 or f16`},
		{"run -m " + m + " -p x --kv f16", "--kv or --activations: got a model of our own"},
		{"export -m " + m + " -o x.onnx", "want a name that ends in .bitt or .gguf, or a directory"},
		{"run -m " + m + " -p x --top-p 2", "top-p: got 2, want 0 to 1"},
		{"run -m " + m + " -p x -n -1", "max-tokens: got -1, want 0 or more"},
		{"run -m " + m + " -p", "run: -p needs a value"},
		{"run --model= -p x", `run: --model: got "", want MODEL`},
		{"run --memory= -p x", `run: --memory: got "", want FILE`},
		{"run --adapter= -p x", `run: --adapter: got "", want N|NAME|software`},
		{"run --stop= -p x", `run: --stop: got "", want TEXT`},
		{"train --data x --mixer=", `train: --mixer: got "", want tied|delta`},
		{"train --data x --weight-scale=", `train: --weight-scale: got "", want absmean|none`},
		{"train --data x --shards 3", "train: --shards: got 3, want a power of two up to 4096"},
		{"train --data x --shards 8 --batch-size 12", "train: --shards: got 8, want a divisor of batch-size, 12"},
		{"train --data x --gradient bf16", "train: --gradient: got bf16 without shards, whose sums it is the format of; want shards too"},
		{"train --data x --shards 8 --gradient f16", `train: --gradient: got "f16", want f32 or bf16`},
		{"train --data x --shard-optimizer", "train: --shard-optimizer: got no shards, want --shards N"},
		{"train --data x --output-dir=", `train: --output-dir: got "", want DIR`},
		{"export --head= -o x.bitt", `export: --head: got "", want f32|f16|int8`},
		{"bench --quick --mixer=", `bench: --mixer: got "", want tied|delta`},
		{"run -m " + m + " -p x --backend tpu", `--backend: got "tpu", want auto, gpu or cpu`},
		{"--nope", "no flag --nope"},
		{"inspect", "got 0 arguments, want one FILE"},
		{"inspect a b", "got 2 arguments, want one FILE"},
		{"inspect a --json", `flag --json after "a": flags come before it`},
		{"version now", `unexpected argument "now"`},
		{"completion tcsh", `got "tcsh", want bash, zsh, fish or powershell`},
		{"logits -m " + m + " --tokens 1", "logits: --output is needed"},
		{"logits -m " + m + " -o x", "got 0 of --tokens, --tokens-file and -p, want one"},
		{"logits -m " + m + " -o x --tokens 1 -p x", "got 2 of --tokens, --tokens-file and -p, want one"},
		{"logits -m " + m + " -o x --tokens 1,a", `got "a", want token ids separated by commas`},
		{"logits -m " + m + " -o x --tokens 1 --rule fast", `got "fast", want "sequential" or "minibatch"`},
		{"logits -m " + m + " -o x --tokens 1 --chunk 0", "--chunk: got 0, want 1 or more"},
		{"tokenize -p x --tokenizer t.json -m " + m, "got both -m MODEL and --tokenizer FILE, want one of them"},
		{"tokenize -m " + m + " --decode 1,b", `got "b", want token ids separated by commas`},
		{"tokenize -m " + m + " --decode 1 -p x", "stand alone"},
		{"vocab --input x.txt --document page", `--document: got "page", want line, block or file`},
		{"train", "train: --data is missing"},
		{"train --data x.txt --lr NaN", "train: --lr: got NaN, want a number that is not negative"},
		{"train --benchmark --mixer conv", `train: --mixer: got "conv", want "tied" or "delta"`},
		{"eval -m " + m + " --data x.txt --batch-size 0", "eval: --batch-size: got 0, want 1 to 1048576"},
		{"export -m " + m, "export: --output is needed"},
		{"export -m " + m + " -o x.gguf", "x.gguf: want a name that ends in .bitt"},
		{"export -m " + m + " -o x.bitt --head f8", `--head: got "f8", want f32, f16 or int8`},
		{"talk", `no command "talk"; did you mean "chat"?`},
		{"chat --think --no-think", "got --think and --no-think, want one of them"},
		{"chat --system=", `chat: --system: got "", want TEXT`},
		{"chat --context 0 -p x", "chat: --context: got 0, want 1 or more"},
		{"xyzzy", `no command "xyzzy"; bitgpu help lists them`},
		{"--model x run", "no flag --model; flags come after the command"},
		{"run -p x --device cpu", `no flag --device; did you mean "--backend"?`},
		{"run -p x --temperature 1", `no flag --temperature; did you mean "--temp"?`},
		{"run -p x --top_k 1", `no flag --top_k; did you mean "--top-k"?`},
		{"train --heads 1", `no flag --heads; did you mean "--ttt-heads"?`},
		{"train --epochs 1", `no flag --epochs; did you mean "--steps"?`},
		{"train --batch 1", `no flag --batch; did you mean "--batch-size"?`},
		{"serve --host 0.0.0.0", "serve: --host 0.0.0.0: others can reach this address, so keys are needed"},
		{"serve --port 70000", "serve: --port: got 70000, want 0 to 65535"},
		{"serve --parallel 0", "serve: --parallel: got 0, want 1 to 1024"},
		{"serve --queue -1", "serve: --queue: got -1, want 0 to 1048576"},
		{"serve --timeout soon", `serve: --timeout: got "soon", want a time such as 30s or 5m`},
		{"serve --timeout -1s", "serve: --timeout: got -1s, want 0 or more"},
		{"serve --memory-limit much", `serve: --memory-limit: got "much", want a size such as 10GB`},
		{"serve --memory-dir x --memory-store y", "serve: --memory-dir and --memory-store: want one of them"},
		{"serve --memory-store gs://x", `serve: --memory-store: got "gs://x", want a directory or s3://BUCKET/PREFIX`},
		{"serve --memory-store x --memory-endpoint http://127.0.0.1:1", "serve: --memory-endpoint: is for --memory-store s3://BUCKET/PREFIX"},
		{"serve --memory-lease 1ms", "serve: --memory-lease: got 1ms, want 1s to 1h"},
		{"serve --log-format xml", `serve: --log-format: got "xml", want text or json`},
		{"serve --model none --cors-origins example.org", `serve: invalid option: origins: got "example.org", want "*" or a scheme with a host`},
		{"serve --port 0 --memory-limit 1kB", "serve: invalid option: memory limit: got 1000 bytes, want "},
		{"web", `web: --output-dir is needed`},
		{"web -o page now", `unexpected argument "now"`},
		{"serve --tls-cert x", "serve: --tls-cert and --tls-key are needed together"},
		{"run -p x --threads 0", "run: --threads: got 0, want 1 to 4096"},
	} {
		t.Run(c.args, func(t *testing.T) { refuse(t, exitUsage, bitgpuRun("", strings.Fields(c.args)...), c.want) })
	}
}

// What is wrong with a file is said once, after its flag and its name.
func TestBadFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("file", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ args, want string }{
		{"tokenize -p x --tokenizer none", "bitgpu: --tokenizer: none: no such file"},
		{"tokenize -p x --tokenizer dir", "bitgpu: --tokenizer: dir: got a directory, want a file"},
		{"tokenize -p x --tokenizer file", "bitgpu: tokenizer: file: "},
		{"data --input file --output-dir out --tokenizer none", "bitgpu: --tokenizer: none: no such file"},
		{"logits -o out --tokens-file none", "bitgpu: --tokens-file: none: no such file"},
		{"logits -o out --tokens-file file", "bitgpu: --tokens-file: file: got 1 bytes, want a multiple of 4"},
		{"run -p x --memory file", "bitgpu: safetensors: file: "},
		{"run -p x -m none", "bitgpu: none: no such file"},
		{"inspect file", "bitgpu: file: "},
		{"eval --data dir --document line", "bitgpu: --data: dir has no meta.json"},
		{"train --resume --output-dir none", "bitgpu: none: got no checkpoint to go on from"},
		{"eval --data dir", "bitgpu: --data: dir has no meta.json"},
		{"vocab --input none", "bitgpu: --input: none: no such file"},
		{"plot file", "bitgpu: plot: file: "},
		{"serve --port 0 --memory-store s3:///x", `bitgpu: --memory-store: got "s3:///x", want s3://BUCKET or s3://BUCKET/PREFIX`},
		{"serve --port 0 --memory-store file", "bitgpu: --memory-store: "},
		{"serve --api-key-file none", "bitgpu: --api-key-file: none: no such file"},
		{"serve --tls-cert none --tls-key none", "bitgpu: --tls-cert: none: no such file"},
		{"serve --chat-template none", "bitgpu: --chat-template: none: no such file"},
		{"bench --compare file", "bitgpu: file: "},
	} {
		r := bitgpuRun("", strings.Fields(c.args)...)
		r.err = strings.TrimPrefix(r.err, firstLine(r.err, "bitgpu: running on "))
		if r.code != exitError || !strings.HasPrefix(r.err, c.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%s: got exit code %d and %q, want %q", c.args, r.code, r.err, c.want)
		}
	}
}

// firstLine is the first line of text if it begins with start.
func firstLine(text, start string) string {
	if !strings.HasPrefix(text, start) {
		return ""
	}
	return text[:strings.Index(text, "\n")+1]
}

func TestHelp(t *testing.T) {
	top := succeed(t, "", "help")
	for _, args := range [][]string{{}, {"--help"}, {"-h"}} {
		if succeed(t, "", args...) != top {
			t.Errorf("bitgpu %q: want what bitgpu help shows", args)
		}
	}
	for _, command := range commands() {
		if !strings.Contains(top, "   "+command.Name+" ") {
			t.Errorf("help does not list %s", command.Name)
		}
		a, b := succeed(t, "", "help", command.Name), succeed(t, "", command.Name, "--help")
		if a != b && command.Name != "help" || !strings.Contains(a, "Example:\n") {
			t.Errorf("bitgpu help %s and bitgpu %s --help: want the same with an example, got\n%s\n%s", command.Name, command.Name, a, b)
		}
	}
	if succeed(t, "") != top {
		t.Error("bitgpu alone shows something else than bitgpu help")
	}
}

// A suggestion that is far from what was typed misleads.
func TestNoSillySuggestions(t *testing.T) {
	for _, args := range []string{"run -p x --zzz", "run -p x --frobnicate 1", "inspect --backend cpu x", "devices --x", "train --q 1"} {
		if r := bitgpuRun("", strings.Fields(args)...); r.code != exitUsage || strings.Contains(r.err, "mean") {
			t.Errorf("%s: exit code %d, %s", args, r.code, r.err)
		}
	}
}

// Each value has a word in the help that says what it is; lines fit into any terminal.
func TestHelpIsReadable(t *testing.T) {
	app := newApp(nil, nil, nil)
	for _, command := range app.Commands {
		for _, f := range command.Flags {
			f := f.(cli.DocGenerationFlag)
			if value, _ := placeholder(f); f.TakesValue() == (value == "") || strings.Contains(value, " ") {
				t.Errorf("%s %s: placeholder %q", command.Name, flagSyntax(f), value)
			}
			if many := 8; len(command.Flags) > many && f.(cli.CategorizableFlag).GetCategory() == "" {
				t.Errorf("%s: got more than %d flags, and %s under no heading", command.Name, many, flagSyntax(f))
			}
		}
		for _, width := range []int{leastWidth, 80, mostWidth} {
			h := &helpText{width: width}
			h.wrapped(command.Usage)
			h.flags(command.Flags)
			for line := range strings.Lines(h.text.String()) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > width || strings.Contains(line, "`") {
					t.Errorf("%s: %d columns: %q", command.Name, width, line)
				}
			}
		}
	}
	text := succeed(t, "", "train", "--help")
	for _, want := range []string{"\nData:\n   --data DATA  ", "\nModel:\n   --dim N  ", "\nSchedule:\n   --steps N  ", "\nOutput:\n   --output-dir DIR  ", "\nCompute:\n   --backend auto|gpu|cpu  "} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}

func TestThreads(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	for _, n := range []string{"1", "3"} {
		for _, args := range [][]string{
			{"run", "--threads", n, "-p", "x", "-n", "1"}, {"eval", "--threads", n, "--data", "../../LICENSE"},
			{"train", "--threads", n, "--benchmark", "--dim", "16", "--layers", "1", "--steps", "1", "--context-len", "16", "--batch-size", "1", "--vocab-size", "300"},
			{"logits", "--threads", n, "--tokens", "1", "-o", filepath.Join(t.TempDir(), "x")},
		} {
			if r := bitgpuRun("", args...); r.code != 0 || !strings.Contains(r.err, "CPU ("+n+" threads") {
				t.Errorf("%q: %+v", args, r)
			}
		}
	}
	if n := runtime.GOMAXPROCS(0); n != before || parallel.Workers() != before {
		t.Errorf("%d threads before, %d and %d after", before, n, parallel.Workers())
	}
}

// The examples of the help work as they stand, where model.bitt is a model, and bonsai.gguf a public one.
func TestExamplesOfTheHelp(t *testing.T) {
	data, err := os.ReadFile(model("d32-none"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(publictest.File(t, "qwen3"))
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []*cli.Command{
		runCommand(), logitsCommand(), tokenizeCommand(), inspectCommand(), exportCommand(), devicesCommand(), modelsCommand(), completionCommand(), versionCommand(), licensesCommand(),
	} {
		_, examples, _ := strings.Cut(command.Description, "Example:\n")
		if examples == "" {
			t.Errorf("%s has no example", command.Name)
		}
		t.Chdir(t.TempDir())
		if err := errors.Join(os.WriteFile("model.bitt", data, 0o600), os.WriteFile("bonsai.gguf", public, 0o600)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(examples) {
			stdin := ""
			line = strings.TrimSpace(line)
			if before, after, piped := strings.Cut(line, " | "); piped {
				stdin = strings.Join(shellWords(before)[1:], " ") + "\n"
				line = after
			}
			words := shellWords(line)
			if len(words) == 0 || words[0] != "bitgpu" {
				t.Fatalf("%s: got %q, want an example that begins with bitgpu", command.Name, line)
			}
			if r := bitgpuRun(stdin, words[1:]...); r.code != 0 {
				t.Errorf("%s: exit code %d: %s", line, r.code, r.err)
			}
		}
	}
}

// shellWords splits a line as a shell does, with single quotes.
func shellWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

func TestVersion(t *testing.T) {
	if out := succeed(t, "", "version"); !strings.HasPrefix(out, "bitgpu ") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q", out)
	}
}

// An empty word is refused where a file or a choice is wanted, and is as none in the environment.
func TestEmptyWords(t *testing.T) {
	refuse(t, exitUsage, bitgpuRun("", "inspect", ""), `inspect: got "", want FILE`)
	refuse(t, exitUsage, bitgpuRun("", "run", "-p", "x", "--backend="), `run: --backend: got "", want auto|gpu|cpu`)
	t.Setenv("BITGPU_BACKEND", "")
	t.Setenv("BITGPU_ADAPTER", "")
	succeed(t, "", "run", "-m", model("d32-none"), "-p", "x", "-n", "1")
}
