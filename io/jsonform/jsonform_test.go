package jsonform

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// everyByte is a vocabulary of all bytes, some words, and an end.
func everyByte() *Vocabulary {
	var tokens [][]byte
	for b := range 256 {
		tokens = append(tokens, []byte{byte(b)})
	}
	for _, word := range []string{`{"`, `": `, `", "`, `"}`, `}}`, `]}`, ` "`, "\n  ", "\n    ", "true", "false", "null", "name", "age", "12", "0.5", "é", "</", "think", "ünd", `":"`, `"a`, "]", "word", "],", "[[", "e5", "-1", " ", "   ", `\n`, `\u`, `\"`} {
		tokens = append(tokens, []byte(word))
	}
	tokens = append(tokens, nil, nil)
	return NewVocabulary(tokens, []uint32{uint32(len(tokens) - 1)})
}

// random writes a text by drawing among what the mask allows. Where it is long already it takes what closes.
func random(t *testing.T, f *Form, v *Vocabulary, seed uint64) string {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	w := f.Begin(v)
	var b strings.Builder
	for {
		mask, err := w.Mask()
		if err != nil {
			t.Fatalf("behind %q: %v", b.String(), err)
		}
		var can []uint32
		for id := range uint32(v.size) {
			if mask[id/64]&(1<<(id%64)) != 0 {
				can = append(can, id)
			}
		}
		if b.Len() > 300 { // some texts need a letter yet
			closing := can[:0:0]
			for _, id := range can {
				if int(id) == v.size-1 || slices.Contains([]string{"word", `\n`}, string(v.bytes[id])) || len(v.bytes[id]) == 1 && strings.Contains(`"]}/@.#0abdkorwxy`, string(v.bytes[id])) {
					closing = append(closing, id)
				}
			}
			if len(closing) > 0 {
				can = closing
			}
		}
		id := can[r.IntN(len(can))]
		if err := w.Add(id); err != nil {
			t.Fatalf("behind %q: %v", b.String(), err)
		}
		if int(id) == v.size-1 {
			return b.String()
		}
		if b.Write(v.bytes[id]); b.Len() > 100_000 {
			t.Fatalf("no end: %.300q …", b.String())
		}
	}
}

const person = `{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":12},"age":{"type":"integer","minimum":0,"maximum":120},
	"mail":{"type":["string","null"]},"tags":{"type":"array","items":{"enum":["a","b\n",3,null,{"x":[1,2]}]},"minItems":1,"maxItems":3}},"required":["name","tags"],"additionalProperties":false}`

var schemas = []string{
	`true`, `{}`, `{"type":"object"}`, `{"type":"array"}`, `{"type":"string"}`, `{"type":"number"}`, `{"type":"integer"}`, `{"type":"boolean"}`, `{"type":"null"}`,
	person, `{"const":{"a":[1,"é"]}}`, `{"type":"string","minLength":3,"maxLength":3}`, `{"type":"integer","minimum":-17,"exclusiveMaximum":1003}`,
	`{"type":"integer","exclusiveMinimum":99}`, `{"type":"integer","maximum":-1000}`, `{"type":"number","minimum":0.25,"exclusiveMaximum":1}`, `{"type":"number","exclusiveMinimum":-2.5,"maximum":-0.125}`,
	`{"type":"number","minimum":1e3}`, `{"enum":["x","xy","xyz",1,12,123]}`,
	`{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"integer"}},{"$ref":"#/$defs/n"}],"$defs":{"n":{"type":"object","properties":{"next":{"$ref":"#"}}}}}`,
	`{"$ref":"#/definitions/tree","definitions":{"tree":{"type":"object","properties":{"value":{"type":"number"},"children":{"type":"array","items":{"$ref":"#/definitions/tree"}}},"required":["value"]}}}`,
	`{"type":"object","additionalProperties":{"type":"integer"},"properties":{"no":{"type":"boolean"},"none":{"type":"null"}}}`,
	`{"type":"object","required":["what"],"properties":{"never":false}}`,
	`{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":1}`,
	`{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":3}`,
	`{"oneOf":[{"type":"object","properties":{"kind":{"const":"cat"},"lives":{"type":"integer"}},"required":["kind"]},{"type":"object","properties":{"kind":{"enum":["dog","wolf"]}},"required":["kind"]},{"type":"null"}]}`,
	`{"allOf":[{"type":"boolean"}],"title":"one","format":"none"}`, `{"properties":{"a":{"minLength":2}}}`,
	`{"type":"object","properties":{"day":{"type":"string","pattern":"^\\d{4}-\\d{2}$"},"who":{"type":["string","null"],"pattern":"^[A-Zé]","maxLength":7}},"required":["day","who"],"additionalProperties":false}`,
}

// Whatever is written by the mask fits the schema, as another program says, and each text ends.
func TestTextsFitTheirSchema(t *testing.T) {
	v := everyByte()
	for _, schema := range schemas {
		f, err := Schema([]byte(schema))
		if err != nil {
			t.Errorf("%s: %v", schema, err)
			continue
		}
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("schema.json", document); err != nil {
			t.Fatal(err)
		}
		valid, err := c.Compile("schema.json")
		if err != nil {
			t.Fatal(err)
		}
		different := map[string]bool{}
		for seed := range uint64(60) {
			text := random(t, f, v, seed)
			different[text] = true
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
			if err == nil && utf8.ValidString(text) {
				err = valid.Validate(value)
			}
			if err != nil || !utf8.ValidString(text) {
				t.Fatalf("%s: got %q: %v", schema, text, err)
			}
		}
		if len(different) < 2 && !strings.Contains(schema, "const\":{") && schema != `{"type":"null"}` {
			t.Errorf("%s: got %v every time", schema, different)
		}
	}
}

// takes says whether a form takes a text as a whole.
func takes(t *testing.T, schema string, thought Thought, text string) bool {
	t.Helper()
	f := Object()
	if schema != "" {
		var err error
		if f, err = Schema([]byte(schema)); err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
	}
	w := f.After(thought).Begin(everyByte())
	for _, b := range []byte(text) {
		if w.Add(uint32(b)) != nil {
			return false
		}
	}
	return w.Ends()
}

// What models write is taken, and what is not JSON, or does not fit, is not.
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		schema, text string
		want         bool
	}{
		{"", `{}`, true}, {"", ` {"a": 1, "b": [true, null, "x"]}`, true}, {"", "{\n  \"a\": {\n    \"b\": -1.5e-3\n  }\n}", true}, {"", `{"a":"é😀\u00e9\n"}`, true},
		{"", `[]`, false}, {"", `{"a":1,}`, false}, {"", `{"a":01}`, false}, {"", `{"a":"\ud800"}`, false}, {"", "{\"a\":\"\xff\"}", false}, {"", "{\"a\":\"\x01\"}", false}, {"", `{"a":.5}`, false},
		{"", `{"a":1}}`, false}, {"", `{"a":1`, false}, {"", `{"a":1} `, false}, {"", `{"a" 1}`, false}, {"", `{"a":tru}`, false}, {"", `{"a":1e999}`, false}, {"", "{\n\n}", false},
		{"", strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), true}, {"", strings.Repeat(`{"a":`, 66) + "1" + strings.Repeat("}", 66), false},
		{person, `{"name": "Ann", "age": 30, "mail": null, "tags": ["a", 3]}`, true}, {person, `{"name":"Ann","tags":["a"]}`, true}, {person, `{"name":"Ann","tags":[{"x":[1,2]}]}`, true},
		{person, `{"tags":["a"],"name":"Ann"}`, false}, {person, `{"name":"Ann","tags":[]}`, false}, {person, `{"name":"","tags":["a"]}`, false}, {person, `{"name":"Ann"}`, false},
		{person, `{"name":"Ann","age":121,"tags":["a"]}`, false}, {person, `{"name":"Ann","tags":["a"],"x":1}`, false}, {person, `{"name":"Ann","tags":["a","a","a","a"]}`, false},
		{`{"type":"number","minimum":0.25,"exclusiveMaximum":1}`, `0.25`, true}, {`{"type":"number","minimum":0.25,"exclusiveMaximum":1}`, `0.2`, false}, {`{"type":"number","minimum":0.25,"exclusiveMaximum":1}`, `1`, false},
		{`{"type":"integer","minimum":-5,"maximum":5}`, `-5`, true}, {`{"type":"integer","minimum":-5,"maximum":5}`, `-6`, false}, {`{"type":"integer","minimum":100,"maximum":199}`, `100`, true}, {`{"type":"integer","minimum":100,"maximum":199}`, `10`, false},
		{`{"additionalProperties":{"type":"integer"},"properties":{"no":{"type":"boolean"}}}`, `{"no":true,"not":1,"n":2}`, true},
		{`{"additionalProperties":{"type":"integer"},"properties":{"no":{"type":"boolean"}}}`, `{"n":1,"no":2}`, false},
		{`{"additionalProperties":{"type":"integer"},"properties":{"no":{"type":"boolean"}}}`, `{"n\u006f":2}`, false},
	} {
		if got := takes(t, c.schema, NoThought, c.text); got != c.want {
			t.Errorf("%s: %q: got %v, want %v", c.schema, c.text, got, c.want)
		}
	}
	for _, c := range []struct {
		thought Thought
		text    string
		want    bool
	}{
		{MayThink, "<think>\nIs { this } <it></thin?\n</think>\n\n{}", true}, {MayThink, "{}", true}, {MayThink, "x{}", false}, {MayThink, "<think>x", false}, {MayThink, "<think></think>x{}", false},
		{IsThinking, "so</</think>{}", true}, {IsThinking, "{}", false}, {NoThought, "<think></think>{}", false},
	} {
		if got := takes(t, "", c.thought, c.text); got != c.want {
			t.Errorf("thought %d: %q: got %v, want %v", c.thought, c.text, got, c.want)
		}
	}
}

// What is not held to is refused by its name and its place.
func TestRefusals(t *testing.T) {
	for schema, want := range map[string]string{
		`{"type":"string","pattern":"(?=a)b"}`:                            "#/pattern: is not held: error parsing regexp: invalid or unsupported Perl syntax: `(?=`",
		`{"pattern":"(a)\\1"}`:                                            "#/pattern: is not held: error parsing regexp: invalid escape sequence: `\\1`",
		`{"pattern":["a"]}`:                                               `#/pattern: got ["a"], want a regular expression`,
		`{"pattern":"^[a-z"}`:                                             "#/pattern: is not held: error parsing regexp: missing closing ]",
		`{"pattern":"` + strings.Repeat("a", 1001) + `"}`:                 "#/pattern: got 1001 bytes",
		`{"pattern":"(abcdefghi){1000}"}`:                                 "#/pattern: is not held: it repeats too much, to 13013 steps",
		`{"pattern":"^(.*a.{20}b|c)$"}`:                                   "#/pattern: is not held: it has too many states",
		`{"pattern":"^a+$","minLength":100000,"maxLength":200000}`:        "#/pattern: is not held: it has too many states",
		`{"pattern":"^abc$","maxLength":2}`:                               "#/pattern: no text that can be written fits it",
		`{"pattern":"a$b"}`:                                               "#/pattern: no text that can be written fits it",
		`{"pattern":"^\\x01$"}`:                                           "#/pattern: no text that can be written fits it",
		`{"properties":{"a":{"patternProperties":{}}}}`:                   "#/properties/a/patternProperties: is not held",
		`{"type":"array","uniqueItems":true}`:                             "#/uniqueItems: is not held",
		`{"not":{}}`:                                                      "#/not: is not held",
		`{"allOf":[{},{}]}`:                                               "#/allOf: got 2 schemas",
		`{"oneOf":[{"type":"string"},{"minLength":3}]}`:                   "#/oneOf: a value could fit schemas 0 and 1",
		`{"anyOf":[{}],"type":"object"}`:                                  "#/type: is not held beside anyOf",
		`{"type":"text"}`:                                                 `#/type: got the type "text"`,
		`{"$ref":"other.json"}`:                                           "#/$ref: got",
		`{"$ref":"#/$defs/x"}`:                                            `there is no "#/$defs/x"`,
		`{"$ref":"#"}`:                                                    "leads back to where it stands",
		`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`:                        "leads back to where it stands",
		`{"properties":{"a":{"$ref":"#"}},"required":["a"]}`:              "what it requires has no end",
		`{"type":"object","required":["a"],"additionalProperties":false}`: `"a" is none of its properties`,
		`{"type":"integer","minimum":3,"maximum":2}`:                      "fits it",
		`{"type":"integer","minimum":0.2,"maximum":0.8}`:                  "fits it",
		`{"type":"string","minLength":3,"maxLength":2}`:                   "no value fits it",
		`{"type":"string","minLength":-3}`:                                "#/minLength: got -3",
		`{"type":"string","enum":[1]}`:                                    "has no value of the type",
		`{"enum":[]}`:                                                     "",
		`false`:                                                           "no value fits",
		`7`:                                                               "want a schema",
		`{`:                                                               "is not JSON",
		`{"properties":[]}`:                                               "#/properties: got []",
		`{"minimum":1e999999999}`:                                         "#/minimum: got",
		`{"enum":[` + strings.Repeat("1,", mostTexts) + `1]}`:             "more than 5000",
		strings.Repeat(`{"items":`, 200) + "{}" + strings.Repeat("}", 200):    "deeper than 100",
		`{"anyOf":[` + strings.Repeat(`{"type":"null"},`, mostNodes) + `{}]}`: "more than 5000",
	} {
		_, err := Schema([]byte(schema))
		if !errors.Is(err, ErrSchema) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: got %v, want %q", schema, err, want)
		}
	}
}

// A schema that can be read in ever more ways ends with an error, and long texts do not grow the tables.
func TestBounded(t *testing.T) {
	f, err := Schema([]byte(`{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"array","items":{"$ref":"#"},"minItems":0},{"type":"array","items":{"$ref":"#"},"maxItems":9}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := f.Begin(everyByte())
	for range 60 {
		if err = w.Add('['); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrForm) {
		t.Errorf("got %v, want an end of all the ways to read it", err)
	}
	if f, err = Schema([]byte(`{"type":"array","items":{"type":"string","maxLength":7},"maxItems":100000}`)); err != nil {
		t.Fatal(err)
	}
	w = f.Begin(everyByte())
	for i, b := range []byte("[" + strings.Repeat(`"abcde", `, 500) + `"a"]`) {
		if mask, err := w.Mask(); err != nil || mask[b/64]&(1<<(b%64)) == 0 {
			t.Fatalf("byte %d: got %v, want it allowed", i, err)
		}
		if err := w.Add(uint32(b)); err != nil {
			t.Fatal(err)
		}
	}
	if !w.Ends() || len(w.a.states) > 8*mostStates || len(w.a.stacks) > 2*mostStacks {
		t.Errorf("got %d states and %d stacks", len(w.a.states), len(w.a.stacks))
	}
	if _, err := Object().Begin(NewVocabulary([][]byte{[]byte("a"), nil}, []uint32{1})).Mask(); !errors.Is(err, ErrForm) {
		t.Errorf("a vocabulary without a brace: got %v", err)
	}
}

// The mask is what adding each token would say.
func TestMaskEqualsAdding(t *testing.T) {
	v := everyByte()
	f, err := Schema([]byte(person))
	if err != nil {
		t.Fatal(err)
	}
	f = f.After(MayThink)
	text := "<think>a</think>\n{\"name\": \"é\\n\", \"age\": 12, \"tags\": [{\"x\":[1,2]}, null]}"
	for n := range len(text) + 1 {
		w := f.Begin(v)
		for _, b := range []byte(text[:n]) {
			if err := w.Add(uint32(b)); err != nil {
				t.Fatalf("%q: %v", text[:n], err)
			}
		}
		mask, err := w.Mask()
		if err != nil {
			t.Fatal(err)
		}
		for id := range uint32(v.size) {
			other := f.Begin(v)
			for _, b := range []byte(text[:n]) {
				other.Add(uint32(b))
			}
			if got, want := mask[id/64]&(1<<(id%64)) != 0, other.Add(id) == nil; got != want {
				t.Errorf("behind %q: token %q: got %v, want %v", text[:n], v.bytes[id], got, want)
			}
		}
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s))
	}
	v := everyByte()
	f.Fuzz(func(t *testing.T, data []byte) {
		form, err := Schema(data)
		if err != nil {
			return
		}
		w := form.Begin(v)
		for i := range 40 {
			mask, err := w.Mask()
			if err != nil {
				if !errors.Is(err, ErrForm) {
					t.Fatal(err)
				}
				return
			}
			for id := uint32(i * 7); ; id++ {
				if id %= uint32(v.size); mask[id/64]&(1<<(id%64)) != 0 {
					if w.Add(id) != nil || int(id) == v.size-1 {
						return
					}
					break
				}
			}
		}
	})
}
