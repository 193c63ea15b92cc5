package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxDepth limits the nesting of sequences.
const maxDepth = 16

// maxComponents is far above the length of any sequence in use, and limits the work for each text.
const maxComponents = 256

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func unsupported(kind, want string) error {
	return fmt.Errorf("type %q is not supported, want one of %s", kind, want)
}

// kindOf returns the "type" of a component.
func kindOf(raw json.RawMessage) (string, error) {
	var c struct{ Type string }
	if err := unmarshal(raw, &c, "type"); err != nil {
		return "", err
	}
	return c.Type, nil
}

// unmarshal reads a component and requires some members.
func unmarshal(raw json.RawMessage, into any, required ...string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for _, name := range required {
		if isNull(members[name]) {
			return fmt.Errorf("%q is missing in %.60s", name, raw)
		}
	}
	return json.Unmarshal(raw, into)
}

// parseSequence parses the components listed in member and concatenates the results.
func parseSequence[T any](raw json.RawMessage, member string, depth int, parse func(json.RawMessage, int) ([]T, error)) ([]T, error) {
	if depth == maxDepth {
		return nil, fmt.Errorf("sequences lie more than %d deep", maxDepth)
	}
	var members map[string]json.RawMessage
	if err := unmarshal(raw, &members, member); err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(members[member], &list); err != nil {
		return nil, err
	}
	var all []T
	for i, raw := range list {
		some, err := parse(raw, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", member, i, err)
		}
		if all = append(all, some...); len(all) > maxComponents {
			return nil, fmt.Errorf("%s: more than %d are not supported", member, maxComponents)
		}
	}
	return all, nil
}

func parseNormalizer(raw json.RawMessage, depth int) ([]normalizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := kindOf(raw)
	if err != nil {
		return nil, err
	}
	var n normalizer
	switch kind {
	case "Sequence":
		return parseSequence(raw, "normalizers", depth, parseNormalizer)
	case "NFC":
		n = unicodeForm{norm.NFC}
	case "NFD":
		n = unicodeForm{norm.NFD}
	case "NFKC":
		n = unicodeForm{norm.NFKC}
	case "NFKD":
		n = unicodeForm{norm.NFKD}
	case "Lowercase":
		n = lowercase{}
	case "Prepend":
		var c struct{ Prepend string }
		err = unmarshal(raw, &c, "prepend")
		n = prepend(c.Prepend)
	case "Replace":
		n, err = parseReplace(raw)
	case "Strip":
		var c struct {
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}
		err = unmarshal(raw, &c, "strip_left", "strip_right")
		n = strip{c.Left, c.Right}
	default:
		return nil, unsupported(kind, "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return []normalizer{n}, nil
}

// patternFile is {"String": …} or {"Regex": …}.
type patternFile struct{ String, Regex *string }

func (f patternFile) build() (pattern, error) {
	switch {
	case f.String != nil && *f.String != "":
		return literal(*f.String), nil
	case f.String != nil:
		return newRegex("") // matches before every character, as in Hugging Face's library
	case f.Regex != nil:
		return newRegex(*f.Regex)
	}
	return nil, fmt.Errorf(`"pattern" is neither {"String": …} nor {"Regex": …}`)
}

func parseReplace(raw json.RawMessage) (replace, error) {
	var c struct {
		Pattern patternFile
		Content string
	}
	if err := unmarshal(raw, &c, "pattern", "content"); err != nil {
		return replace{}, err
	}
	p, err := c.Pattern.build()
	return replace{p, c.Content}, err
}

func parsePreTokenizer(raw json.RawMessage, depth int) ([]preTokenizer, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := kindOf(raw)
	if err != nil {
		return nil, err
	}
	var p preTokenizer
	switch kind {
	case "Sequence":
		return parseSequence(raw, "pretokenizers", depth, parsePreTokenizer)
	case "ByteLevel":
		c := struct {
			AddPrefixSpace bool `json:"add_prefix_space"`
			UseRegex       bool `json:"use_regex"`
		}{UseRegex: true}
		err = unmarshal(raw, &c, "add_prefix_space", "trim_offsets")
		p = byteLevel{c.AddPrefixSpace, c.UseRegex}
	case "Metaspace":
		p, err = parseMetaspace(raw)
	case "Split":
		p, err = parseSplit(raw)
	case "Digits":
		var c struct {
			Individual bool `json:"individual_digits"`
		}
		err = unmarshal(raw, &c, "individual_digits")
		b := contiguous
		if c.Individual {
			b = isolated
		}
		p = splitter{charClass(unicode.IsNumber), b}
	case "Punctuation":
		c := struct{ Behavior behavior }{isolated}
		if err = unmarshal(raw, &c); err == nil {
			err = c.Behavior.check()
		}
		p = splitter{charClass(isPunctuation), c.Behavior}
	case "Whitespace":
		p = splitter{inverted{words{}}, removed}
	case "WhitespaceSplit":
		p = splitter{charClass(unicode.IsSpace), removed}
	default:
		return nil, unsupported(kind, "Sequence, ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, WhitespaceSplit")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return []preTokenizer{p}, nil
}

func (b behavior) check() error {
	all := []behavior{removed, isolated, mergedWithPrevious, mergedWithNext, contiguous}
	if !slices.Contains(all, b) {
		return fmt.Errorf("behavior %q is not supported, want one of %q", b, all)
	}
	return nil
}

func parseSplit(raw json.RawMessage) (preTokenizer, error) {
	var c struct {
		Pattern  patternFile
		Behavior behavior
		Invert   bool
	}
	if err := unmarshal(raw, &c, "pattern", "behavior", "invert"); err != nil {
		return nil, err
	}
	if err := c.Behavior.check(); err != nil {
		return nil, err
	}
	p, err := c.Pattern.build()
	if c.Invert {
		p = inverted{p}
	}
	return splitter{p, c.Behavior}, err
}

func parseMetaspace(raw json.RawMessage) (metaspace, error) {
	var c struct {
		Replacement    string
		AddPrefixSpace *bool          `json:"add_prefix_space"` // in older files
		PrependScheme  *prependScheme `json:"prepend_scheme"`
		Split          *bool
	}
	if err := unmarshal(raw, &c, "replacement"); err != nil {
		return metaspace{}, err
	}
	m := metaspace{c.Replacement, prependAlways, c.Split == nil || *c.Split}
	if utf8.RuneCountInString(c.Replacement) != 1 {
		return m, fmt.Errorf("replacement is %q, want one character", c.Replacement)
	}
	if c.PrependScheme != nil {
		m.prepend = *c.PrependScheme
	}
	if all := []prependScheme{prependAlways, prependFirst, prependNever}; !slices.Contains(all, m.prepend) {
		return m, fmt.Errorf("prepend_scheme %q is not supported, want one of %q", m.prepend, all)
	}
	if c.AddPrefixSpace != nil && !*c.AddPrefixSpace {
		if c.PrependScheme != nil && m.prepend != prependNever {
			return m, fmt.Errorf("add_prefix_space is false, but prepend_scheme is %q", m.prepend)
		}
		m.prepend = prependNever
	}
	return m, nil
}

func parseDecoder(raw json.RawMessage, depth int) ([]decoder, error) {
	if isNull(raw) {
		return nil, nil
	}
	kind, err := kindOf(raw)
	if err != nil {
		return nil, err
	}
	var d decoder
	switch kind {
	case "Sequence":
		return parseSequence(raw, "decoders", depth, parseDecoder)
	case "ByteLevel":
		err = unmarshal(raw, &struct{}{}, "add_prefix_space", "trim_offsets")
		d.make = func(next sink, _ *textSink) sink { return &fromBytes{whole: whole{next: next}} }
	case "ByteFallback":
		d.make = func(next sink, _ *textSink) sink { return &byteFallback{whole: whole{next: next}} }
	case "Fuse":
		d.make = func(next sink, _ *textSink) sink { return &fuse{next} }
	case "Strip":
		var c struct {
			Content     string
			Start, Stop uint32
		}
		err = unmarshal(raw, &c, "content", "start", "stop")
		content, n := utf8.DecodeRuneInString(c.Content)
		if err == nil && (n == 0 || n != len(c.Content)) {
			err = fmt.Errorf("content is %q, want one character", c.Content)
		}
		d.make = func(next sink, _ *textSink) sink {
			return &stripToken{next: next, content: content, start: int(c.Start), stop: int(c.Stop)}
		}
	case "Replace":
		var r replace
		r, err = parseReplace(raw)
		if old, ok := r.pattern.(literal); ok {
			d.growth = (len(r.content) + len(old) - 1) / len(old)
			d.make = func(next sink, _ *textSink) sink { return &replaceString{next: next, old: string(old), new: r.content} }
		} else {
			d.regex, d.growth = true, 1+len(r.content)
			d.make = func(next sink, out *textSink) sink {
				return &replaceRegex{whole: whole{next: next}, replace: r, out: out, w: newWorker()}
			}
		}
	case "Metaspace":
		var m metaspace
		m, err = parseMetaspace(raw)
		d.make = func(next sink, _ *textSink) sink {
			return &fromMetaspace{next: next, replacement: m.replacement, drop: m.prepend != prependNever}
		}
	case "BPEDecoder":
		var c struct{ Suffix string }
		err = unmarshal(raw, &c, "suffix")
		if c.Suffix == "" {
			d.growth = 2
		}
		d.make = func(next sink, _ *textSink) sink { return &wordEnds{whole: whole{next: next}, suffix: c.Suffix} }
	default:
		return nil, unsupported(kind, "Sequence, ByteLevel, ByteFallback, Fuse, Strip, Replace, Metaspace, BPEDecoder")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return []decoder{d}, nil
}
