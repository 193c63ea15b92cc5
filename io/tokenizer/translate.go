package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// Oniguruma's \w within a class: alphabetic characters, marks, decimal digits and connectors.
	wordSet = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24B6-\u24E9\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}`
	// Outside of a class it also includes six signs of Latin-1.
	loneWordSet = wordSet + `\u00B2\u00B3\u00B9\u00BC-\u00BE`
	hexSet      = `0-9A-Fa-f`
)

// outsideClass translates escapes outside of a class; \w and \h may also be within one.
var outsideClass = map[byte]string{
	'w': "[" + loneWordSet + "]",
	'W': "[^" + loneWordSet + "]",
	'h': "[" + hexSet + "]",
	'H': "[^" + hexSet + "]",
	'b': `(?:(?<=[` + loneWordSet + `])(?![` + loneWordSet + `])|(?<![` + loneWordSet + `])(?=[` + loneWordSet + `]))`,
	'B': `(?:(?<=[` + loneWordSet + `])(?=[` + loneWordSet + `])|(?<![` + loneWordSet + `])(?![` + loneWordSet + `]))`,
	'R': `(?>\r\n|[\n-\r\u0085\u2028\u2029])`,
}

var (
	interval = regexp.MustCompile(`^\{(\d*)(,\d*)?\}`)
	property = regexp.MustCompile(`^\\([pP])\{(\^?)([^{}]*)\}`)
	flags    = regexp.MustCompile(`^\(\?[a-z]*(-[a-z]*)?[:)]`)
	group    = regexp.MustCompile(`^\(\?(<?[=!]|[:>#<'])`)
)

// translate converts an expression from Oniguruma's Ruby syntax to regexp2's, which is .NET's. What both understand alike
// stays unchanged; what would silently mean something else is refused by name.
func translate(expr string) (string, error) {
	t := translator{rest: expr}
	for t.rest != "" {
		if err := t.next(); err != nil {
			return "", err
		}
	}
	return t.out.String(), nil
}

type translator struct {
	rest string
	out  strings.Builder
}

// copy copies n bytes unchanged.
func (t *translator) copy(n int) {
	t.out.WriteString(t.rest[:n])
	t.rest = t.rest[n:]
}

// replace writes s instead of the next n bytes.
func (t *translator) replace(n int, s string) {
	t.out.WriteString(s)
	t.rest = t.rest[n:]
}

func (t *translator) next() error {
	switch t.rest[0] {
	case '\\':
		return t.escape(false)
	case '[':
		return t.class()
	case '(':
		return t.open()
	case '{':
		return t.repeat()
	}
	t.copy(1)
	return nil
}

func (t *translator) class() error {
	t.copy(1)
	if strings.HasPrefix(t.rest, "^") {
		t.copy(1)
	}
	if strings.HasPrefix(t.rest, "]") { // it comes first, so it is a plain character
		t.replace(1, `\]`)
	}
	for t.rest != "" {
		switch {
		case t.rest[0] == ']':
			t.copy(1)
			return nil
		case t.rest[0] == '\\':
			if err := t.escape(true); err != nil {
				return err
			}
		case t.rest[0] == '[':
			return fmt.Errorf("a class within a class, %.12q, is not supported", t.rest)
		case strings.HasPrefix(t.rest, "&&"):
			return fmt.Errorf("the intersection of classes, %.12q, is not supported", t.rest)
		default:
			t.copy(1)
		}
	}
	return fmt.Errorf("a class is not closed")
}

func (t *translator) escape(inClass bool) error {
	if len(t.rest) < 2 {
		return fmt.Errorf(`it ends in a lone \`)
	}
	c := t.rest[1]
	switch {
	case c == 'p' || c == 'P':
		m := property.FindStringSubmatch(t.rest)
		if m == nil {
			return fmt.Errorf(`\%c without {name} is not supported`, c)
		}
		letter := m[1]
		if m[2] != "" {
			letter = map[string]string{"p": "P", "P": "p"}[letter]
		}
		t.replace(len(m[0]), `\`+letter+"{"+m[3]+"}")
	case inClass && c == 'w':
		t.replace(2, wordSet)
	case inClass && c == 'h':
		t.replace(2, hexSet)
	case inClass && strings.IndexByte("WHRB", c) >= 0:
		return fmt.Errorf(`\%c within a class is not supported`, c)
	case !inClass && outsideClass[c] != "":
		t.replace(2, outsideClass[c])
	case strings.IndexByte("nrtfvaexudDsSbAZzGk0123456789", c) >= 0:
		t.copy(2)
	case 'a' <= c|0x20 && c|0x20 <= 'z':
		return fmt.Errorf(`\%c is not supported`, c)
	default:
		_, n := utf8.DecodeRuneInString(t.rest[1:])
		character := t.rest[1 : 1+n]
		if c != '_' && c < utf8.RuneSelf {
			character = `\` + character
		}
		t.replace(1+n, character)
	}
	return nil
}

// open handles a parenthesis. Ruby's flag m, "the dot matches a line feed", is s elsewhere; its ^ and $ have no flag.
func (t *translator) open() error {
	if !strings.HasPrefix(t.rest, "(?") {
		t.copy(1)
		return nil
	}
	if m := flags.FindString(t.rest); m != "" && m != "(?:" {
		if i := strings.IndexFunc(m[2:], func(r rune) bool { return !strings.ContainsRune("imx-:)", r) }); i >= 0 {
			return fmt.Errorf("the flag %q in %q is not supported", m[2+i], m)
		}
		t.replace(len(m), strings.ReplaceAll(m, "m", "s"))
		return nil
	}
	m := group.FindString(t.rest)
	if m == "" {
		return fmt.Errorf("the group %.6q is not supported", t.rest)
	}
	t.copy(len(m))
	return nil
}

// repeat handles a brace: Ruby's {n}? is an optional {n}, and its {n,m}+ is not possessive.
func (t *translator) repeat() error {
	m := interval.FindStringSubmatch(t.rest)
	if m == nil || m[1] == "" && len(m[2]) < 2 {
		t.replace(1, `\{`)
		return nil
	}
	after := t.rest[len(m[0]):]
	if strings.HasPrefix(after, "+") || m[2] == "" && strings.HasPrefix(after, "?") {
		return fmt.Errorf("the repetition %q is not supported", m[0]+after[:1])
	}
	if m[1] == "" {
		m[1] = "0"
	}
	t.replace(len(m[0]), "{"+m[1]+m[2]+"}")
	return nil
}
