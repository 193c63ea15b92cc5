package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"bitgpu/internal/units"
	"bitgpu/io/safetensors"
	"bitgpu/nn/train"
)

func TestInspectAnyType(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	header := `{"__metadata__":{"from":"\u001b[2J"},"a":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},` +
		`"b":{"dtype":"BOOL","shape":[3],"data_offsets":[16,19]},"c":{"dtype":"U16","shape":[],"data_offsets":[19,21]},` +
		`"d\n":{"dtype":"F8_E4M3","shape":[1,1],"data_offsets":[21,22]}}`
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	if err := os.WriteFile(path, append(data, make([]byte, 22)...), 0o600); err != nil {
		t.Fatal(err)
	}
	out := succeed(t, "", "inspect", path)
	for _, want := range []string{"no model", "F64      (2)     16", "BOOL     (3)     3", "U16      ()      2", `"d\n"   F8_E4M3  (1, 1)  1`, `from: "\x1b[2J"`} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

func TestInspectMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "memory")
	succeed(t, "", "run", "-m", model("d32-none"), "-p", "the", "-n", "3", "--memory", path)
	var r inspection
	if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", path)), &r); err != nil {
		t.Fatal(err)
	}
	if m := r.Memory; m == nil || m.Layers != 2 || m.Tokens < 3 || m.Model == "" {
		t.Errorf("%+v", r)
	}
	want := fmt.Sprintf("memory of a model, %s\n\n2 layers after %d tokens, of the model %s\n", units.Bytes(r.Bytes), r.Memory.Tokens, r.Memory.Model)
	if out := succeed(t, "", "inspect", path); !strings.Contains(out, want) {
		t.Errorf("want %q in %s", want, out)
	}
}

func TestInspectTokens(t *testing.T) {
	dir := t.TempDir()
	text, tok, data := filepath.Join(dir, "text.txt"), filepath.Join(reference, "d32-none", "tokenizer.json"), filepath.Join(dir, "data")
	if err := os.WriteFile(text, []byte("the ship\nthe sea\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	succeed(t, "", "data", "--input", text, "--tokenizer", tok, "--output-dir", data, "--val-ratio", "0", "--document", "line")
	out := succeed(t, "", "inspect", data)
	for _, want := range []string{"directory of tokens", "train.u32: ", " of 2 documents (17 bytes)", "val.u32: 0 tokens", "a document is a line"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	if out := succeed(t, "", "inspect", filepath.Join(data, "train.u32")); !strings.Contains(out, `which is "the ship\n<|endoftext|>the sea\n<|endoftext|>"`) {
		t.Error(out)
	}
	if err := os.WriteFile(filepath.Join(data, "train.u32"), make([]byte, 8), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{data, filepath.Join(data, "train.u32")} {
		refuse(t, exitError, bitgpuRun("", "inspect", path), "train.u32: got 2 tokens, want ")
	}
	bare := filepath.Join(dir, "bare.u16")
	if err := os.WriteFile(bare, []byte{1, 0, 0, 2, 7, 0}, 0o600); err != nil {
		t.Fatal(err)
	}
	var r inspection
	if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", bare)), &r); err != nil {
		t.Fatal(err)
	}
	if want := (&tokensInfo{Count: 3, Bits: 16, Largest: 512, First: []uint32{1, 512, 7}}); !reflect.DeepEqual(r.Tokens, want) {
		t.Errorf("got %+v, want %+v", r.Tokens, want)
	}
	for name, want := range map[string]string{"odd.u32": "got 3 bytes, want a multiple of 4", "none.u32": "no such file"} {
		path := filepath.Join(dir, name)
		if name == "odd.u32" {
			if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		refuse(t, exitError, bitgpuRun("", "inspect", path), path+": "+want)
	}
}

func TestInspectAdapter(t *testing.T) {
	dir := t.TempDir()
	text := writeText(t, filepath.Join(dir, "text.txt"), strings.Repeat("the ship, the sea\n\n", 20))
	beside := filepath.Join(dir, "model") + "/"
	succeed(t, "", "export", "-m", model("d32-none"), "-o", beside)
	for _, path := range []string{filepath.Join(dir, "x.lora.safetensors"), filepath.Join(dir, "x"), filepath.Join(beside, "x.lora.safetensors")} {
		succeed(t, "", "learn", "-m", beside, "--text", text, "-o", path, "--steps", "1", "--rank", "3", "--layers", "up_proj")
		out := succeed(t, "", "inspect", path)
		for _, want := range []string{path + ": low-rank adapter, ", "rank 3, α 6, of 2 matrices, made for " + beside, "lora_A.weight"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q wanted in\n%s", want, out)
			}
		}
		var r inspection
		if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", path)), &r); err != nil || r.Adapter == nil || r.Adapter.Rank != 3 {
			t.Errorf("%+v (%v)", r.Adapter, err)
		}
	}
	state := filepath.Join(dir, "x.training")
	if err := safetensors.WriteFile(state, nil, map[string]string{train.AdaptationKey: "{}"}); err != nil {
		t.Fatal(err)
	}
	if out := succeed(t, "", "inspect", state); !strings.Contains(out, "training of an adapter, with which bitgpu learn --resume goes on") {
		t.Error(out)
	}
	broken := filepath.Join(dir, "x", "adapter_config.json")
	writeText(t, broken, "{")
	refuse(t, exitError, bitgpuRun("", "inspect", filepath.Join(dir, "x")), "adapter_model.safetensors: adapter_config.json: got no JSON object")
}
