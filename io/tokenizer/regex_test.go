package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"github.com/dlclark/regexp2/v2"
	"pgregory.net/rapid"
)

// expressions use all that a program can do.
var expressions = []string{
	gpt2Pattern, llama3Pattern, qwen2Pattern,
	`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|` +
		`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
	`[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
	`\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))|\p{N}`,
	` ?[^(\s|.,!?…。，、।۔،)]+`,
	``, `$`, `^`, `^\S`, `\S$`, `\A.|.\z|\Z`, `\G\w`, `\b`, `\B`, `.`, `(?m:.)`, `[^a]`, `(?:)*a`, `x*a`, `\w+@|\w`,
	`a??b|a{1,3}?c`, `(?:a|ab)(?:c|bcd)?`, `(?>a|ab)c|.`, `(?:ab|a|1)*?[b.]`, `(?:a?)*b|(?:a??)+1`, `(?:|a)+1`, `(?:a|){2,4}b`,
	`(?:ab){2,3}|(?:ab?){2,}`, `(?<=[a-z])(?=[A-Z])|\d`, `(?<!a|日)b`, `(?<=(?:ab)+)\s|(?<=^a*)b`, `(?!a(?=b)).`, `(?<n>a|b)\k<n>`,
	`(?i)(?<n>aſ?)\k<n>`, `(?:(?<n>a)|b)*\k<n>`, `(?=(?<n>a+))\k<n>b`, `(?!(?<n>a)b)a\k<n>`, `(?:(?<n>a)b|a)\k<n>?`, `\R|\h|\H`, `(?i:ß|k|s)`,
}

// TestProgramsAreRegexp2 holds the machine against the library whose parser it uses.
func TestProgramsAreRegexp2(t *testing.T) {
	letters := append(slices.Clone(awkward), "a", "a", "b", "b", "ab", "c", "d", "A", "B", "1", "@")
	for _, expr := range expressions {
		p, err := compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		translated, err := translate(expr)
		if err != nil {
			t.Fatal(err)
		}
		re := regexp2.MustCompile(translated, regexp2.Multiline)
		check := func(t interface {
			Fatal(...any)
			Errorf(string, ...any)
		}, text string) {
			got := slices.DeleteFunc(p.find(text, nil, steady()), func(s span) bool { return !s.match })
			if want := matches(t, re, text); !slices.Equal(got, want) {
				t.Errorf("%s\non %q\n got %v\nwant %v", expr, text, got, want)
			}
		}
		for _, a := range letters {
			for _, b := range letters {
				check(t, a+b)
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			check(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(letters), 1, 30).Draw(t, "text"), ""))
		})
	}
}

// matches are regexp2's, without an empty one right after another.
func matches(t interface{ Fatal(...any) }, re *regexp2.Regexp, text string) []span {
	var all []span
	runes := []rune(text)
	m, err := re.FindRunesMatch(runes)
	for done := -1; m != nil; m, err = re.FindNextMatch(m) {
		start := len(string(runes[:m.RuneIndex]))
		if s := (span{start, start + len(m.String()), true}); s.start < s.end || s.start > done {
			all = append(all, s)
			done = s.end
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzProgram holds the machine against regexp2 on any expression that does not take too long.
func FuzzProgram(f *testing.F) {
	for _, expr := range expressions {
		f.Add(expr, "The cat's 2 hats, naïve 日本語 aab abab\r\n  b1")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 60 || len(text) > 60 {
			return
		}
		p, err := compile(expr)
		if err != nil {
			return
		}
		w := newWorker()
		w.machine.steps = 1 << 12
		text = validUTF8(text)
		if text == "" {
			return
		}
		got := p.find(text, nil, w)
		if w.err != nil {
			return
		}
		translated, err := translate(expr)
		if err != nil {
			t.Fatal(err)
		}
		re, err := regexp2.Compile(translated, regexp2.Multiline)
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(s span) bool { return !s.match })
		if want := matches(t, re, text); !slices.Equal(got, want) {
			t.Errorf("%q on %q\n got %v\nwant %v", expr, text, got, want)
		}
	})
}

// TestEndlessPatterns: a pattern that goes back again and again is an error that names it, and the same one every time;
// no clock is asked, so a program that was stopped for a while gives the same ids.
func TestEndlessPatterns(t *testing.T) {
	const expr = `(?:a*)*b|(a|aa)+c|\\s+$`
	for _, c := range []struct{ member, value string }{
		{"pre_tokenizer", `{"type": "Split", "pattern": {"Regex": "` + expr + `"}, "behavior": "Isolated", "invert": false}`},
		{"normalizer", `{"type": "Replace", "pattern": {"Regex": "` + expr + `"}, "content": ""}`},
	} {
		tok, err := Parse("endless.json", []byte(with(c.member, c.value)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Encode("aaaaab aac  a", false); err != nil {
			t.Errorf("%s of a short text: %v", c.member, err)
		}
		var before string
		for range 3 {
			ids, err := tok.Encode(strings.Repeat("a", 40)+"d", false)
			if got := errorText(err); !strings.HasPrefix(got, "tokenizer: endless.json: regex") || !strings.Contains(got, `(a|aa)+c`) ||
				!strings.Contains(got, "steps") || before != "" && got != before {
				t.Errorf("%s: %v, %v, want an error that names the file and the pattern, the same every time", c.member, ids, err)
			}
			before = errorText(err)
		}
	}
	_, err := Parse("endless.json", []byte(with("decoder", `{"type": "Replace", "pattern": {"Regex": "(?:a*)*c"}, "content": ""}`)))
	if err != nil {
		t.Errorf("a decoder that is quick for the vocabulary: %v", err)
	}
	long := strings.Repeat("a", 60)
	_, err = Parse("endless.json", []byte(`{"model": {"type": "BPE", "vocab": {"`+long+`": 0}, "merges": []},
		"decoder": {"type": "Replace", "pattern": {"Regex": "(a|aa)+c"}, "content": ""}}`))
	if got := errorText(err); !strings.Contains(got, "decoder: id 0: regex \"(a|aa)+c\"") {
		t.Errorf("a decoder that is slow for a piece: %v", err)
	}
	tok, err := Parse("endless.json", []byte(with("decoder", `{"type": "Sequence", "decoders": [{"type": "Fuse"},
		{"type": "Replace", "pattern": {"Regex": "(a|aa)+c"}, "content": ""}]}`)))
	if err != nil {
		t.Fatal(err)
	}
	s := tok.NewStream(false)
	for range 60 {
		s.Next(0)
	}
	if text := s.Flush(); text != long || !strings.Contains(errorText(s.Err()), "(a|aa)+c") {
		t.Errorf("a decoder that is slow for a text gave %q, %v", text, s.Err())
	}
}

// TestStepsAreEnough: the steps allowed are a good multiple of what the patterns in use take of any text.
func TestStepsAreEnough(t *testing.T) {
	for _, expr := range append(expressions[:5:5], expressions[6]) {
		p, err := compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		for _, char := range append(slices.Clone(awkward), english(1000)) {
			text := strings.Repeat(char, 4000/len(char))
			w := newWorker()
			w.begin(len(text))
			allowed := w.machine.steps
			p.find(text, nil, w)
			if used := allowed - w.machine.steps; used > allowed/8 {
				t.Errorf("%s took %d of %d steps for %q…", expr, used, allowed, char)
			}
		}
	}
}
