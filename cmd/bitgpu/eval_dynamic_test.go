package main

import (
	"math"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/storage/public/publictest"
)

// Learning while reading at a rate of 0 is reading: of our models and of a public one. With a rate, text that repeats costs
// less, and what an adapter has learned before counts.
func TestEvalDynamic(t *testing.T) {
	text := writeText(t, filepath.Join(t.TempDir(), "rhyme.txt"), strings.Repeat("One for the master, two for the dame, three for the lane. ", 30))
	for name, m := range map[string]string{"our own": model("d36-absmean"), "public": publictest.File(t, "qwen3")} {
		measure := func(more ...string) evalReport {
			return evaluated(t, m, append([]string{"--batch-size", "1", "--data", text}, more...)...)
		}
		dynamic := func(more ...string) evalReport {
			args := append([]string{"eval", "-m", m, "--json", "--backend", "cpu", "--context-len", "16", "--dynamic", "--data", text}, more...)
			return reportOf(t, args...)
		}
		plain, still, learning := measure(), dynamic("--lr", "0"), dynamic()
		if still.Tokens != plain.Tokens || math.Abs(still.Loss-plain.Loss) > 1e-5 || still.Accuracy != plain.Accuracy || *still.BitsPerByte-*plain.BitsPerByte > 1e-5 {
			t.Errorf("%s: at a rate of 0 got %+v, want %+v", name, still, plain)
		}
		if !(learning.Loss < plain.Loss-0.5) {
			t.Errorf("%s: got %v nats a token while learning, want far less than %v", name, learning.Loss, plain.Loss)
		}
		lora := filepath.Join(t.TempDir(), "rhyme.lora.safetensors")
		mustRun(t, "learn", "-m", m, "--text", text, "-o", lora, "--steps", "5", "--context", "16", "--backend", "cpu")
		if learned := dynamic("--lora", lora); !(learned.Loss < learning.Loss) {
			t.Errorf("%s: got %v with an adapter, want less than %v", name, learned.Loss, learning.Loss)
		}
	}
	fails(t, exitUsage, "--lr has nothing to act on: it is for --dynamic", "eval", "--data", text, "--lr", "1e-3")
	fails(t, exitUsage, "--batch-size has nothing to act on: --dynamic reads one sequence after another", "eval", "--data", text, "--dynamic", "--batch-size", "4")
}
