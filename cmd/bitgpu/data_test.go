package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bitgpu/io/corpus"
	"bitgpu/io/dataset"
	"bitgpu/io/tokenizer"
)

func writeText(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// textOf decodes a token file back, and counts its documents.
func textOf(t testing.TB, dir, name string) (text string, documents int) {
	t.Helper()
	tok, err := tokenizer.Parse("tokenizer.json", read(t, dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := corpus.OpenTokens(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer tokens.Close()
	ids := make([]uint32, tokens.Len())
	if _, err := tokens.CopyTo(ids, 0); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id == tok.EndOfText()[0] {
			documents++
		}
	}
	return tok.Decode(ids, true), documents
}

// TestVocabAndData turns the same documents, as text, records and packed records, into the same
// tokens, of which nothing is lost.
func TestVocabAndData(t *testing.T) {
	dir := t.TempDir()
	var records strings.Builder
	whole := string(read(t, rhyme(t)))
	text := writeText(t, filepath.Join(dir, "rhyme.txt"), whole)
	for line := range strings.Lines(whole) {
		if line == "\n" {
			continue
		}
		record, err := json.Marshal(map[string]string{"body": line})
		if err != nil {
			t.Fatal(err)
		}
		records.Write(append(record, '\n'))
	}
	plain := writeText(t, filepath.Join(dir, "rhyme.jsonl"), records.String())
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	gz.Write([]byte(records.String()))
	gz.Close()
	zipped := writeText(t, filepath.Join(dir, "rhyme.jsonl.gz"), packed.String())

	vocab, again := filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "again.json")
	out, _ := mustRun(t, "vocab", "--input", text, "-o", vocab, "--vocab-size", "290")
	if out != vocab+": 290 tokens\n" {
		t.Errorf("%q", out)
	}
	mustRun(t, "vocab", "--input", filepath.Join(dir, "*.jsonl"), "--field", "body", "-o", again, "--vocab-size", "290")
	if !json.Valid(read(t, vocab)) || bytes.Equal(read(t, vocab), nil) {
		t.Error("no tokenizer.json")
	}
	mustRun(t, "vocab", "--input", text, "-o", again, "--vocab-size", "290")
	if !bytes.Equal(read(t, vocab), read(t, again)) {
		t.Error("two vocabularies of one text differ")
	}

	lines := filepath.Join(dir, "lines")
	mustRun(t, "data", "--input", text, "--tokenizer", vocab, "--output-dir", lines, "--document", "line", "--val-ratio", "0")
	if got, n := textOf(t, lines, corpus.TrainName); got != whole || n != 400 {
		t.Errorf("got %d lines of %d bytes, want 400 lines that are the text again", n, len(got))
	}
	if info, err := os.Stat(filepath.Join(lines, corpus.ValName)); err != nil || info.Size() != 0 {
		t.Errorf("want an empty val.u32: %v %v", info, err)
	}
	for _, input := range []string{plain, zipped} {
		other := filepath.Join(dir, filepath.Base(input)+".data")
		mustRun(t, "data", "--input", input, "--field", "body", "--tokenizer", vocab, "--output-dir", other, "--val-ratio", "0")
		if got, n := textOf(t, other, corpus.TrainName); got != strings.ReplaceAll(whole, "\n\n", "\n") || n != 400 {
			t.Errorf("%s: other text, %d documents", input, n)
		}
	}

	halves := filepath.Join(dir, "halves")
	mustRun(t, "data", "--input", text, "--document", "block", "--tokenizer", vocab, "--output-dir", halves, "--val-ratio", "0.5")
	meta, err := corpus.ReadMeta(filepath.Join(halves, corpus.MetaName))
	if err != nil {
		t.Fatal(err)
	}
	// Equal documents fall on the same side, so that validation never saw them.
	train, n := textOf(t, halves, corpus.TrainName)
	val, m := textOf(t, halves, corpus.ValName)
	if n+m != 200 || n == 0 || m == 0 || len(train)+len(val) != len(whole) || meta.Train.Bytes != int64(len(train)) || meta.Val.Bytes != int64(len(val)) {
		t.Errorf("%d and %d documents, %d and %d bytes, %+v", n, m, len(train), len(val), meta)
	}
	for block := range strings.SplitSeq(strings.TrimSpace(val), "\n\n") {
		if strings.Contains(train, block) {
			t.Errorf("%q is in training and in validation", block)
		}
	}
}

// TestValInput: the validation text is that of --val-input, all of it, and nothing else.
func TestValInput(t *testing.T) {
	dir := t.TempDir()
	text := rhyme(t)
	whole := string(read(t, text))
	other := writeText(t, filepath.Join(dir, "other.txt"), "a line of its own\nand one more\n")
	vocab, out := filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "tokens")
	mustRun(t, "vocab", "--input", text, "-o", vocab, "--vocab-size", "290")
	mustRun(t, "data", "--input", text, "--val-input", other, "--document", "line", "--tokenizer", vocab, "--output-dir", out)
	if train, n := textOf(t, out, corpus.TrainName); train != whole || n != 400 {
		t.Errorf("got %d lines of %d bytes, want all of the text for training", n, len(train))
	}
	if val, n := textOf(t, out, corpus.ValName); val != string(read(t, other)) || n != 2 {
		t.Errorf("got %q, want the other text for validation", val)
	}
	if meta, err := corpus.ReadMeta(filepath.Join(out, corpus.MetaName)); err != nil || meta.ValRatio != 0 || meta.Val.Documents != 2 {
		t.Errorf("%+v, %v", meta, err)
	}
	fails(t, exitUsage, "--val-ratio: --val-input is the validation text", "data", "--input", text, "--val-input", other,
		"--val-ratio", "0.1", "--tokenizer", vocab, "--output-dir", out)
	fails(t, exitError, "--val-input: nowhere.txt: no such file", "data", "--input", text, "--val-input", "nowhere.txt",
		"--tokenizer", vocab, "--output-dir", out)
}

func TestDataRefusals(t *testing.T) {
	dir := t.TempDir()
	text := rhyme(t)
	vocab := filepath.Join(dir, "tokenizer.json")
	mustRun(t, "vocab", "--input", text, "-o", vocab, "--vocab-size", "290")
	blank := writeText(t, filepath.Join(dir, "blank.txt"), "\n\n")
	noEnd := writeText(t, filepath.Join(dir, "noend.json"), strings.ReplaceAll(string(read(t, vocab)), "<|endoftext|>", "<|other|>"))
	other := writeText(t, filepath.Join(dir, "other.json"), "{\"version\": \"1.0\"}\n")
	cases := []struct {
		want string
		args []string
	}{
		{"no such file", []string{"vocab", "--input", "nowhere.txt", "-o", filepath.Join(dir, "x.json")}},
		{"no file matches", []string{"vocab", "--input", filepath.Join(dir, "*.none"), "-o", filepath.Join(dir, "x.json")}},
		{"--input: " + blank + ": there is no text in it", []string{"vocab", "--input", blank, "-o", filepath.Join(dir, "x.json")}},
		{"vocab: --vocab-size: got 10, want 258 or more", []string{"vocab", "--input", text, "--vocab-size", "10", "-o", filepath.Join(dir, "x.json")}},
		{"--document: got \"page\", want line, block or file", []string{"vocab", "--input", text, "--document", "page", "-o", filepath.Join(dir, "x.json")}},
		{"--input: " + blank + ": there is no text in it", []string{"data", "--input", blank, "--tokenizer", vocab, "--output-dir", filepath.Join(dir, "d")}},
		{"--val-ratio: got 1.5, want 0 to below 1", []string{"data", "--input", text, "--tokenizer", vocab, "--val-ratio", "1.5", "--output-dir", filepath.Join(dir, "d")}},
		{"--bpe-dropout: got 1, want 0 to below 1", []string{"data", "--input", text, "--tokenizer", vocab, "--bpe-dropout", "1", "--output-dir", filepath.Join(dir, "d")}},
		{"--copies has nothing to act on: it is for --bpe-dropout", []string{"data", "--input", text, "--tokenizer", vocab, "--copies", "2", "--output-dir", filepath.Join(dir, "d")}},
		{"no token that ends a text", []string{"data", "--input", text, "--tokenizer", noEnd, "--output-dir", filepath.Join(dir, "d")}},
		{"bitgpu: --tokenizer: nowhere.json: no such file", []string{"data", "--input", text, "--tokenizer", "nowhere.json", "--output-dir", filepath.Join(dir, "d")}},
		{"bitgpu: --data: nowhere.txt: no such file", []string{"eval", "-m", model("d32-none"), "--data", "nowhere.txt"}},
		{"--batch-size: got 0, want 1 to 1048576", []string{"eval", "-m", model("d32-none"), "--data", text, "--batch-size", "0"}},
		{"the vocabulary ends at 299", []string{"eval", "-m", model("d32-none"), "--data", foreignTokens(t)}},
		{"one.u32: got 1 tokens, want at least 2", []string{"eval", "-m", model("d32-none"), "--data", tokenFile(t, "one.u32", 1)}},
		{"bitgpu: plot: nowhere: no such file", []string{"plot", "-o", filepath.Join(dir, "x.png"), "nowhere"}},
		{"not a step's metrics", []string{"plot", "-o", filepath.Join(dir, "x.png"), text}},
		{`got JSON without "step" and "loss"`, []string{"plot", "-o", filepath.Join(dir, "x.png"), other}},
	}
	for _, c := range cases {
		r := bitgpuRun("", c.args...)
		if r.code == 0 || !strings.HasPrefix(r.err, "bitgpu: ") || !strings.Contains(r.err, c.want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("bitgpu %q: got exit code %d and %q, want %q", c.args, r.code, r.err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "d", corpus.MetaName)); err == nil {
		t.Error("a refused data directory has a meta.json")
	}
}

// TestDataFailsWhole: a run of `bitgpu data` that fails, or is stopped, leaves the data that were there.
func TestDataFailsWhole(t *testing.T) {
	dir, text := t.TempDir(), rhyme(t)
	vocab, out := filepath.Join(dir, "tokenizer.json"), filepath.Join(dir, "tokens")
	mustRun(t, "vocab", "--input", text, "-o", vocab, "--vocab-size", "290")
	mustRun(t, "data", "--input", text, "--tokenizer", vocab, "--output-dir", out)
	names := []string{corpus.TrainName, corpus.ValName, corpus.MetaName, "tokenizer.json"}
	before := map[string]string{}
	for _, name := range names {
		before[name] = string(read(t, out, name))
	}
	intact := func(what string) {
		t.Helper()
		entries, err := os.ReadDir(out)
		if err != nil || len(entries) != len(names) {
			t.Errorf("%s: %v %v", what, entries, err)
		}
		for _, name := range names {
			if string(read(t, out, name)) != before[name] {
				t.Errorf("%s: %s has changed", what, name)
			}
		}
	}
	broken := writeText(t, filepath.Join(dir, "broken.jsonl"), "{\"text\":\"One\"}\nno record\n")
	for _, input := range []string{"none.txt", broken, writeText(t, filepath.Join(dir, "blank.txt"), "\n")} {
		fails(t, exitError, "--input: "+input+": ", "data", "--input", input, "--tokenizer", vocab, "--output-dir", out)
		intact(input)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	docs := corpus.Documents([]string{text}, corpus.Options{Mode: corpus.Line})
	if _, err := dataset.Write(ctx, out, vocab, read(t, vocab), dataset.Source{Docs: docs, Mode: corpus.Line}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	intact("stopped")
	if _, _, err := dataset.Vocabulary(ctx, docs, 300, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := dataset.Write(ctx, filepath.Join(dir, "a", "b"), vocab, read(t, vocab), dataset.Source{Docs: docs, Mode: corpus.Line}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); err == nil {
		t.Error("an empty directory is left")
	}
}

// TestFlagsNamed: what is wrong with a flag or its file is said with the flag's name, once.
func TestFlagsNamed(t *testing.T) {
	dir, text := t.TempDir(), rhyme(t)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "bitgpu: vocab: --vocab-size: got -5, want 258 or more, room for 256 bytes and 2 special tokens", []string{"vocab", "--input", text, "--vocab-size", "-5"}},
		{exitUsage, "bitgpu: vocab: --min-frequency: got -5, want 0 or more", []string{"vocab", "--input", text, "--min-frequency", "-5"}},
		{exitUsage, "bitgpu: train: --vocab-size: got 100, want 258 or more", small("--data", text, "--vocab-size", "100")},
		{exitUsage, "bitgpu: train: --ttt-chunk: got 0, want 1 or more", small("--data", text, "--ttt-chunk", "0")},
		{exitUsage, "bitgpu: train: --val-ratio: got 2, want 0 to below 1", small("--data", text, "--val-ratio", "2")},
		{exitUsage, "bitgpu: train: --layers: got 0, want 1 to 4096", small("--data", text, "--layers", "0")},
		{exitUsage, "bitgpu: train: --inner-lr: got -1, want a float32 that is not negative", small("--data", text, "--inner-lr", "-1")},
		{exitUsage, `bitgpu: train: --weight-scale: got "x", want "none" or "absmean"`, small("--data", text, "--weight-scale", "x")},
		{exitUsage, `bitgpu: train: --ttt-rule: got "minibatch", the "delta" mixer knows`, small("--data", text, "--mixer", "delta", "--ttt-rule", "minibatch")},
		{exitUsage, "bitgpu: train: --vocab-size: got 0, want 1 to ", small("--benchmark", "--vocab-size", "0")},
		{exitError, "bitgpu: --data: none.txt: no such file", small("--data", "none.txt")},
		{exitError, "bitgpu: --data: none.u32: no such file", small("--data", "none.u32")},
		{exitError, "bitgpu: --tokenizer: none.json: no such file", small("--data", text, "--tokenizer", "none.json")},
		{exitError, "bitgpu: --input: none.txt: no such file", []string{"vocab", "--input", "none.txt"}},
		{exitError, "bitgpu: --output-dir: " + text + ": ", small("--data", text, "--output-dir", text)},
		{exitError, "bitgpu: plot: " + filepath.Join(dir, "metrics.jsonl") + ": no such file", []string{"plot", dir}},
	} {
		args := c.args
		if args[0] == "train" && !slices.Contains(args, "--output-dir") {
			args = append(args, "--output-dir", filepath.Join(dir, "run"))
		}
		r := bitgpuRun("", args...)
		if r.code != c.code || !strings.HasPrefix(r.err, c.want) {
			t.Errorf("bitgpu %q: got exit code %d and %q, want %d and %q", args, r.code, r.err, c.code, c.want)
		}
	}
}

// A model's tokenizer is not exchanged for another; beside its own, tokens may lie.
func TestDataSparesModels(t *testing.T) {
	dir := t.TempDir()
	m, text := filepath.Join(dir, "model")+"/", writeText(t, filepath.Join(dir, "text.txt"), strings.Repeat("the ship\n\n", 9))
	mustRun(t, "export", "-m", model("d32-none"), "-o", m)
	own, err := os.ReadFile(filepath.Join(m, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.json")
	mustRun(t, "vocab", "--input", text, "--vocab-size", "260", "-o", other)
	refuse(t, exitError, bitgpuRun("", "data", "--input", text, "--tokenizer", other, "--output-dir", m), "--output-dir: "+m+": got the directory of a model")
	if now, err := os.ReadFile(filepath.Join(m, "tokenizer.json")); err != nil || !bytes.Equal(now, own) {
		t.Errorf("the model's tokenizer is another (%v)", err)
	}
	mustRun(t, "data", "--input", text, "--tokenizer", filepath.Join(m, "tokenizer.json"), "--output-dir", m)
}

// A pattern that goes back and forth without end is an error of the first text that it meets, not of all.
func TestOneTextIsEnough(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(reference, "d32-none", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	var parts map[string]any
	if err := json.Unmarshal(file, &parts); err != nil {
		t.Fatal(err)
	}
	parts["pre_tokenizer"] = map[string]any{"type": "Split", "pattern": map[string]any{"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false}
	if file, err = json.Marshal(parts); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tok, text := filepath.Join(dir, "t.json"), writeText(t, filepath.Join(dir, "text.txt"), strings.Repeat(strings.Repeat("a", 60)+"!\n\n", 5000))
	writeText(t, tok, string(file))
	refuse(t, exitError, bitgpuRun("", "data", "--input", text, "--tokenizer", tok, "--output-dir", filepath.Join(dir, "out")), `regex "(a+)+$" goes back and forth too often`)
}
