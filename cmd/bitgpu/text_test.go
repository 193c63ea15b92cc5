package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"bitgpu/io/corpus"

	"github.com/urfave/cli/v2"
)

// reading are the commands that read text, as they are given it at text.
func reading(t *testing.T, text string) map[string][]string {
	dir := t.TempDir()
	tok := filepath.Join(dir, "tokenizer.json")
	mustRun(t, "vocab", "--input", rhyme(t), "-o", tok, "--vocab-size", "290")
	return map[string][]string{
		"vocab": {"vocab", "--input", text, "-o", filepath.Join(dir, "other.json"), "--vocab-size", "290"},
		"data":  {"data", "--input", text, "--tokenizer", tok, "--output-dir", filepath.Join(dir, "data")},
		"train": {"train", "--data", text, "--backend", "cpu", "--dim", "32", "--layers", "1", "--context-len", "16", "--batch-size", "2", "--steps", "1",
			"--vocab-size", "290", "--output-dir", filepath.Join(dir, "run"), "--val-every", "0"},
		"eval": {"eval", "-m", model("d36-absmean"), "--backend", "cpu", "--context-len", "16", "--batch-size", "1", "--data", text},
	}
}

// TestWhatIsText: the commands that read text refuse the same files with the same words, and read the same documents.
func TestWhatIsText(t *testing.T) {
	dir := t.TempDir()
	latin := writeText(t, filepath.Join(dir, "latin1.txt"), strings.Repeat("caf\xe9 cr\xe8me\n", 100))
	table := writeText(t, filepath.Join(dir, "docs.parquet"), "PAR1\x15\x04\x15\x10")
	slips := writeText(t, filepath.Join(dir, "slips.txt"), string(read(t, rhyme(t)))+"caf\xe9\n")
	for name, args := range reading(t, latin) {
		const refusal = "200 of 1100 bytes (18.2 %) are not UTF-8, at most 1 % are taken for slips; want text in UTF-8, " +
			"as from iconv -f LATIN1 -t UTF-8 if it is Latin-1, or --allow-invalid-utf8"
		fails(t, exitError, latin+": "+refusal, args...)
		_, said := mustRun(t, append(args, "--allow-invalid-utf8")...)
		if want := latin + ": 200 of 1100 bytes (18 %) are not UTF-8 and are read as U+FFFD"; strings.Count(said, want) != 1 {
			t.Errorf("%s said %q, want %q once", name, said, want)
		}
	}
	for _, args := range reading(t, table) {
		fails(t, exitError, table+": is a Parquet table, want its texts as .txt or .jsonl", args...)
	}
	for name, args := range reading(t, slips) {
		if _, said := mustRun(t, args...); strings.Count(said, slips+": 1 of ") != 1 {
			t.Errorf("%s said %q, want that a byte is not UTF-8, once", name, said)
		}
	}
}

// TestDocumentMeansTheSame: the flag has one default and one meaning.
func TestDocumentMeansTheSame(t *testing.T) {
	found := 0
	for _, command := range newApp(nil, io.Discard, io.Discard).Commands {
		for _, flag := range command.Flags {
			if f, ok := flag.(*cli.StringFlag); ok && f.Name == "document" {
				found++
				if f.Value != string(corpus.Block) {
					t.Errorf("%s: got %q, want a block", command.Name, f.Value)
				}
			}
		}
	}
	if found != 5 {
		t.Errorf("got %d commands with --document, want 5", found)
	}
}

// TestTokenizeRefusesNull: null is no string, and a character that the tokenizer cannot write is named.
func TestTokenizeRefusesNull(t *testing.T) {
	refuse(t, exitError, bitgpuRun("null\n", "tokenize", "--jsonl"), `line 1: got "null", want a JSON string`)
	dir := t.TempDir()
	tok := writeText(t, filepath.Join(dir, "tokenizer.json"), `{"added_tokens": [{"id": 1, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
		"rstrip": false, "normalized": false, "special": true}], "model": {"type": "BPE", "unk_token": null, "vocab": {"a": 0}, "merges": []}}`)
	text := writeText(t, filepath.Join(dir, "text.txt"), "aaza\n")
	fails(t, exitError, text+`: the document that begins with "aaza": tokenizer: `+tok+`: the vocabulary has no token for the character 'z' (U+007A)`,
		"data", "--input", text, "--tokenizer", tok, "--output-dir", filepath.Join(dir, "out"))
}
