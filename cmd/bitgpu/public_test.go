package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/safetensors"
	"bitgpu/nn/storage/public/publictest"
)

// publicModel is one of the folder of small models that BITGPU_PUBLIC_MODELS names.
func publicModel(t *testing.T, name string) string {
	dir := os.Getenv("BITGPU_PUBLIC_MODELS")
	if dir == "" {
		t.Skip("BITGPU_PUBLIC_MODELS does not name a folder of small public models")
	}
	return filepath.Join(dir, name)
}

// No command panics for a model of a public family: it works, or says in a sentence that it does not.
func TestCommandsOnPublicModels(t *testing.T) {
	for _, family := range publictest.Families {
		m, dir := publictest.File(t, family), t.TempDir()
		text := writeText(t, filepath.Join(dir, "a.txt"), strings.Repeat("One for the master. ", 10))
		if out := succeed(t, "", "tokenize", "-m", m, "--ids", "-p", "a<|im_end|>"); out != fmt.Sprintf("97,%d\n", publictest.End) {
			t.Errorf("tokenize: %q", out)
		}
		if out := succeed(t, "", "inspect", m); !strings.Contains(out, "a model which bitgpu runs") {
			t.Errorf("inspect: %s", out)
		}
		_, err := mustRun(t, "run", "-m", m, "--backend", "cpu", "-p", "abc", "-n", "100", "--context", "10", "--temp", "0", "--stats")
		if !strings.Contains(err, "7 tokens in") || !strings.Contains(err, "ended by context") {
			t.Errorf("run --context 10 --stats: %s", err)
		}
		memory := filepath.Join(dir, "m.memory")
		mustRun(t, "run", "-m", m, "--backend", "cpu", "-p", "abc", "-n", "2", "--temp", "0", "--memory", memory)
		if out := succeed(t, "", "inspect", memory); !strings.Contains(out, "4 keys, values and states after ") {
			t.Errorf("inspect of a memory: %s", out)
		}
		r := evaluated(t, m, "--data", text, "--batch-size", "1")
		if r.Tokens != 200 || r.Bytes != 200 || !(r.Loss > 0) || !(*r.BitsPerByte > 0) {
			t.Errorf("eval: %+v", r)
		}
		mustRun(t, "eval", "-m", m, "--backend", "cpu", "--data", text, "--reread", "--passages", "2", "--lengths", "16")
		for _, c := range []struct {
			code int
			args []string
			want string
		}{
			{1, []string{"run", "-m", m, "--backend", "cpu", "--context", "4", "-p", "hello"}, "the context is too short: got 5 tokens, want 4 at most; --context N makes room for more, up to "},
			{2, []string{"run", "-m", m, "--context", "0", "-p", "x"}, "--context: got 0, want 1 or more"},
			{2, []string{"run", "-m", m, "--masters", "up", "-p", "x"}, `--masters: got "up", want half-up or half-even`},
			{1, []string{"run", "-m", m, "--masters", "half-up", "-p", "x"}, "masters: got a rounding, want none: its matrices are ternary as they are"},
			{1, []string{"run", "-m", model("d32-none"), "--masters", "half-up", "-p", "x"}, "masters: got a rounding, want none: it is no directory"},
			{2, []string{"logits", "-m", m, "--backend", "cpu", "--tokens", "1", "-o", filepath.Join(dir, "l"), "--chunk", "4"}, "does not learn by a rule"},
			{1, []string{"logits", "-m", m, "--backend", "cpu", "--tokens", "999", "-o", filepath.Join(dir, "l")}, "want an id below 258"},
			{2, []string{"eval", "-m", m, "--data", text, "--context-len", "65"}, "--context-len: got 65, want 64 at most"},
			{2, []string{"eval", "-m", m, "--data", text, "--context-len", "16", "--context", "8"}, "--context-len: got 16, want 8 at most"},
			{2, []string{"eval", "-m", m, "--data", text, "--batch-size", "2"}, "--batch-size: got 2, want 1"},
			{2, []string{"eval", "-m", m, "--data", text, "--reread", "--lengths", "40", "--passages", "2"}, "--lengths: got 40, want 32 at most"},
		} {
			refuse(t, c.code, bitgpuRun("", c.args...), c.want)
		}
	}
}

// What is measured does not depend on the windows' size but where it should: one window of all tokens gives what logits gives.
func TestEvalOfPublicModel(t *testing.T) {
	m, dir := publictest.File(t, "qwen3"), t.TempDir()
	text := writeText(t, filepath.Join(dir, "a.txt"), "One for the master.")
	ids := append([]uint32{publictest.End}, []uint32{79, 110, 101, 32, 102, 111, 114, 32, 116, 104, 101, 32, 109, 97, 115, 116, 101, 114, 46}...)
	out := filepath.Join(dir, "l.safetensors")
	mustRun(t, "logits", "-m", m, "--backend", "cpu", "--tokens", strings.Trim(strings.Join(strings.Fields(fmt.Sprint(ids)), ","), "[]"), "-o", out)
	logits := tensorOf(t, out, "logits")
	nats := 0.0
	for i, target := range ids[1:] {
		sum := 0.0
		for _, x := range logits[i*publictest.Vocab : (i+1)*publictest.Vocab] {
			sum += math.Exp(x)
		}
		nats += math.Log(sum) - logits[i*publictest.Vocab+int(target)]
	}
	stdout, _ := mustRun(t, "eval", "-m", m, "--backend", "cpu", "--data", text, "--json")
	var r evalReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if want := nats / float64(len(ids)-1); r.Tokens != int64(len(ids)-1) || r.Bytes != 19 || math.Abs(r.Loss-want) > 1e-6 {
		t.Errorf("got %+v, want %d tokens of 19 bytes and a loss of %v", r, len(ids)-1, want)
	}
}

// What rounding costs is the divergence from the model as it was made, by the logits of both.
func TestEvalMeasuresRounding(t *testing.T) {
	m, dir := publictest.File(t, "qwen3"), t.TempDir()
	text := writeText(t, filepath.Join(dir, "a.txt"), "One for the master.")
	ids := fmt.Sprintf("%d,79,110,101,32,102,111,114,32,116,104,101,32,109,97,115,116,101,114", publictest.End)
	probabilities := func(flags ...string) (all [][]float64) {
		out := filepath.Join(dir, fmt.Sprintf("l%d.safetensors", len(flags)))
		mustRun(t, append([]string{"logits", "-m", m, "--backend", "cpu", "--tokens", ids, "-o", out}, flags...)...)
		logits := tensorOf(t, out, "logits")
		for at := 0; at < len(logits); at += publictest.Vocab {
			row, sum := logits[at:at+publictest.Vocab], 0.0
			for _, x := range row {
				sum += math.Exp(x)
			}
			p := make([]float64, len(row))
			for i, x := range row {
				p[i] = math.Exp(x) / sum
			}
			all = append(all, p)
		}
		return all
	}
	made := probabilities()
	for _, flags := range [][]string{{"--activations", "int8"}, {"--kv", "f16"}} {
		want := 0.0
		for i, q := range probabilities(flags...) {
			for k, p := range made[i] {
				want += p * math.Log(p/q[k]) / float64(len(made))
			}
		}
		stdout, _ := mustRun(t, append([]string{"eval", "-m", m, "--backend", "cpu", "--data", text, "--json"}, flags...)...)
		var r evalReport
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatal(err)
		}
		if r.Divergence == nil || !(*r.Divergence > 0) || math.Abs(*r.Divergence-want) > 1e-3*want+1e-9 {
			t.Errorf("%v: got %s, want a divergence of %v", flags, stdout, want)
		}
		if out := succeed(t, "", append([]string{"eval", "-m", m, "--backend", "cpu", "--data", text}, flags...)...); !strings.Contains(out, "nats a token (KL) from the model as it was made") {
			t.Errorf("%v: %s", flags, out)
		}
	}
	if stdout, _ := mustRun(t, "eval", "-m", m, "--backend", "cpu", "--data", text, "--activations", "float", "--json"); strings.Contains(stdout, "divergence") {
		t.Errorf("as it was made: %s", stdout)
	}
	refuse(t, 2, bitgpuRun("", "eval", "-m", m, "--data", text, "--activations", "int4"), `activations: got "int4", want float or int8`)
	refuse(t, 1, bitgpuRun("", "eval", "-m", model("d36-absmean"), "--data", text, "--kv", "f16"), "got a model of our own")
	for _, mode := range []string{"--reread", "--dynamic"} {
		refuse(t, 2, bitgpuRun("", "eval", "-m", m, "--data", text, mode, "--kv", "f16"), "--kv has nothing to act on")
	}
}

// tensorOf reads numbers of a safetensors file.
func tensorOf(t *testing.T, path, name string) []float64 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("%s has no %s, but %v", path, name, f.Names())
	}
	var out []float64
	for at := 0; at < len(x.Data); at += x.DType.Size() {
		bits := uint64(0)
		for i := range x.DType.Size() {
			bits |= uint64(x.Data[at+i]) << (8 * i)
		}
		switch x.DType {
		case safetensors.F32:
			out = append(out, float64(math.Float32frombits(uint32(bits))))
		case "F64":
			out = append(out, math.Float64frombits(bits))
		default:
			out = append(out, float64(int32(bits)))
		}
	}
	return out
}

// The file that logits writes has what other programs computed in float64: logits, states, keys and values.
func TestPublicStates(t *testing.T) {
	for model, from := range map[string]map[string]string{
		"a_qwen3":                             {"expected.safetensors": "key.0 key.1 value.0 value.1"},
		"a_qwen3/model-PQ2_0.gguf":            {"expected.safetensors": "key.0 key.1 value.0 value.1"},
		"a_qwen3_yarn/model-Q2_0.gguf":        {"expected.safetensors": "key.0 value.1"},
		"b_qwen35":                            {"expected.safetensors": "key.3 value.3", "expected_states.safetensors": "state.0 state.1 state.2"},
		"b_qwen35/model-Q2_0.gguf":            {"expected_states.safetensors": "state.0 state.1 state.2"},
		"c_qwen35_hadamard/model-PTQ1_0.gguf": {"expected_states.safetensors": "state.0 state.1 state.2"},
		"e_falcon_e_prequantized --masters":   nil,
		"f_gguf/bitnet_b158_i2_s.gguf":        nil,
	} {
		t.Run(model, func(t *testing.T) {
			name, masters := strings.CutSuffix(model, " --masters")
			path, out := publicModel(t, name), filepath.Join(t.TempDir(), "l.safetensors")
			dir := path
			if filepath.Ext(path) != "" {
				dir = filepath.Dir(path)
			}
			expected := filepath.Join(dir, "expected.safetensors")
			if filepath.Base(dir) == "f_gguf" {
				expected = strings.TrimSuffix(path, ".gguf") + ".expected.safetensors"
			}
			var ids []string
			for _, id := range tensorOf(t, expected, "tokens") {
				ids = append(ids, fmt.Sprint(id))
			}
			args := []string{"logits", "-m", path, "--backend", "cpu", "--tokens", strings.Join(ids, ","), "-o", out}
			if masters {
				refuse(t, exitError, bitgpuRun("", args...), "is not ternary: ", `--masters says how it rounds them: "half-up"`)
				args = append(args, "--masters", "half-up")
				packed := filepath.Join(t.TempDir(), "packed.bitt")
				mustRun(t, "export", "-m", path, "--masters", "half-up", "-o", packed)
				mustRun(t, "logits", "-m", packed, "--backend", "cpu", "--tokens", strings.Join(ids, ","), "-o", out)
				near(t, "logits of what was exported", tensorOf(t, out, "logits"), tensorOf(t, expected, "logits_f64"))
			}
			mustRun(t, args...)
			near(t, "logits", tensorOf(t, out, "logits"), tensorOf(t, expected, "logits_f64"))
			for file, names := range from {
				for _, name := range strings.Fields(names) {
					near(t, name, tensorOf(t, out, name), tensorOf(t, filepath.Join(dir, file), name))
				}
			}
		})
	}
}

// near compares with a tolerance of 1e-5 of the largest.
func near(t *testing.T, name string, got, want []float64) {
	t.Helper()
	off, peak := 0.0, 0.0
	for i := range min(len(got), len(want)) {
		off, peak = max(off, math.Abs(got[i]-want[i])), max(peak, math.Abs(want[i]))
	}
	if len(got) != len(want) || !(off <= 1e-5*peak) {
		t.Errorf("%s: %d numbers off by %.3g of %.3g, want %d within 1e-5 of it", name, len(got), off, peak, len(want))
	}
}

func TestInspectPublic(t *testing.T) {
	m := publictest.File(t, "qwen35")
	out := succeed(t, "", "inspect", m)
	for _, want := range []string{
		"family          qwen3.5", "2 layers of width 256, MLP of 512 with silu", "258, the head is the embedding",
		"4 heads of 64, 1 for keys and values, queries and keys normed, output gated",
		"1 of 2 layers, attention in the others (1): 1 key heads of 64, 2 value heads of 128, convolution of 4",
		"64 tokens of context, RoPE of 16 elements a head, base 1000000", "keys and values 512 bytes a token in f32, 256 in f16; states 70144 bytes",
		"258 tokens", "chat template   yes", "257 <|im_end|>", "type PQ2_0", "blk.0.attn_qkv.weight",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	var r struct {
		Form   string
		Config struct {
			Family  string
			Context int
			Delta   struct {
				Attention []int `json:"attention_layers"`
			} `json:"gated_delta"`
		}
		Public publicInfo
	}
	if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", m)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Config.Family != "qwen3.5" || r.Config.Context != 64 || len(r.Config.Delta.Attention) != 1 || r.Public.CacheF16 != 256 || !r.Public.Template ||
		r.Public.Ends[0] != (endInfo{publictest.End, "<|im_end|>"}) {
		t.Errorf("%+v", r)
	}
}
