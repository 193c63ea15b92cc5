package corpus

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// readStrict reads one stream without leave for invalid bytes.
func readStrict(content, name string) (invalid int64, err error) {
	o := Options{Mode: Line, Field: "text", Invalid: func(_ string, n, _ int64) { invalid = n }}
	return invalid, readStream(strings.NewReader(content), name, o, MaxDocument, func(string) bool { return true })
}

// TestNoText refuses by its name what people have beside their texts.
func TestNoText(t *testing.T) {
	utf16le := func(text string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return string(b)
	}
	header := `{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`
	tensors := string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header
	tar := make([]byte, 512)
	copy(tar, "book.txt")
	copy(tar[257:], "ustar")
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, content, want string }{
		{"a.zst", "\x28\xb5\x2f\xfd\x64rest", "is compressed with zstd, want it unpacked, or packed with gzip"},
		{"a.xz", "\xfd7zXZ\x00\x00\x04", "is compressed with xz"},
		{"a.bz2", "BZh91AY&SYM\xf3\x8a\x07", "is compressed with bzip2"},
		{"a.bz2", "BZh9\x17rE8P\x90\x00", "is compressed with bzip2"},
		{"a.zip", "PK\x03\x04\x14\x00", "is a ZIP archive"},
		{"a.parquet", "PAR1\x15\x04\x15\x10", "is a Parquet table, want its texts as .txt or .jsonl"},
		{"a.safetensors", tensors, "is a safetensors file"},
		{"a.gguf", "GGUF\x03\x00\x00\x00\x01", "is a GGUF model"},
		{"a.bitt", "BITT\x02\x00\x00\x00", "is a .bitt model"},
		{"a.npy", "\x93NUMPY\x01\x00", "is a NumPy array"},
		{"a.tar", string(tar), "is a tar archive"},
		{"a.tar.gz", packed(t, string(tar)), "is a tar archive"},
		{"a.gz", packed(t, packed(t, "text")), "is compressed with gzip twice"},
		{"a.test", string(program), "is an executable"},
		{"a.pdf", "%PDF-1.7\n", "is a PDF document"},
		{"a.txt", "version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "is a Git LFS pointer"},
		{"a.txt", "\xfe\xff" + utf16le("x"), "is UTF-16, want UTF-8"},
		{"a.txt", "\xff\xfe\x00\x00x\x00\x00\x00", "is UTF-32, want UTF-8"},
		{"a.txt", utf16le("First Citizen:\n"), "15 of 30 bytes (50.0 %) are zero, as in UTF-16"},
		{"a.bin", utf16le("\u0123\u0031\u0045"), "are zero"},
		{"a.txt", strings.Repeat("caf\xe9 cr\xe8me br\xfbl\xe9e\n", 9), "36 of 162 bytes (22.2 %) are not UTF-8, at most 1 %"},
		{"a.jsonl", `{"text":"caf` + "\xe9" + `"}`, "1 of 15 bytes (6.7 %) are not UTF-8"},
		{"records.json", `[{"text": "abc"}, {"text": "abc"}]`, "is JSON, whose brackets and names are no text; want a .jsonl file"},
		{"records.json.gz", packed(t, "\n["), "is JSON"},
		{"records.txt", "\ufeff[\n {\n  \"text\": \"abc\"}]", "is JSON"},
		{"object.txt", "{\n  \"text\": \"abc\"\n}\n", "is JSON"},
	} {
		_, err := readStrict(c.content, c.name)
		wantError(t, err, c.want)
	}
	_, err = readStrict("caf\xe9", "a.txt")
	if !errors.Is(err, ErrNotUTF8) {
		t.Errorf("%v, want ErrNotUTF8", err)
	}
	// A long file is refused before it is read to its end.
	line := strings.Repeat("caf\xe9 ", 1<<16) + "\n"
	reader := strings.NewReader(strings.Repeat(line, 3*soon/len(line)))
	err = readStream(reader, "a.txt", Options{Mode: Line}, MaxDocument, func(string) bool { return true })
	if wantError(t, err, "not UTF-8"); reader.Len() < soon {
		t.Errorf("%d bytes were not read, want most", reader.Len())
	}
}

// TestText takes what looks like something else at first.
func TestText(t *testing.T) {
	slips := strings.Repeat("ninety-nine good bytes and more ", 4) + "\xe9\n"
	for _, c := range []struct {
		name, content string
		invalid       int64
	}{
		{"a.txt", "MZ is how programs begin\n", 0},
		{"a.txt", "ORC: Who goes there?\n", 0},
		{"a.txt", "BZh, PAR1, GGUF", 0},
		{"a.txt", "GGUF is a format\n", 0},
		{"a.txt", "GIF89a", 0},
		{"a.txt", "BITT", 0},
		{"a.txt", "ID3\ttag", 0},
		{"a.txt", "[1] A note.\n{ \"quoted\" }\n", 0},
		{"a.txt", "{\"text\": \"a line of records under another name\"}\n{\"text\": \"b\"}\n", 0},
		{"a.jsonl", "{\"text\": \"abc\"}\n", 0},
		{"a.json", "no JSON at all", 0},
		{"a.txt", "a few\x00zeros between records\x00are let pass", 0},
		{"a.txt", "\ufffd\ufffd is UTF-8", 0},
		{"a.txt", slips, 1},
		{"a.gz", packed(t, slips) + strings.Repeat("\x00", 1000), 1},
		{"a.gz", packed(t, "a\n") + strings.Repeat("\x00", 7) + packed(t, slips), 1},
	} {
		if invalid, err := readStrict(c.content, c.name); err != nil || invalid != c.invalid {
			t.Errorf("%s %.40q: %d invalid bytes, %v, want %d", c.name, c.content, invalid, err, c.invalid)
		}
	}
	if _, err := readStrict(packed(t, "a\n")+"\x00\x00garbage", "a.gz"); err == nil {
		t.Error("garbage after the packed data: want an error")
	}
}

// The parts of a packed file end with their text, as zlib writes them; compress/gzip ends with an empty block.
func TestGzipParts(t *testing.T) {
	part := func(text string) string {
		b := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1} // one stored block, the final one
		b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
		b = binary.LittleEndian.AppendUint16(b, ^uint16(len(text)))
		b = append(b, text...)
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(text)))
		return string(binary.LittleEndian.AppendUint32(b, uint32(len(text))))
	}
	var got []string
	read := func(content string) error {
		got = nil
		return readStream(strings.NewReader(content), "a.gz", Options{Mode: Line}, MaxDocument, func(doc string) bool {
			got = append(got, strings.TrimSpace(doc))
			return true
		})
	}
	if err := read(part("one\n") + part("two\n") + "\x00\x00"); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %q, %v, want both parts", got, err)
	}
	for _, rest := range []string{"junk", "garbage that is long", part("two\n")[:5], part("two\n")[:15]} {
		if err := read(part("one\n") + rest); err == nil {
			t.Errorf("%q after the packed data: got no error", rest)
		}
	}
}
