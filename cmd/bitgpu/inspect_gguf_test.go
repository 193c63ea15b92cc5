package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/ggml"
	"bitgpu/io/gguf"
	"bitgpu/nn/storage/public/publictest"
)

func TestInspectGGUF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	key := func(name string, value any) gguf.Key { return gguf.Key{Name: name, Value: value} }
	keys := []gguf.Key{
		key("general.architecture", "qwen3"), key("tokenizer.ggml.tokens", make([]string, 1000)), key("tokenizer.chat_template", strings.Repeat("\x1b", 300)),
		key("odd\nkey", uint8(1)),
	}
	tensors := []gguf.Source{
		{Name: "token_embd.weight", Type: ggml.PQ2_0, Shape: []int{4, 256}, Write: gguf.Bytes(make([]byte, 272))},
		{Name: "odd\x1bname", Type: ggml.Q6_K, Shape: []int{256}, Write: gguf.Bytes(make([]byte, 210))},
		{Name: "binary", Type: ggml.Q1_0, Shape: []int{128}, Write: gguf.Bytes(make([]byte, 18))},
	}
	if err := gguf.WriteFile(path, keys, tensors); err != nil {
		t.Fatal(err)
	}
	text := succeed(t, "", "inspect", path)
	for _, want := range []string{
		"GGUF file of version 3", `general.architecture: "qwen3"`, `tokenizer.ggml.tokens: 1000 string ["", "", "", "", "", "", …]`, "(300 bytes)",
		`"odd\nkey": 1`, "token_embd.weight  PQ2_0  (4, 256)  272", `"odd\x1bname"      Q6_K   (256)     210`, "binary             Q1_0   (128)     18",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("the listing has a control character of the file")
	}
	var r inspection
	if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", path)), &r); err != nil {
		t.Fatal(err)
	}
	if r.Parameters != 4*256+256+128 || len(r.Tensors) != 3 || r.Metadata["general.architecture"] != `"qwen3"` {
		t.Errorf("%+v", r)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-20], 0o644); err != nil {
		t.Fatal(err)
	}
	refuse(t, 1, bitgpuRun("", "inspect", path), "gguf: "+path+": the file ends too early: tensor binary takes 18 bytes")
}

// A public model in a .bitt file is described as in the file that it was made of.
func TestInspectPackedPublicModel(t *testing.T) {
	for _, family := range publictest.Families {
		from := publictest.File(t, family)
		to := filepath.Join(t.TempDir(), "m.bitt")
		succeed(t, "", "export", "-m", from, "-o", to)
		text := succeed(t, "", "inspect", to)
		for _, want := range []string{".bitt model, which bitgpu runs", "family          qwen3", "chat template   yes", "ends of a text  257 <|im_end|>", "embed.weight"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: want %q in\n%s", family, want, text)
			}
		}
		var a, b inspection
		for path, r := range map[string]*inspection{from: &a, to: &b} {
			if err := json.Unmarshal([]byte(succeed(t, "", "inspect", "--json", path)), r); err != nil {
				t.Fatal(err)
			}
		}
		if a.Parameters != b.Parameters || a.TokenizerSize != b.TokenizerSize || a.Public.StateBytes != b.Public.StateBytes {
			t.Errorf("%s: got %+v, want the sizes of %+v", family, b, a)
		}
	}
}
