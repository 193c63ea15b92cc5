package corpus

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func write(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func packed(t testing.TB, content string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// cut returns the documents of one stream.
func cut(content, name string, mode Mode, limit int) ([]string, error) {
	var texts []string
	err := readStream(strings.NewReader(content), name, Options{Mode: mode, Field: "text", AllowInvalid: true}, limit, func(text string) bool {
		texts = append(texts, text)
		return true
	})
	return texts, err
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestModes(t *testing.T) {
	const play = "\n \nFirst:\nBefore we proceed.\n\n\nAll:\r\nSpeak.\r\n\r\nlast"
	cases := []struct {
		name, file, content string
		mode                Mode
		want                []string
	}{
		{"lines", "a.txt", play, Line, []string{"\n \nFirst:\n", "Before we proceed.\n\n\n", "All:\r\n", "Speak.\r\n\r\n", "last"}},
		{"blocks", "a.txt", play, Block, []string{"\n \nFirst:\nBefore we proceed.\n\n\n", "All:\r\nSpeak.\r\n\r\n", "last"}},
		{"whole", "a.txt", play, Whole, []string{play}},
		{"packed", "a.txt.gz", packed(t, play), Block, []string{"\n \nFirst:\nBefore we proceed.\n\n\n", "All:\r\nSpeak.\r\n\r\n", "last"}},
		{"packed in parts", "a.gz", packed(t, "a\n") + packed(t, "b\n"), Line, []string{"a\n", "b\n"}},
		{"empty", "a.txt", "", Line, nil},
		{"blank", "a.txt", " \n\t\n", Block, nil},
		{"blank file", "a.txt", " \n\t\n", Whole, nil},
		{"invalid", "a.txt", "a\xff\xfeb\n\xc3\n", Line, []string{"a\ufffdb\n", "\ufffd\n"}},
		{"byte order mark", "a.txt", "\ufeffa\n", Line, []string{"a\n"}},
		{"records", "a.jsonl", "{\"text\":\"a\\nb\"}\n\n{\"id\":{\"text\":1},\"text\":\"\\u65e5\xff\"}\n{\"text\":\" \"}", Whole, []string{"a\nb", "日\ufffd"}},
		{"packed records", "A.JSONL.GZ", packed(t, `{"text":"a"}`), Line, []string{"a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := cut(c.content, c.file, c.mode, MaxDocument)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNothingIsLost: documents joined together are the file again.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.StringOf(rapid.SampledFrom([]rune("ab \n\n\r日"))).Draw(t, "content")
		if strings.TrimSpace(content) == "" {
			return
		}
		for _, mode := range []Mode{Line, Block, Whole} {
			docs, err := cut(content, "a.txt", mode, MaxDocument)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(docs, ""); got != content {
				t.Fatalf("%s: got %q, want %q", mode, got, content)
			}
			for _, doc := range docs {
				if strings.TrimSpace(doc) == "" {
					t.Fatalf("%s: a blank document %q", mode, doc)
				}
			}
		}
	})
}

func TestReadRefusals(t *testing.T) {
	bomb := packed(t, strings.Repeat("\x00", 8<<20))
	cases := []struct {
		name, file, content string
		mode                Mode
		want                string
	}{
		{"long line", "a.txt", "short\n" + strings.Repeat("x", 1<<20), Line, "line 2: a document longer than 1048575 bytes"},
		{"long block", "a.txt", strings.Repeat("xxxxxxx\n", 1<<17), Block, "line 131072: a document longer than 1048575 bytes"},
		{"blank lines without end", "a.txt", strings.Repeat("\n", 1<<20), Line, "a document longer than"},
		{"long file", "a.txt", strings.Repeat("x\n", 1<<19), Whole, "a document longer than 1048575 bytes; line or block documents are shorter"},
		{"bomb of lines", "a.gz", bomb, Line, "line 1: a document longer than"},
		{"bomb of a file", "a.gz", bomb, Whole, "a document longer than"},
		{"bomb of records", "a.jsonl.gz", bomb, Whole, "line 1: a document longer than"},
		{"cut gzip", "a.gz", packed(t, "some text")[:20], Line, "the compressed data are cut short"},
		{"broken gzip", "a.gz", "\x1f\x8b\x00\x00\x00\x00\x00\x00\x00\x00", Line, "gzip: invalid header"},
		{"UTF-16", "a.txt", "\xff\xfea\x00", Line, "is UTF-16, want UTF-8, as from iconv"},
		{"no JSON", "a.jsonl", "{\"text\":\"a\"}\nhello\n", Line, "line 2: is not JSON: invalid character 'h'"},
		{"array", "a.jsonl", `["text"]`, Line, "line 1: not a JSON object"},
		{"no field", "a.jsonl", `{"content":"x"}`, Line, `line 1: no field "text" in this object`},
		{"number", "a.jsonl", `{"text":1}`, Line, `line 1: field "text": not a string`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := cut(c.content, c.file, c.mode, 1<<20-1)
			wantError(t, err, c.want)
		})
	}
}

// TestLimitIsPerDocument: two documents next to each other may reach the limit each.
func TestLimitIsPerDocument(t *testing.T) {
	line := strings.Repeat("x", 99) + "\n"
	docs, err := cut(line+line+line, "a.txt", Line, 100)
	if err != nil || len(docs) != 3 {
		t.Errorf("%d documents (%v)", len(docs), err)
	}
}

func TestDocuments(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.txt"), "1\n2\n")
	b := write(t, filepath.Join(dir, "b.txt"), "3\n")
	odd := write(t, filepath.Join(dir, "odd[1].md"), "4\n")
	if err := os.Mkdir(filepath.Join(dir, "c.txt"), 0o755); err != nil {
		t.Fatal(err)
	}
	var got []Document
	for doc, err := range Documents([]string{b, filepath.Join(dir, "*.txt"), odd}, Options{Mode: Line, Field: "text"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, doc)
	}
	want := []Document{{"3\n", b}, {"1\n", a}, {"2\n", a}, {"4\n", odd}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	seen := 0
	for range Documents([]string{a, b}, Options{Mode: Line, Field: "text"}) {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d documents after a break", seen)
	}
}

func TestDocumentsRefusals(t *testing.T) {
	dir := t.TempDir()
	records := write(t, filepath.Join(dir, "a.jsonl"), "{\"text\":\"x\"}\n{}\n")
	cases := []struct {
		inputs []string
		want   string
		texts  int
	}{
		{nil, "corpus: no input given", 0},
		{[]string{dir}, "corpus: " + dir + ": got a directory, want a file or a glob such as '" + filepath.Join(dir, "*.txt") + "'", 0},
		{[]string{filepath.Join(dir, "absent")}, "absent: no such file", 0},
		{[]string{filepath.Join(dir, "*.txt")}, "corpus: " + filepath.Join(dir, "*.txt") + ": no file matches", 0},
		{[]string{filepath.Join(dir, "[")}, "is not a pattern that files can match", 0},
		{[]string{records}, "corpus: " + records + `: line 2: no field "text"`, 1},
	}
	for _, c := range cases {
		var last error
		texts := 0
		for doc, err := range Documents(c.inputs, Options{Mode: Line, Field: "text"}) {
			if last = err; err == nil && doc.Text != "" {
				texts++
			}
		}
		wantError(t, last, c.want)
		if texts != c.texts {
			t.Errorf("%s: %d documents before the error", c.want, texts)
		}
	}
	if _, err := Files([]string{filepath.Join(dir, "absent")}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []Mode{Line, Block, Whole} {
		if got, err := ParseMode(string(m)); err != nil || got != m {
			t.Errorf("%s: %s (%v)", m, got, err)
		}
	}
	_, err := ParseMode("page")
	wantError(t, err, `documents: got "page", want line, block or file`)
}

func TestSplit(t *testing.T) {
	const n = 20000
	for _, ratio := range []float64{0, 0.01, 0.3, 1} {
		in := 0
		for i := range n {
			doc := "document " + strconv.Itoa(i) + "\n"
			if InValidation(doc, ratio) {
				in++
				if !InValidation(doc, ratio+0.1) {
					t.Fatalf("%q left the validation part at a larger ratio", doc)
				}
			}
		}
		// Four standard deviations of a binomial count; none at the ends.
		if slack := 4 * math.Sqrt(n*ratio*(1-ratio)); math.Abs(float64(in)-n*ratio) > slack {
			t.Errorf("ratio %g: %d of %d", ratio, in, n)
		}
	}
	// The split is part of the format: it must not change with the program.
	var got []int
	for i := range 100 {
		if InValidation(strconv.Itoa(i), 0.05) {
			got = append(got, i)
		}
	}
	if want := []int{39, 51, 55}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add([]byte("First:\nBefore we proceed.\n\nAll:\nSpeak.\n"), false, byte(0))
	f.Add([]byte(packed(f, "a\n\nb")), false, byte(1))
	f.Add([]byte("{\"text\":\"x\"}\n{\"text\":\"\\ud800\"}"), true, byte(2))
	f.Add([]byte("\xff\xfe"), false, byte(2))
	f.Fuzz(func(t *testing.T, data []byte, records bool, mode byte) {
		const limit = 1 << 12
		name := "a.txt"
		if records {
			name = "a.jsonl"
		}
		docs, err := cut(string(data), name, []Mode{Line, Block, Whole}[mode%3], limit)
		for _, doc := range docs {
			// A replaced byte grows to three.
			if len(doc) > 3*limit || !utf8.ValidString(doc) || strings.TrimSpace(doc) == "" {
				t.Fatalf("a document %q", doc)
			}
		}
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
