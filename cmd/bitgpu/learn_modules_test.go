package main

import (
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/nn/storage/public/publictest"
)

// Norms and tables that are trained as a whole, of our own models and of public ones, are in the adapter, make the text
// cheaper, are gone on from, and are shown.
func TestLearnModules(t *testing.T) {
	text := proverbs(t)
	for _, c := range []struct{ name, path, modules, shown string }{
		{"ours", model("d32-delta"), "norms,embed,lm_head", "holds as a whole: embed, norm1, ttt.norm, norm2, norm_f, lm_head\n"},
		{"one table", model("d32-tied-head"), "norms,embed,lm_head", "holds as a whole: embed, lm_head, norm1, norm2, norm_f\n"},
		{"qwen3", publictest.File(t, "qwen3"), "norms,q_norm,embed_tokens", "holds as a whole: embed_tokens, lm_head, input_layernorm, q_norm, k_norm, post_attention_layernorm, model.norm\n"},
		{"qwen35", publictest.File(t, "qwen35"), "norms", "holds as a whole: input_layernorm, linear_attn.norm, post_attention_layernorm, q_norm, k_norm, model.norm\n"},
	} {
		dir := t.TempDir()
		out, next := filepath.Join(dir, "x"), filepath.Join(dir, "next.safetensors")
		line := []string{"learn", "-m", c.path, "--text", text, "--steps", "8", "--context", "32", "--backend", "cpu", "-o"}
		succeed(t, "", append(line, out, "--modules-to-save", c.modules)...)
		succeed(t, "", append(line, filepath.Join(dir, "plain"))...)
		with, without := evaluated(t, c.path, "--data", text, "--batch-size", "1", "--lora", out), evaluated(t, c.path, "--data", text, "--batch-size", "1", "--lora", filepath.Join(dir, "plain"))
		if !(with.Loss < without.Loss-0.01) {
			t.Errorf("%s: got the loss %v, want less than the %v of an adapter of matrices alone", c.name, with.Loss, without.Loss)
		}
		if r := succeed(t, "", "inspect", filepath.Join(out, "adapter_model.safetensors")); !strings.Contains(r, c.shown) {
			t.Errorf("%s: got %s, want %q", c.name, r, c.shown)
		}
		succeed(t, "", append(line, next, "--lora", out)...)
		if on := evaluated(t, c.path, "--data", text, "--batch-size", "1", "--lora", next); !(on.Loss < with.Loss) {
			t.Errorf("%s: what goes on has the loss %v, want less than %v", c.name, on.Loss, with.Loss)
		}
		refuse(t, exitUsage, bitgpuRun("", "run", "-m", c.path, "-p", "A", "--lora", out+"=0.5", "--backend", "cpu"), "got the weight 0.5, want 1")
		refuse(t, exitUsage, bitgpuRun("", "run", "-m", c.path, "-p", "A", "--lora", out, "--lora", next, "--backend", "cpu"), "which another adapter holds too")
		refuse(t, exitError, bitgpuRun("", append(line, out, "--modules-to-save", "down_proj")...), `--modules-to-save: got "down_proj", want norms or names`)
		refuse(t, exitUsage, bitgpuRun("", append(line, out, "--modules-to-save", "norms", "--merge")...), "--modules-to-save has nothing to act on")
	}
}
