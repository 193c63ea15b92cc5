package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// headSize is how many bytes at the start of a file are examined.
const headSize = 512

const (
	unpack    = ", want it unpacked, or packed with gzip"
	writeText = ", want its texts as .txt or .jsonl"
)

// notText lists the beginnings of files that are not text, and what to say about each. If text may begin with the same
// letters, one of the next few bytes must be one that text does not contain.
var notText = []struct {
	magic, say string
	binary     bool // only if a control character follows soon
}{
	{"\x28\xb5\x2f\xfd", "is compressed with zstd" + unpack, false},
	{"\xfd7zXZ\x00", "is compressed with xz" + unpack, false},
	{"\x04\x22\x4d\x18", "is compressed with lz4" + unpack, false},
	{"\x5d\x00\x00", "is compressed with lzma" + unpack, false},
	{"\x1f\x9d", "is compressed with compress" + unpack, false},
	{"\x1f\x8b", "is compressed with gzip twice" + unpack, false},
	{"PK\x03\x04", "is a ZIP archive" + unpack, false},
	{"PK\x05\x06", "is an empty ZIP archive", false},
	{"7z\xbc\xaf\x27\x1c", "is a 7z archive" + unpack, false},
	{"Rar!\x1a\x07", "is a RAR archive" + unpack, false},
	{"PAR1", "is a Parquet table" + writeText, true},
	{"ARROW1\x00\x00", "is an Arrow table" + writeText, false},
	{"\xff\xff\xff\xff", "is an Arrow stream" + writeText, false},
	{"FEA1", "is a Feather table" + writeText, true},
	{"ORC", "is an ORC table" + writeText, true},
	{"Obj\x01", "is an Avro table" + writeText, false},
	{"SQLite format 3\x00", "is an SQLite database" + writeText, false},
	{"\x89HDF\r\n\x1a\n", "is an HDF5 file" + writeText, false},
	{"\x93NUMPY", "is a NumPy array, want token ids as .u16 or .u32 without a header, or text", false},
	{"\x80\x02", "is a Python pickle file" + writeText, false},
	{"\x80\x03", "is a Python pickle file" + writeText, false},
	{"\x80\x04", "is a Python pickle file" + writeText, false},
	{"\x80\x05", "is a Python pickle file" + writeText, false},
	{"GGUF", "is a GGUF model, want text", true},
	{"BITT", "is a .bitt model, want text", true},
	{"\x7fELF", "is an executable, want text", false},
	{"MZ", "is an executable, want text", true},
	{"\xcf\xfa\xed\xfe", "is an executable, want text", false},
	{"\xca\xfe\xba\xbe", "is an executable, want text", false},
	{"\x00asm", "is a WebAssembly module, want text", false},
	{"%PDF-", "is a PDF document, want its text", false},
	{"{\\rtf", "is an RTF document, want its text", false},
	{"\xd0\xcf\x11\xe0", "is an old Office document, want its text", false},
	{"\x89PNG", "is a picture, want text", false},
	{"\xff\xd8\xff", "is a picture, want text", false},
	{"GIF8", "is a picture, want text", true},
	{"OggS\x00", "is a sound, want text", false},
	{"ID3", "is a sound, want text", true},
	{"fLaC\x00", "is a sound, want text", false},
	{"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with git lfs pull", false},
	{"\xff\xfe\x00\x00", "is UTF-32, want UTF-8, as from iconv -f UTF-32 -t UTF-8", false},
	{"\xff\xfe", "is UTF-16, want UTF-8, as from iconv -f UTF-16 -t UTF-8", false},
	{"\xfe\xff", "is UTF-16, want UTF-8, as from iconv -f UTF-16 -t UTF-8", false},
	{"\x00\x00\xfe\xff", "is UTF-32, want UTF-8, as from iconv -f UTF-32 -t UTF-8", false},
}

// oneValue matches the beginning of a JSON value that spans the whole file: a list of objects, or an object over several
// lines.
var oneValue = regexp.MustCompile(`^\s*(\[\s*\{\s*"|\{[ \t\r]*\n\s*"(\\.|[^"\\\n])*"\s*:)`)

// checkKind returns an error that says what a file is if it is not text. head is its beginning, name its name without .gz.
func checkKind(name string, head []byte) error {
	for _, k := range notText {
		if rest, ok := bytes.CutPrefix(head, []byte(k.magic)); ok && (!k.binary || hasControl(rest[:min(len(rest), 8)])) {
			return errors.New(k.say)
		}
	}
	switch {
	case len(head) > 9 && string(head[:3]) == "BZh" && (string(head[4:10]) == "1AY&SY" || string(head[4:10]) == "\x17rE8P\x90"): // π, √π
		return errors.New("is compressed with bzip2" + unpack)
	case len(head) > 8 && head[8] == '{' && bytes.IndexByte(head[:8], 0) >= 0:
		return errors.New("is a safetensors file, want text")
	case len(head) > 262 && string(head[257:262]) == "ustar":
		return errors.New("is a tar archive" + unpack)
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if len(text) > 0 && strings.HasSuffix(name, ".json") && (text[0] == '[' || text[0] == '{') || !strings.HasSuffix(name, ".jsonl") && oneValue.Match(text) {
		return errors.New("is JSON, whose brackets and names are no text; want a .jsonl file with one object a line, as from jq -c '.[]'")
	}
	return nil
}

// hasControl reports whether there is a byte that text does not contain.
func hasControl(b []byte) bool {
	return bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\x1b' })
}

// ErrNotUTF8 means that more of a file is not UTF-8 than mistakes would explain.
var ErrNotUTF8 = errors.New("want text in UTF-8, as from iconv -f LATIN1 -t UTF-8 if it is Latin-1")

const (
	maxInvalid = 0.01    // share of bytes
	maxZeros   = 0.2     // UTF-16 has 0.3 or more if most letters are Latin
	soon       = 1 << 24 // bytes after which a file is first judged
)

// tally counts the bytes of a file.
type tally struct{ bytes, invalid, zeros int64 }

func (t *tally) add(text []byte) {
	t.bytes += int64(len(text))
	t.invalid += int64(invalidBytes(text))
	t.zeros += int64(bytes.Count(text, []byte{0}))
}

// check returns an error if the counts are not those of text.
func (t tally) check(allowInvalid bool) error {
	share := func(n int64) float64 { return float64(n) / float64(max(1, t.bytes)) }
	switch {
	case share(t.zeros) > maxZeros:
		return fmt.Errorf("is not text: %d of %d bytes (%.1f %%) are zero, as in UTF-16 or in token files, whose names end in .u16 or .u32",
			t.zeros, t.bytes, 100*share(t.zeros))
	case share(t.invalid) > maxInvalid && !allowInvalid:
		return fmt.Errorf("%d of %d bytes (%.1f %%) are not UTF-8, at most %g %% are taken for slips; %w",
			t.invalid, t.bytes, 100*share(t.invalid), 100*maxInvalid, ErrNotUTF8)
	}
	return nil
}
