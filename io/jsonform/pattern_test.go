package jsonform

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"unicode/utf8"
)

// expressions are those that schemas have, and what is odd in them.
var expressions = []string{
	``, `a`, `^a`, `a$`, `^a$`, `^$`, `^(cat|dog|fish)$`, `^[a-z]{2,5}$`, `^\d{4}-\d{2}-\d{2}$`, `^[A-Z][a-z]*( [A-Z][a-z]*)*$`, `^#[0-9a-fA-F]{6}$`,
	`^[\w.+-]+@[\w-]+(\.[\w-]+)+$`, `^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$`, `^\S+$`, `^.{3}$`, `^[^"\\]*$`, `^["\\\n\t]+$`,
	`^[äöüß]+$`, `^\p{Greek}{2,4}$`, `^[^a-zA-Z]{2}$`, `^[\x{10000}-\x{10fff}]$`, `(?i)^straße$`, `(?i)^k+$`, `\bword\b`, `\Bx`, `^(?:a|ab)(?:c|bcd)$`, `^(a*)*b$`, `(?m)^x$`,
	`^[\x{7f}-\x{9f}]+$`, `^\x{fffd}$`, `(?s)^.$`, `^[a-c]{0,3}?d`, `x{3}|y{2,}`, `^\/api\/v\d+\/`,
}

// Whatever is written by the mask is a text in which the regular expression is found, as Go's matcher says, of a length within its bounds; and
// each text that Go's matcher takes and that needs no long escapes is taken.
func TestPatterns(t *testing.T) {
	v := everyByte()
	for i, expression := range expressions {
		for _, bounds := range []string{"", `,"minLength":2`, `,"maxLength":9`, `,"minLength":1,"maxLength":40`} {
			quoted, err := json.Marshal(expression)
			if err != nil {
				t.Fatal(err)
			}
			schema := fmt.Sprintf(`{"type":"string","pattern":%s%s}`, quoted, bounds)
			f, err := Schema([]byte(schema))
			if err != nil {
				if !none[expression+bounds] {
					t.Errorf("%s: %v", schema, err)
				}
				continue
			}
			if none[expression+bounds] {
				t.Errorf("%s: is taken, and no text fits it", schema)
			}
			var least, most int
			fmt.Sscanf(bounds, `,"minLength":%d,"maxLength":%d`, &least, &most)
			fmt.Sscanf(bounds, `,"maxLength":%d`, &most)
			re := regexp.MustCompile(expression)
			for seed := range uint64(4) {
				text := random(t, f, v, seed+uint64(i))
				var value string
				if err := json.Unmarshal([]byte(text), &value); err != nil || !utf8.ValidString(text) {
					t.Fatalf("%s: got %q: %v", schema, text, err)
				}
				if n := utf8.RuneCountInString(value); !re.MatchString(value) || n < least || most > 0 && n > most {
					t.Fatalf("%s: got %q", schema, text)
				}
			}
			for _, text := range words {
				n := utf8.RuneCountInString(text)
				want := re.MatchString(text) && n >= least && (most == 0 || n <= most)
				if got := takes(t, schema, NoThought, write(text)); got != want {
					t.Errorf("%s: %q: got %v, want %v", schema, text, got, want)
				}
			}
		}
	}
}

// none are those that no text fits.
var none = map[string]bool{`^a$,"minLength":2`: true, `^$,"minLength":2`: true, `^$,"minLength":1,"maxLength":40`: true, `^\x{fffd}$,"minLength":2`: true, `(?s)^.$,"minLength":2`: true,
	`^[\x{10000}-\x{10fff}]$,"minLength":2`: true, `^\d{4}-\d{2}-\d{2}$,"maxLength":9`: true}

var words = []string{"", "a", "b", "ab", "ba", "aa", "cat", "dogs", "fish", "xyz", "abcde", "2026-11-29", "2026-1-1", "Ann Bee", "#00ffAA", "#00ffA", "a.b@c.de", "a@b", "127.0.0.1", "256.1.1.1",
	`"`, `\`, "\n", "\t\"\\", "äöü", "αβγ", "α", "12", "😀", "\U00010000", "straße", "STRASSE", "STRAẞE", "kKK", "K", "a word here", "words", "xx", "abcd", "acd", "abbcd", "aaab", "y\nx\nz", "\u0080", "\ufffd",
	"abd", "xxx", "yyyy", "/api/v1/x", "a\r", "日本語"}

// An expression within an object is held to beside the rest.
func TestPatternWithin(t *testing.T) {
	const schema = `{"type":"object","properties":{"day":{"type":"string","pattern":"^\\d{4}-\\d{2}$"},"who":{"type":["string","null"],"pattern":"^[A-Z]"}},"required":["day","who"],"additionalProperties":false}`
	for text, want := range map[string]bool{
		`{"day": "2026-11", "who": "Ann"}`: true, `{"day":"2026-11","who":null}`: true, `{"day":"2026-1","who":null}`: false, `{"day":"2026-11","who":"ann"}`: false,
		`{"day":"\u0032026-11","who":null}`: false,
	} {
		if got := takes(t, schema, NoThought, text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// Whatever an expression is, its texts do not get stuck, and what ends is found by Go's matcher.
func FuzzPattern(f *testing.F) {
	for i, expression := range expressions {
		f.Add(expression, uint8(i%3), uint8(i), uint64(i))
	}
	v := everyByte()
	f.Fuzz(func(t *testing.T, expression string, least, most uint8, seed uint64) {
		if !utf8.ValidString(expression) { // no JSON
			return
		}
		schema := &object{names: []string{"pattern", "minLength", "maxLength"}, values: map[string]any{
			"pattern": expression, "minLength": json.Number(fmt.Sprint(least)), "maxLength": json.Number(fmt.Sprint(most))}}
		form, err := Schema([]byte(write(schema)))
		if err != nil {
			if !errors.Is(err, ErrSchema) {
				t.Fatal(err)
			}
			return
		}
		r := rand.New(rand.NewPCG(seed, 2))
		w := form.Begin(v)
		var text []byte
		for {
			mask, err := w.Mask()
			if err != nil {
				t.Fatalf("%q behind %q: %v", expression, text, err)
			}
			var can []uint32
			for id := range uint32(v.size) {
				if mask[id/64]&(1<<(id%64)) != 0 && (len(v.bytes[id]) == 1 || int(id) == v.size-1) {
					can = append(can, id)
				}
			}
			id := can[r.IntN(len(can))]
			if err := w.Add(id); err != nil {
				t.Fatal(err)
			}
			if int(id) == v.size-1 {
				break
			}
			text = append(text, v.bytes[id]...)
		}
		var value string
		if err := json.Unmarshal(text, &value); err != nil {
			t.Fatalf("%q: %q: %v", expression, text, err)
		}
		if n := utf8.RuneCountInString(value); !regexp.MustCompile(expression).MatchString(value) || n < int(least) || n > int(most) {
			t.Fatalf("%q of %d to %d characters: got %q", expression, least, most, value)
		}
	})
}
