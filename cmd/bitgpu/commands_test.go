package main

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/gpu"
	"bitgpu/internal/units"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
)

func distance(a, b []float32) float64 {
	off, size := 0.0, 0.0
	for i := range a {
		off += math.Pow(float64(a[i]-b[i]), 2)
		size += math.Pow(float64(b[i]), 2)
	}
	return math.Sqrt(off / size)
}

func floats(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	x, ok := f.Tensor(name)
	if !ok {
		t.Fatalf("no tensor %s", name)
	}
	v, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The file holds what the independent program computed, by both rules, however the tokens are given.
func TestLogits(t *testing.T) {
	for _, name := range []string{"d32-none", "d36-absmean", "d32-delta"} {
		expected, err := safetensors.Open(filepath.Join(reference, name, "expected.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer expected.Close()
		tokens, _ := expected.Tensor("tokens")
		ids, _ := tokens.Int32s()
		ids = ids[:tokens.Shape[1]-1]
		list, err := json.Marshal(ids)
		if err != nil {
			t.Fatal(err)
		}
		raw := filepath.Join(t.TempDir(), "tokens.u32")
		var data []byte
		for _, id := range ids {
			data = binary.LittleEndian.AppendUint32(data, uint32(id))
		}
		if err := os.WriteFile(raw, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			suffix string
			args   []string
		}{
			{"sequential", []string{"--tokens", strings.Trim(string(list), "[]")}},
			{"sequential", []string{"--tokens-file", raw, "--chunk", "7"}},
			{"minibatch16", []string{"--tokens-file", raw, "--rule", "minibatch", "--chunk", "16"}},
		} {
			if _, ok := expected.Tensor("logits." + c.suffix); !ok {
				continue
			}
			out := filepath.Join(t.TempDir(), "out.safetensors")
			succeed(t, "", append([]string{"logits", "-m", model(name), "-o", out}, c.args...)...)
			got, err := safetensors.Open(out)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			echo, _ := got.Tensor("tokens")
			if back, _ := echo.Int32s(); !slices.Equal(back, ids) {
				t.Errorf("%s: other tokens", name)
			}
			pairs := map[string]string{"logits": "logits." + c.suffix, "state.0": "state." + c.suffix + ".0", "state.1": "state." + c.suffix + ".1"}
			if name == "d32-delta" {
				pairs["conv.1"] = "conv.sequential.1"
			}
			for of, as := range pairs {
				values := floats(t, got, of)
				if d := distance(values, floats(t, expected, as)[:len(values)]); d > 1e-5 {
					t.Errorf("%s %v: %s is off by %g", name, c.args, of, d)
				}
			}
		}
	}
	refuse(t, exitUsage, bitgpuRun("", "logits", "-m", model("d32-delta"), "--tokens", "1", "--rule", "minibatch", "-o", "x"), `knows the "sequential" rule only`)
}

// On a GPU the command writes the same within the backend's tolerance.
func TestLogitsOnAGPU(t *testing.T) {
	adapter := "software"
	dir := t.TempDir()
	files := map[string]*safetensors.File{}
	for backend, more := range map[string][]string{"cpu": nil, "gpu": {"--adapter", adapter}} {
		out := filepath.Join(dir, backend)
		args := append([]string{"logits", "-m", model("d32-delta"), "-p", "the ship", "-o", out, "--backend", backend}, more...)
		r := bitgpuRun("", args...)
		if r.code != 0 && backend == "gpu" && len(gpu.Adapters()) == 0 && os.Getenv("BITGPU_REQUIRE_GPU") != "1" {
			t.Skip(r.err)
		}
		if r.code != 0 {
			t.Fatal(r.err)
		}
		f, err := safetensors.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[backend] = f
	}
	for _, name := range []string{"logits", "state.0", "state.1", "conv.0"} {
		if d := distance(floats(t, files["gpu"], name), floats(t, files["cpu"], name)); d > 1e-4 {
			t.Errorf("%s differs by %g", name, d)
		}
	}
}

func TestTokenize(t *testing.T) {
	m := model("d32-none")
	const text = "the ship\n日本 🎉\n"
	ids := strings.TrimSpace(succeed(t, text, "tokenize", "-m", m, "--ids"))
	if got := succeed(t, "", "tokenize", "-m", m, "--decode", ids); got != text+"\n" {
		t.Errorf("got %q, want %q", got, text)
	}
	if got := succeed(t, "", "tokenize", "--tokenizer", filepath.Join(reference, "d32-none", "tokenizer.json"), "--ids", "-p", text); strings.TrimSpace(got) != ids {
		t.Errorf("--tokenizer: got %s, want %s", got, ids)
	}
	listing := succeed(t, "", "tokenize", "-m", m, "-p", text)
	var column []string
	for line := range strings.Lines(listing) {
		id, piece, ok := strings.Cut(line, "\t")
		if !ok || !strings.HasPrefix(piece, `"`) {
			t.Errorf("got %q, want an id and a piece", line)
		}
		column = append(column, id)
	}
	if got := strings.Join(column, ","); got != ids {
		t.Errorf("got %s, want %s", got, ids)
	}
	line, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := succeed(t, string(line)+"\n\"\"\n", "tokenize", "-m", m, "--jsonl"); got != "["+ids+"]\n[]\n" {
		t.Errorf("got %s, want [%s]", got, ids)
	}
	if got := succeed(t, "", "tokenize", "-m", m, "--decode", "0,"+ids); got != text+"\n" {
		t.Errorf("special tokens are shown: %q", got)
	}
	if got := succeed(t, "", "tokenize", "-m", m, "--special", "--decode", "0,"+ids); got != "<|endoftext|>"+text+"\n" {
		t.Errorf("special tokens are not shown: %q", got)
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	packed := filepath.Join(dir, "packed.bitt")
	succeed(t, "", "export", "-m", model("d36-absmean"), "-o", packed, "--pack")
	type decoded struct {
		inspection
		Config map[string]any `json:"config"`
	}
	var a, b decoded
	for path, to := range map[string]*decoded{model("d36-absmean"): &a, packed: &b} {
		if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", path)), to); err != nil {
			t.Fatal(err)
		}
	}
	find := func(r decoded, name string) tensorInfo {
		for _, x := range r.Tensors {
			if x.Name == name {
				return x
			}
		}
		t.Fatalf("no tensor %s", name)
		return tensorInfo{}
	}
	const name = "layers.2.mlp.up_proj.weight"
	x, y := find(a, name), find(b, name)
	if x.DType != "F32" || y.DType != "U8" || x.Bytes != 4*36*144 || y.Bytes != 144*9 {
		t.Errorf("%+v, %+v", x, y)
	}
	if q := x.Ternary; q == nil || *q != *y.Ternary || math.Abs(q.Minus+q.Zero+q.Plus-1) > 1e-9 || q.Gamma <= 0 || q.Zero < 0.1 {
		t.Errorf("%+v, %+v", x.Ternary, y.Ternary)
	}
	if a.Config["hidden_dim"] != 36.0 || a.TokenizerSize != 300 || a.Parameters != 70452 || find(a, "embed.weight").Ternary != nil {
		t.Errorf("%+v", a)
	}
	text := succeed(t, "", "inspect", model("d36-absmean"))
	for _, want := range []string{`"hidden_dim": 36`, "tokenizer of 300 tokens", name + "    F32   (144, 36)", "γ"} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	beside := filepath.Join(dir, "model") + "/"
	succeed(t, "", "export", "-m", model("d32-none"), "-o", beside)
	for _, memory := range []string{filepath.Join(dir, "m.soul"), filepath.Join(beside, "m.soul")} {
		succeed(t, "", "run", "-m", model("d32-none"), "-p", "x", "-n", "0", "--memory", memory)
		if text := succeed(t, "", "inspect", memory); !strings.Contains(text, "layer_1") || !strings.Contains(text, "(8, 8)") {
			t.Errorf("a memory: %s", text)
		}
	}
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	greedy := func(m string) string {
		return succeed(t, "", "run", "-m", m, "-p", "the", "--temp", "0", "-n", "30")
	}
	want := greedy(model("d32-delta"))
	from := model("d32-delta")
	for _, to := range []string{"packed.bitt --pack", "dir/", "again.bitt --pack", "floats.bitt --head f32"} {
		args := strings.Fields(to)
		args[0] = filepath.Join(dir, strings.TrimSuffix(args[0], "/")) + strings.Repeat("/", strings.Count(args[0], "/"))
		r := bitgpuRun("", append([]string{"export", "-m", from, "-o"}, args...)...)
		if r.code != 0 || r.out != "" || !strings.Contains(r.err, "kB, from ") {
			t.Fatalf("%+v", r)
		}
		if got := greedy(args[0]); got != want {
			t.Errorf("%s: got %q, want %q", to, got, want)
		}
		from = args[0]
	}
	half := filepath.Join(dir, "half.bitt")
	succeed(t, "", "export", "-m", from, "-o", half, "--pack", "--head", "f16")
	greedy(half)
	a, _ := os.Stat(from)
	b, _ := os.Stat(half)
	if b.Size()*3 > a.Size() {
		t.Errorf("%d bytes packed from %d", b.Size(), a.Size())
	}
}

func TestDevices(t *testing.T) {
	out := succeed(t, "", "devices")
	for _, want := range []string{"CPU: ", "threads", "256 × 8", "512 × 12", "1024 × 24", "to train"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, a := range gpu.Adapters() {
		if !strings.Contains(out, a.Name) {
			t.Errorf("adapter %s is missing", a.Name)
		}
	}
}

func TestFits(t *testing.T) {
	const gb = 1 << 30
	if fits(gb, 2*gb) != "fits" || fits(2*gb, 2*gb) != "no" || fits(gb, 0) != "unknown" {
		t.Error("fits")
	}
	a := gpu.AdapterInfo{Type: gpu.CPU, Limits: gpu.Limits{MaxBufferSize: 1000}}
	if fitsAdapter(a, gb, 1001, 4*gb) != "no: a buffer is too large" || fitsAdapter(a, gb, 999, 4*gb) != "fits" || fitsAdapter(a, 4*gb, 999, 4*gb) != "no" {
		t.Error("fitsAdapter, software")
	}
	for _, c := range [][3]string{{"fits", "fits", "fits"}, {"no", "fits", "recomputed"}, {"no", "no", "no"}, {"unknown", "unknown", "unknown"}} {
		if got := fitsEither(c[0], c[1]); got != c[2] {
			t.Errorf("kept %s, recomputed %s: got %s, want %s", c[0], c[1], got, c[2])
		}
	}
	a.Type = gpu.Discrete
	if fitsAdapter(a, 4*gb, 999, gb) != "fits" {
		t.Error("fitsAdapter: a card has memory of its own")
	}
	c := nn.Config{Vocab: 16384, Width: 256, Layers: 8}.WithDefaults()
	if got := largestTensor(c, 256, false); got != 4*16384*256 {
		t.Errorf("got %d, want the embedding's %d bytes", got, 4*16384*256)
	}
}

func TestByteCount(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 15_240_370: "15.2 MB", 999_999: "1.0 MB", 123_456_789: "123 MB"} {
		if got := units.Bytes(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
