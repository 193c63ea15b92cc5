package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// awkward are pieces of text at which patterns differ.
var awkward = []string{
	" ", "  ", "\t", "\n", "\r", "\r\n", "\v", "\u0085", "\u00a0", "\u2028", "\u3000", "\u200b", "a", "Z", "é", "ſ", "K", "ß", "İ", "日", "ا",
	"\u0301", "ः", "1", "23", "٣", "½", "Ⅳ", "²", "'", "'s", "'S", "'ſ", "'t", "'re", "'RE", "'ve", "'m", "'ll", "'Ll", "'d", "'x", "’s", ".", "!?", "_",
	"-", "😀", "👩\u200d👧", "\ufffd", "<", "|", "▁", "word", "Words", "\x00", "\U0010ffff",
}

// TestScanners holds the scanners against the patterns they stand for.
func TestScanners(t *testing.T) {
	for expr, fast := range scanners {
		slow, err := compile(expr)
		if err != nil {
			t.Fatal(err)
		}
		check := func(t interface{ Errorf(string, ...any) }, text string) {
			got, want := fast.find(text, nil, steady()), slow.find(text, nil, steady())
			if !slices.Equal(got, want) {
				t.Errorf("%s\non %q\n got %v\nwant %v", expr, text, got, want)
			}
		}
		for _, a := range awkward {
			for _, b := range awkward {
				for _, c := range []string{"", " ", "\n", "a", "1", "."} {
					check(t, a+b+c)
				}
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			check(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(awkward), 1, 40).Draw(t, "text"), ""))
		})
	}
}

// TestScannersKnowEveryCharacter covers the classes of all of Unicode.
func TestScannersKnowEveryCharacter(t *testing.T) {
	slow, err := compile(llama3Pattern)
	if err != nil {
		t.Fatal(err)
	}
	fast := scanners[llama3Pattern]
	for block := rune(0); block < 0x110000; block += 0x100 {
		var b strings.Builder
		for r := block; r < block+0x100; r++ {
			if r < 0xD800 || r > 0xDFFF {
				b.WriteString("." + string(r) + "a")
			}
		}
		if text := b.String(); text != "" && !slices.Equal(fast.find(text, nil, steady()), slow.find(text, nil, steady())) {
			t.Errorf("characters from U+%04X are cut in another way", block)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for expr, want := range map[string]string{
		`[[:alpha:]]`: "a class within a class",
		`[a&&b]`:      "intersection",
		`[a-z-[aei]]`: "a class within a class",
		`[a`:          "not closed",
		`a\`:          `lone \`,
		`\X`:          `\X is not supported`,
		`\Qa\E`:       `\Q is not supported`,
		`[\W]`:        `\W within a class`,
		`\pL`:         `\p without {name}`,
		`\p{Foo}`:     "Foo",
		`(?s:.)`:      "flag",
		`(?~a)`:       "group",
		`a{2}+`:       "repetition",
		`a{2}?`:       "repetition",
		`(`:           "(",
		`*`:           "*",

		strings.Repeat("a", maxRegex+1): "65537 bytes",
	} {
		if _, err := newRegex(expr); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "regex") {
			t.Errorf("%s: error %v, want one with %q", expr, err, want)
		}
	}
}
