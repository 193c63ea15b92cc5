package corpus

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// count writes a token file with the ids 0 … n−1 and opens it.
func count(t testing.TB, name string, n int) *Tokens {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := CreateTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	for i := range n {
		if err := w.Append(uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	tokens, err := OpenTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tokens.Close() })
	return tokens
}

func TestTokens(t *testing.T) {
	for name, want := range map[string][]uint32{
		"a.u32": {0, 1, 65536, 4294967295},
		"a.u16": {0, 1, 65535},
		"b.U16": {7},
	} {
		path := filepath.Join(t.TempDir(), name)
		w, err := CreateTokens(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Append(want[0]); err != nil {
			t.Fatal(err)
		}
		if err := w.Append(want[1:]...); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Error("the file is there before it is whole")
		}
		if got := w.Fingerprint().Tokens; got != int64(len(want)) {
			t.Errorf("counted %d tokens, want %d", got, len(want))
		}
		if err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		w.Discard()
		tokens, err := OpenTokens(path)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]uint32, 10)
		n, err := tokens.CopyTo(got, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[:n]); diff != "" || tokens.Len() != len(want) {
			t.Error(diff, tokens.Len())
		}
		last := len(want) - 1
		one, err := tokens.CopyTo(got, last)
		if err != nil || one != 1 || got[0] != want[last] {
			t.Errorf("got %d tokens and %v, want the last", one, err)
		}
		if none, err := tokens.CopyTo(got, last+2); none != 0 || err != nil {
			t.Errorf("got %d tokens and %v behind the end", none, err)
		}
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTokenRefusals(t *testing.T) {
	dir := t.TempDir()
	cases := []struct{ name, content, want string }{
		{"odd.u32", "12345", "got 5 bytes, want a multiple of 4"},
		{"odd.u16", "123", "got 3 bytes, want a multiple of 2"},
		{"empty.u32", "", "an empty file, want at least one token"},
		{"tokens.bin", "1234", "a token file's name ends in .u32 or .u16"},
	}
	for _, c := range cases {
		path := write(t, filepath.Join(dir, c.name), c.content)
		_, err := OpenTokens(path)
		wantError(t, err, "corpus: "+path+": "+c.want)
	}
	_, err := OpenTokens(filepath.Join(dir, "absent.u32"))
	wantError(t, err, "absent.u32: no such file")
	_, err = CreateTokens(filepath.Join(dir, "tokens.txt"))
	wantError(t, err, "tokens.txt: a token file's name ends in .u32 or .u16")
	_, err = CreateTokens(filepath.Join(dir, "absent", "a.u32"))
	wantError(t, err, "a.u32: cannot be written: no such file or directory")

	w, err := CreateTokens(filepath.Join(dir, "odd.u16"))
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, w.Append(1, 65536), "odd.u16: token 65536 does not fit into 16 bits")
	w.Discard()
	if old, err := os.ReadFile(filepath.Join(dir, "odd.u16")); err != nil || string(old) != "123" {
		t.Errorf("the old file is gone: %q (%v)", old, err)
	}
}

func fingerprint(t testing.TB, tokens *Tokens) Fingerprint {
	t.Helper()
	f, err := tokens.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFingerprint(t *testing.T) {
	wide, narrow := fingerprint(t, count(t, "a.u32", 50000)), fingerprint(t, count(t, "a.u16", 50000))
	if wide != narrow || wide.Tokens != 50000 {
		t.Errorf("the same ids: got %v and %v, want the same mark", wide, narrow)
	}
	if fewer := fingerprint(t, count(t, "a.u32", 49999)); fewer.CRC32C == wide.CRC32C {
		t.Error("a token less has the same checksum")
	}
	ids := []byte{0, 0, 0, 0, 1, 0, 0, 0}
	other, err := parseTokens("x.u32", bytes.NewReader(ids), 8)
	if err != nil {
		t.Fatal(err)
	}
	two := fingerprint(t, other)
	ids[7] = 1
	if two == fingerprint(t, other) || two != fingerprint(t, count(t, "a.u16", 2)) {
		t.Error("another id is not noticed")
	}
	w, err := CreateTokens(filepath.Join(t.TempDir(), "w.u16"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Discard()
	if err := w.Append(0); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(1); err != nil || w.Fingerprint() != two {
		t.Errorf("got %v and %v of the writer, want %v", w.Fingerprint(), err, two)
	}
}

// TestCut: a file that is cut while it is open is an error, in whatever way it is read.
func TestCut(t *testing.T) {
	tokens := count(t, "a.u32", 50000)
	s := newSampler(t, tokens, 1, 40000, Sequential, 0)
	if err := os.Truncate(tokens.name, 4*20000); err != nil {
		t.Fatal(err)
	}
	_, copied := tokens.CopyTo(make([]uint32, 100), 19950)
	_, mark := tokens.Fingerprint()
	for _, err := range []error{copied, mark, tokens.Check(1 << 20), s.Next(make([]uint32, 40000), make([]uint32, 40000))} {
		wantError(t, err, "want 50000 tokens: the file was cut while it was read")
	}
}

// TestOpenPart: a token file that is shorter, longer, another or spoiled inside is not the one that meta.json describes.
func TestOpenPart(t *testing.T) {
	tokens := count(t, "a.u32", 5000)
	mark := fingerprint(t, tokens)
	part := Part{Tokens: mark.Tokens, CRC32C: mark.CRC32C}
	old := Part{Tokens: mark.Tokens}
	whole, err := os.ReadFile(tokens.name)
	if err != nil {
		t.Fatal(err)
	}
	zeroed := bytes.Clone(whole)
	clear(zeroed[4096:8192])
	for _, c := range []struct {
		name, want string
		data       []byte
		part       Part
	}{
		{"whole", "", whole, part}, {"whole, of an earlier version", "", whole, old},
		{"cut", "got 4000 tokens, want 5000 as meta.json says", whole[:16000], part},
		{"cut, of an earlier version", "got 4000 tokens, want 5000", whole[:16000], old},
		{"longer", "got 5001 tokens, want 5000", append(bytes.Clone(whole), 0, 0, 0, 0), part},
		{"a page of zeros", "want " + mark.CRC32C + " as meta.json says", zeroed, part},
	} {
		path := write(t, filepath.Join(t.TempDir(), "a.u32"), string(c.data))
		got, err := OpenPart(path, c.part)
		if c.want == "" && err == nil {
			got.Close()
			continue
		}
		if c.want == "" {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		wantError(t, err, c.want)
	}
}

func TestCheck(t *testing.T) {
	tokens := count(t, "a.u32", 10)
	if err := tokens.Check(10); err != nil {
		t.Error(err)
	}
	wantError(t, tokens.Check(9), "a.u32: token 9 is 9, the vocabulary ends at 8")
}

func TestMeta(t *testing.T) {
	path := filepath.Join(t.TempDir(), MetaName)
	want := Meta{
		VocabSize: 1000, EndOfText: 0, Tokenizer: TokenizerHash([]byte("{}")), Document: Block, ValRatio: 0.01,
		Train: Part{Documents: 99, Tokens: 5000, Bytes: 20000}, Val: Part{Documents: 1, Tokens: 50, Bytes: 200},
	}
	if err := WriteMeta(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := ReadMeta(path)
	if err != nil {
		t.Fatal(err)
	}
	want.FormatVersion = 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if want.Tokenizer != "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" {
		t.Errorf("not the SHA-256 of {}: %s", want.Tokenizer)
	}
	want.ValRatio = 2
	wantError(t, WriteMeta(path, want), path+": got 2, want a val_ratio from 0 to 1")
}

func TestMetaRefusals(t *testing.T) {
	good := `{"format_version":1,"vocab_size":10,"document":"line"}`
	if _, err := parseMeta([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		``:                          "not a description of token data: unexpected end of JSON input",
		`{`:                         "unexpected end of JSON input",
		`[]`:                        "not a description of token data",
		`null`:                      "got format_version 0, want 1",
		good + `{}`:                 "invalid character '{' after top-level value",
		`{"format_version":2}`:      "got format_version 2, want 1",
		`{"format_version":1}`:      "got vocab_size 0 and end_of_text 0, want a vocab_size above 0 and an end_of_text below it",
		`{"vocab_size":1e99}`:       "not a description of token data",
		good[:len(good)-7] + `"a"}`: `documents: got "a", want line, block or file`,
		good[:len(good)-1] + `,"end_of_text":10}`:     "got vocab_size 10 and end_of_text 10, want a vocab_size above 0 and an end_of_text below it",
		good[:len(good)-1] + `,"train":{"bytes":-1}}`: "train: a negative count",
	} {
		_, err := parseMeta([]byte(text))
		wantError(t, err, want)
	}
	_, err := ReadMeta(filepath.Join(t.TempDir(), "absent"))
	wantError(t, err, "absent: no such file")
}

func FuzzTokens(f *testing.F) {
	f.Add("a.u32", []byte("12345678"))
	f.Add("a.u16", []byte("1234"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		tokens, err := parseTokens(name, bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		out := make([]uint32, tokens.Len()+1)
		if n, err := tokens.CopyTo(out, 0); err != nil || n != tokens.Len() || n*tokens.width != len(data) {
			t.Fatalf("%d of %d tokens in %d bytes: %v", n, tokens.Len(), len(data), err)
		}
		if strings.HasSuffix(name, ".u32") && out[0] != binary.LittleEndian.Uint32(data) {
			t.Fatalf("first token %d", out[0])
		}
	})
}

func FuzzMeta(f *testing.F) {
	f.Add([]byte(`{"format_version":1,"vocab_size":10,"document":"line","val_ratio":0.5,"train":{"tokens":3}}`))
	path := filepath.Join(f.TempDir(), MetaName)
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMeta(data)
		if err != nil {
			return
		}
		if err := WriteMeta(path, m); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
	})
}
