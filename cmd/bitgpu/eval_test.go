package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bitgpu/nn"
	"bitgpu/nn/train/device"

	"github.com/google/go-cmp/cmp"
)

// evaluated measures a model with more flags.
func evaluated(t testing.TB, m string, more ...string) evalReport {
	t.Helper()
	return reportOf(t, append([]string{"eval", "-m", m, "--json", "--backend", "cpu", "--context-len", "16", "--batch-size", "2"}, more...)...)
}

// reportOf is what eval --json writes, without the time.
func reportOf(t testing.TB, args ...string) evalReport {
	t.Helper()
	out, _ := mustRun(t, args...)
	var r evalReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	r.TokensPerSecond = 0
	return r
}

// TestEvalReadsText: text is read as vocab, data and train read it, packed, as records or by a glob,
// and its bytes are those of the text.
func TestEvalReadsText(t *testing.T) {
	dir := t.TempDir()
	m := model("d36-absmean")
	const first, second = "One for the master,\n", "two for the dame.\n"
	plain := writeText(t, filepath.Join(dir, "a.txt"), first+second)
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write([]byte(first + second))
	gz.Close()
	want := evaluated(t, m, "--data", plain)
	if want.Bytes != int64(len(first+second)) {
		t.Errorf("got %+v, want %d bytes", want, len(first+second))
	}
	if got := evaluated(t, m, "--data", writeText(t, filepath.Join(dir, "a.txt.gz"), packed.String())); *got.BitsPerByte != *want.BitsPerByte || got.Tokens != want.Tokens {
		t.Errorf("packed: got %+v, want %+v", got, want)
	}
	records := writeText(t, filepath.Join(dir, "a.jsonl"), `{"body":"One for the master,\n"}`+"\n"+`{"body":"two for the dame.\n"}`+"\n")
	writeText(t, filepath.Join(dir, "1.part"), first)
	writeText(t, filepath.Join(dir, "2.part"), second)
	lines := evaluated(t, m, "--data", plain, "--document", "line")
	for name, got := range map[string]evalReport{
		"records": evaluated(t, m, "--data", records, "--field", "body"),
		"a glob":  evaluated(t, m, "--data", filepath.Join(dir, "*.part")),
	} {
		if got.Bytes != want.Bytes || got.Tokens != lines.Tokens || math.Abs(got.Loss-lines.Loss) > 1e-6 {
			t.Errorf("%s: got %+v, want what the lines of %s give, %+v", name, got, plain, lines)
		}
	}
	blank := writeText(t, filepath.Join(dir, "blank.txt"), "\n \n")
	fails(t, exitError, "--data: "+blank+": there is no text in it", "eval", "-m", m, "--data", blank)
	fails(t, exitError, "--data: "+records+`: line 1: no field "text"`, "eval", "-m", m, "--data", records)
	tokens := tokenFile(t, "some.u32", 50)
	fails(t, exitUsage, "eval: --field has nothing to act on: "+tokens+" holds tokens", "eval", "-m", m, "--data", tokens, "--field", "body")
	fails(t, exitError, "--data: "+dir+" has no meta.json", "eval", "-m", m, "--data", dir)
}

// TestEvalTakesWhatTheTextNeeds: rows longer than the text, and more of them, change nothing and take no memory.
func TestEvalTakesWhatTheTextNeeds(t *testing.T) {
	m := model("d36-absmean")
	text := writeText(t, filepath.Join(t.TempDir(), "tiny.txt"), "one document only with few words\n")
	want := evaluated(t, m, "--data", text, "--context-len", "100", "--batch-size", "1")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, more := range [][]string{{"--context-len", "262144"}, {"--batch-size", "1048576", "--context-len", "4096"}} {
		if got := evaluated(t, m, append([]string{"--data", text}, more...)...); !cmp.Equal(got, want) {
			t.Errorf("%v: got %+v, want %+v", more, got, want)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("%d bytes were allocated for %d tokens", took, want.Tokens)
	}
}

// TestTooMuch: what does not fit is told in one sentence, before memory is taken for it.
func TestTooMuch(t *testing.T) {
	c := nn.Config{Vocab: 1 << 20, Width: 1024, Layers: 2}.WithDefaults()
	b := &device.Device{Room: 20e9}
	if err := b.CheckEvaluation(c, 8, 128); err != nil {
		t.Error(err)
	}
	for _, shape := range [][2]int{{8, 1 << 20}, {1 << 30, 1 << 30}} {
		err := withAdvice(b.CheckEvaluation(c, shape[0], shape[1]), "--batch-size or --context-len")
		if err == nil || !strings.Contains(err.Error(), "of memory, and 20.0 GB are free; a smaller --batch-size or --context-len takes less") {
			t.Errorf("%v: got %v, want a refusal", shape, err)
		}
	}
	if err := checkLogits(1000, 1024, 20e9); err != nil {
		t.Error(err)
	}
	for _, tokens := range []int{8e6, math.MaxInt} {
		if err := checkLogits(tokens, 1024, 20e9); err == nil || !strings.Contains(err.Error(), "of memory, and 20.0 GB are free") {
			t.Errorf("%d tokens: got %v, want a refusal", tokens, err)
		}
	}
}
