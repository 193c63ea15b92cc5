package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"bitgpu/io/internal/jsonscan"
	"bitgpu/io/regular"
)

// Document is a piece of text that a model sees as a unit.
type Document struct {
	Text string // valid UTF-8, never blank
	Path string // the file it comes from
}

// Options says how to read files.
type Options struct {
	Mode  Mode
	Field string // the field of a record that contains its text
	// Records returns every record whole, as its line of JSON.
	Records bool
	// AllowInvalid accepts files of which more than one byte in a hundred is not UTF-8.
	AllowInvalid bool
	// Invalid, if given, is called at the end of each file that contains bytes that are not UTF-8, with their number.
	Invalid func(path string, invalid, bytes int64)
}

// Documents reads all documents of the inputs, which are as for [Files]. Files are text, or JSON records if their name ends
// in .jsonl; both may be compressed with gzip. A run of bytes that are not UTF-8 becomes one U+FFFD, a byte order mark is
// dropped, and blank text is skipped. A file that is not text, judged by its first bytes or by how many bytes are zero or not
// UTF-8 ([ErrNotUTF8]), is an error. An error is the last thing yielded.
func Documents(inputs []string, o Options) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		files, err := Files(inputs)
		if err != nil {
			yield(Document{}, err)
			return
		}
		for _, path := range files {
			goOn := true
			err := readFile(path, o, func(text string) bool {
				goOn = yield(Document{Text: text, Path: path}, nil)
				return goOn
			})
			if !goOn {
				return
			}
			if err != nil {
				yield(Document{}, fmt.Errorf("corpus: %s: %w", path, err))
				return
			}
		}
	}
}

// Files expands inputs, each a file or a glob, into a list without repetitions. The files of a glob are sorted. An input that
// matches no file is an error.
func Files(inputs []string) ([]string, error) {
	if len(inputs) == 0 {
		return nil, errors.New("corpus: no input given, want a file or a glob such as 'texts/*.txt'")
	}
	var files []string
	for _, input := range inputs {
		found, err := expand(input)
		if err != nil {
			return nil, fmt.Errorf("corpus: %s: %w", input, err)
		}
		for _, path := range found {
			if path = filepath.Clean(path); !slices.Contains(files, path) {
				files = append(files, path)
			}
		}
	}
	return files, nil
}

// expand first tries the input as a file name, since names may contain the characters of a glob.
func expand(input string) ([]string, error) {
	info, err := os.Stat(input)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("got a directory, want a file or a glob such as '%s'", filepath.Join(input, "*.txt"))
	}
	if err == nil {
		return []string{input}, nil
	}
	if !strings.ContainsAny(input, `*?[`) {
		return nil, cause(err)
	}
	matches, err := filepath.Glob(input)
	if err != nil {
		return nil, errors.New("is not a pattern that files can match: a bracket is open")
	}
	matches = slices.DeleteFunc(matches, func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.IsDir()
	})
	if len(matches) == 0 {
		return nil, errors.New("no file matches")
	}
	return matches, nil
}

// readFile calls emit for each document until emit returns false.
func readFile(path string, o Options, emit func(string) bool) error {
	file, err := regular.Open(path)
	if err != nil {
		return cause(err)
	}
	defer file.Close()
	limit := MaxDocument
	if o.Records {
		limit = MaxRecord
	}
	return readStream(file, path, o, limit, emit)
}

func readStream(stream io.Reader, path string, o Options, limit int, emit func(string) bool) error {
	const bufferSize = 1 << 16
	in := bufio.NewReaderSize(stream, bufferSize)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		unpacked, err := newUnpacker(in)
		if err != nil {
			return cause(err)
		}
		in = bufio.NewReaderSize(unpacked, bufferSize)
	}
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	head, _ := in.Peek(headSize)
	if err := checkKind(name, head); err != nil {
		return err
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		if _, err := in.Discard(3); err != nil {
			return cause(err)
		}
	}
	r := &reader{in: in, limit: limit, allowInvalid: o.AllowInvalid}
	r.emit = func(text string) bool {
		r.stopped = !emit(text)
		return !r.stopped
	}
	var err error
	switch {
	case strings.HasSuffix(name, ".jsonl"):
		err = r.records(o.Field, o.Records)
	case o.Mode == Whole:
		err = r.whole()
	default:
		err = r.text(o.Mode)
	}
	if err == nil && !r.stopped {
		err = r.check(o.AllowInvalid)
	}
	if err == nil && !r.stopped && r.invalid > 0 && o.Invalid != nil {
		o.Invalid(path, r.invalid, r.bytes)
	}
	return err
}

// reader cuts a stream into documents.
type reader struct {
	in    *bufio.Reader
	limit int
	emit  func(string) bool
	lines int // lines read so far
	tally
	judged, allowInvalid, stopped bool
}

// count counts text. For a long file it reports early that this is not text.
func (r *reader) count(text []byte) error {
	r.add(text)
	if r.judged || r.bytes < soon {
		return nil
	}
	r.judged = true
	return r.check(r.allowInvalid)
}

// line reads the next line, including its newline, into buf, which it overwrites. At the end of the stream it returns io.EOF
// with the rest.
func (r *reader) line(buf []byte) ([]byte, error) {
	r.lines++
	buf = buf[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		if len(buf)+len(part) > r.limit {
			return nil, r.tooLong()
		}
		buf = append(buf, part...)
		if err != bufio.ErrBufferFull {
			if wrong := r.count(buf); wrong != nil {
				return nil, wrong
			}
			return buf, cause(err)
		}
	}
}

func (r *reader) tooLong() error {
	return fmt.Errorf("line %d: a document longer than %d bytes", r.lines, r.limit)
}

// text starts a new document in line mode at every line that is not blank, in block mode at such a line after a blank one.
// Blank lines before the first document belong to it.
func (r *reader) text(mode Mode) error {
	var doc, line []byte
	var full, afterBlank bool // doc has text; doc ends with a blank line that follows text
	for {
		var err error
		line, err = r.line(line)
		if err != nil && err != io.EOF {
			return err
		}
		blank := len(bytes.TrimSpace(line)) == 0
		if !blank && full && (mode == Line || afterBlank) {
			if !r.document(string(doc)) {
				return nil
			}
			doc, full = doc[:0], false
		}
		if len(doc)+len(line) > r.limit {
			return fmt.Errorf("%w; line documents are shorter", r.tooLong())
		}
		doc = append(doc, line...)
		full = full || !blank
		afterBlank = full && blank
		if err == io.EOF {
			r.document(string(doc))
			return nil
		}
	}
}

func (r *reader) whole() error {
	var doc strings.Builder
	n, err := io.Copy(&doc, io.LimitReader(r.in, int64(r.limit)+1))
	if err != nil {
		return cause(err)
	}
	if n > int64(r.limit) {
		return fmt.Errorf("a document longer than %d bytes; line or block documents are shorter", r.limit)
	}
	text := doc.String()
	if err := r.count([]byte(text)); err != nil {
		return err
	}
	r.document(text)
	return nil
}

// records returns the text of each line's JSON object.
func (r *reader) records(field string, whole bool) error {
	var line []byte
	for {
		var err error
		line, err = r.line(line)
		if err != nil && err != io.EOF {
			return err
		}
		if len(bytes.TrimSpace(line)) > 0 {
			text, err := recordText(bytes.ToValidUTF8(line, []byte("\ufffd")), field, whole)
			if err != nil {
				return fmt.Errorf("line %d: %w", r.lines, err)
			}
			if !r.document(text) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

func recordText(line []byte, field string, whole bool) (string, error) {
	if err := jsonscan.Check(line); err != nil {
		return "", fmt.Errorf("is not JSON: %w", err)
	}
	if !jsonscan.IsObject(line) {
		return "", errors.New("not a JSON object")
	}
	if whole {
		return string(bytes.TrimSpace(line)), nil
	}
	for member := range jsonscan.Members(line) {
		name, err := jsonscan.String(member.Name)
		if err != nil {
			return "", err
		}
		if name != field {
			continue
		}
		text, err := jsonscan.String(member.Value)
		if err != nil {
			return "", fmt.Errorf("field %q: %w", field, err)
		}
		return text, nil
	}
	return "", fmt.Errorf("no field %q in this object", field)
}

// document emits doc unless it is blank, and reports whether to continue.
func (r *reader) document(doc string) bool {
	if strings.TrimSpace(doc) == "" {
		return true
	}
	return r.emit(strings.ToValidUTF8(doc, "\ufffd"))
}

// invalidBytes counts the bytes of text that are not UTF-8.
func invalidBytes(text []byte) int {
	if utf8.Valid(text) {
		return 0
	}
	n := 0
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 {
			n++
		}
		text = text[size:]
	}
	return n
}

// cause is [regular.Cause], with errors of the decompressor explained.
func cause(err error) error {
	err = regular.Cause(err)
	// Here only the decompressor returns this error.
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the compressed data are cut short")
	}
	return err
}
