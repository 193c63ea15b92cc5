package public

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn/storage/public/publictest"
)

// shape are the sizes of a Qwen3, and the type of its embedding, 0 that of its other matrices.
type shape struct {
	width, mlp, layers, heads, kv, head, vocab int
	table                                      ggml.Type
}

// shapes are those of Ternary-Bonsai's models, one of about 200 MB, one that is mostly an embedding, and one of as many weights
// as BitNet 2B4T.
var shapes = map[string]shape{
	"200MB":  {2048, 6144, 12, 16, 8, 128, 65_536, 0},
	"1.7B":   {2048, 6144, 28, 16, 8, 128, 151_936, 0},
	"tables": {1024, 1024, 2, 8, 8, 128, 32_768, ggml.Q6_K},
	"2B4T":   {2560, 6912, 30, 20, 5, 128, 128_256, ggml.Q6_K},
}

// writeRandom writes a GGUF file of random ternary weights and gives its size.
func writeRandom(t testing.TB, path string, s shape, typ ggml.Type) int64 {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	weights, each := typ.Layout().Block()
	piece := make([]byte, each*1999) // blocks, the same ones again and again
	for i := range piece {           // in every byte four codes below 3, and no float16 that is not finite
		for j := range 4 {
			piece[i] |= byte(r.IntN(3)) << (2 * j)
		}
		if typ != ggml.PTQ1_0 && i%each < 2 && typ != ggml.TQ2_0 || i%each >= each-2 && (typ == ggml.PTQ1_0 || typ == ggml.TQ2_0) {
			piece[i] = 0x2c
		}
	}
	var tensors []gguf.Source
	matrix := func(name string, rows, cols int) {
		tensors = append(tensors, gguf.Source{Name: name, Type: typ, Shape: []int{rows, cols}, Write: func(w io.Writer) error {
			for left := rows * cols / weights * each; left > 0; left -= min(left, len(piece)) {
				if _, err := w.Write(piece[:min(left, len(piece))]); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	gain := func(name string, n int) {
		one := make([]byte, 4*n)
		for i := range n {
			copy(one[4*i:], []byte{0, 0, 0x80, 0x3f})
		}
		tensors = append(tensors, gguf.Source{Name: name, Type: ggml.F32, Shape: []int{n}, Write: gguf.Bytes(one)})
	}
	if s.table == 0 {
		matrix("token_embd.weight", s.vocab, s.width)
	} else {
		tensors = append(tensors, publictest.Quants(r, "token_embd.weight", s.table, s.vocab, s.width))
	}
	gain("output_norm.weight", s.width)
	for i := range s.layers {
		b := fmt.Sprintf("blk.%d.", i)
		gain(b+"attn_norm.weight", s.width)
		gain(b+"ffn_norm.weight", s.width)
		gain(b+"attn_q_norm.weight", s.head)
		gain(b+"attn_k_norm.weight", s.head)
		matrix(b+"attn_q.weight", s.heads*s.head, s.width)
		matrix(b+"attn_k.weight", s.kv*s.head, s.width)
		matrix(b+"attn_v.weight", s.kv*s.head, s.width)
		matrix(b+"attn_output.weight", s.width, s.heads*s.head)
		matrix(b+"ffn_gate.weight", s.mlp, s.width)
		matrix(b+"ffn_up.weight", s.mlp, s.width)
		matrix(b+"ffn_down.weight", s.width, s.mlp)
	}
	u := func(n int) uint32 { return uint32(n) }
	keys := []gguf.Key{
		{Name: "general.architecture", Value: "qwen3"}, {Name: "qwen3.block_count", Value: u(s.layers)},
		{Name: "qwen3.embedding_length", Value: u(s.width)}, {Name: "qwen3.feed_forward_length", Value: u(s.mlp)},
		{Name: "qwen3.attention.head_count", Value: u(s.heads)}, {Name: "qwen3.attention.head_count_kv", Value: u(s.kv)},
		{Name: "qwen3.attention.key_length", Value: u(s.head)}, {Name: "qwen3.context_length", Value: u(4096)},
		{Name: "qwen3.attention.layer_norm_rms_epsilon", Value: float32(1e-6)}, {Name: "qwen3.rope.freq_base", Value: float32(1e6)},
	}
	if err := gguf.WriteFile(path, keys, tensors); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// peakRSS is the most memory that this process has had in use, of its own and of mapped files, in bytes.
func peakRSS(t testing.TB) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// While a file is loaded no more memory is in use than 1.15 times its size and 300 MB.
func TestMemoryWhileLoading(t *testing.T) {
	const name = "BITGPU_TEST_LOAD"
	if path := os.Getenv(name); path != "" {
		start := time.Now()
		m, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("peak %d %v\n", peakRSS(t), time.Since(start))
		runtime.KeepAlive(m)
		return
	}
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("writes a file of 200 MB, and reads /proc")
	}
	size, peak := whileLoading(t, name, shapes["200MB"], ggml.PQ2_0)
	if most := size*115/100 + 300e6; peak > most {
		t.Errorf("%d bytes in use for a file of %d, want at most %d", peak, size, most)
	}
	// Of a small file with a table that would be five times as large in float32, what the program takes by itself says nothing.
	least := shapes["tables"]
	least.vocab = 256
	own, without := whileLoading(t, name, least, ggml.TQ2_0)
	size, peak = whileLoading(t, name, shapes["tables"], ggml.TQ2_0)
	if more, most := peak-without, (size-own)*115/100+16e6; more > most {
		t.Errorf("%d bytes in use for a table of %d, want at most %d", more, size-own, most)
	}
}

// whileLoading writes a file and loads it in a process of its own; it gives the file's size and the most memory in use.
func whileLoading(t *testing.T, name string, s shape, typ ggml.Type) (size, peak int64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "random.gguf")
	size = writeRandom(t, path, s, typ)
	child := exec.Command(os.Args[0], "-test.run=^TestMemoryWhileLoading$", "-test.v")
	child.Env = append(os.Environ(), name+"="+path)
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var took string
	_, rest, _ := strings.Cut(string(out), "peak ")
	if _, err := fmt.Sscan(rest, &peak, &took); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	t.Logf("a file of %d MB: %d MB at most, in %s", size/1e6, peak/1e6, took)
	return size, peak
}

// BenchmarkLoad loads files of a size that BITGPU_TEST_SHAPE names, one of shapes, and says what the processors took, too.
func BenchmarkLoad(b *testing.B) {
	s, ok := shapes[os.Getenv("BITGPU_TEST_SHAPE")]
	if !ok {
		s = shapes["200MB"]
	}
	for _, typ := range []ggml.Type{ggml.PQ2_0, ggml.Q2_0, ggml.TQ2_0, ggml.PTQ1_0} {
		b.Run(typ.String(), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "random.gguf")
			b.SetBytes(writeRandom(b, path, s, typ))
			before := processorSeconds()
			for b.Loop() {
				if _, err := Open(path, Options{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processorSeconds()-before)/float64(b.N), "cpu-s/op")
		})
	}
}
