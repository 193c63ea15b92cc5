package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLimits renders what would run on, or fill the memory, or the stack.
func TestLimits(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 400) + `{}` + strings.Repeat("}", 400)
	for _, c := range []struct{ name, template, want string }{
		{"a macro that calls itself", "{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}", "line 1: the template nests or calls itself deeper"},
		{"two macros that call each other", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", "deeper"},
		{"a caller that calls its macro", "{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}", "deeper"},
		{"a loop that calls itself", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "deeper"},
		{"tools that nest deeply", "{% macro m(t) %}{% if t.items %}{{ m(t['items']) }}{% endif %}{% endmacro %}{{ m(deep) }}", "deeper"},
		{"a string doubled 40 times", "{% set ns = namespace(s='x') %}{% for i in range(40) %}\n{% set ns.s = ns.s + ns.s %}{% endfor %}", "line 2: a string or list would take more"},
		{"a string doubled by ~", "{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "more than"},
		{"a string times a number", "{{ 'xxxx' * 100000000000 }}", "more than"},
		{"a list doubled 40 times", "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% endfor %}", "more than"},
		{"tuples of tuples, printed", "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ ns.s }}", "more than"},
		{"tuples of tuples, compared", "{% set ns = namespace(s=(1,), t=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}{{ ns.s == ns.t }}", "more than"},
		{"tuples of tuples, as keys", "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {}[ns.s] }}", "too large"},
		{"tuples of tuples, as keys of a literal", "{% set ns = namespace(s=(1,)) %}{% for i in range(60) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ {ns.s: 1} }}", "too large"},
		{"lists of lists, as JSON", "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s|tojson }}", "more than"},
		{"a namespace in itself", "{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns }}", "deeper"},
		{"a large range", "{% for i in range(10**9) %}{% endfor %}", "Range too big"},
		{"loops in loops", "{% for i in range(100000) %}{% for j in range(100000) %}{% for k in range(100000) %}{% endfor %}{% endfor %}{% endfor %}", "steps"},
		{"a wide field", "{{ '%1000000000s' % 1 }}", "more than"},
		{"a wide field of format", "{{ '{:>1000000000}'.format(1) }}", "more than"},
		{"a wide centre", "{{ 'x'|center(1000000000) }}", "more than"},
		{"a wide indent", "{{ [[[]]]|tojson(indent=100000000) }}", "more than"},
		{"deep JSON with a wide indent", "{{ deep|tojson(indent=1000000) }}", "more than"},
		{"a large power", "{{ 10 ** (10 ** 10) }}", "more than"},
		{"a number squared again and again", "{% set ns = namespace(n=10) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}", "more than"},
		{"a number too long to write", "{{ 10 ** 5000 }}", "digits"},
		{"much output", "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", "more than"},
		{"replacing by much", "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}", "more than"},
		{"joining much", "{{ ([1] * 100000)|join('b' * 100000) }}", "more than"},
		{"filling batches", "{{ [1]|batch(2 ** 31, 0)|list }}", "more than"},
		{"many slices", "{{ [1]|slice(2 ** 31, 0)|list }}", "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmpl, err := Parse(c.template)
			if err != nil {
				t.Fatal(err)
			}
			vars, err := DecodeJSON([]byte(`{"deep":` + deep + `}`))
			if err != nil {
				t.Fatal(err)
			}
			text, err := tmpl.RenderVariables(vars, testDay)
			var e *RenderError
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) || e.Line == 0 {
				t.Fatalf("got %d bytes and the error %v, want one with %q", len(text), err, c.want)
			}
		})
	}
}

// TestRefusals loads templates that are refused: the error names the construct and the line.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ template, want string }{
		{"\n{% include '/etc/hostname' %}", "chat: template line 2: 'include' is refused: a chat template may not read other files"},
		{"{% import 'x' as y %}", "'import' is refused"},
		{"{% from 'x' import y %}", "'from' is refused"},
		{"{% extends 'x' %}", "'extends' is refused"},
		{"a\n\n{% block x %}{% endblock %}", "line 3: the tag 'block' is not supported"},
		{"{% autoescape true %}{% endautoescape %}", "the tag 'autoescape' is not supported"},
		{"{% frob %}", "line 1: unknown tag 'frob'"},
		{"{{ x|frob }}", "line 1: there is no filter 'frob'"},
		{"{{ x|random }}", "the filter 'random' is not supported"},
		{"{% if x %}\n{{ x|urlize }}{% endif %}", "line 2: the filter 'urlize' is not supported"},
		{"{{ x is frob }}", "there is no test 'frob'"},
		{"{{ lipsum() }}", "'lipsum' is not supported"},
		{"{{ '\\N{DASH}' }}", "characters by name are not supported"},
		{"{% for x in y %}", "'for' has no 'endfor'"},
		{"{% if x %}{% endfor %}", "got 'endfor', want 'elif' or 'else' or 'endif'"},
		{"{{ a b }}", "got 'b', want '}}'"},
		{"{{ a", "got 'end of template', want '}}'"},
		{"{{ a ? }}", "unexpected character '?'"},
		{"{{ (a] }}", "got ']', want ')'"},
		{"{{ " + strings.Repeat("(", 10000) + strings.Repeat(")", 10000) + " }}", "nest deeper"},
		{"{{ " + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + " }}", "nest deeper"},
		{"{{ " + strings.Repeat("-", 10000) + "1 }}", "nest deeper"},
		{"{{ " + strings.Repeat("not ", 10000) + "1 }}", "nest deeper"},
		{"{{ " + strings.Repeat("1 if ", 10000) + "1 }}", "operators in a row"},
		{"{{ 1" + strings.Repeat(" if 1 else 1", 10000) + " }}", "nest deeper"},
		{"{{ 1" + strings.Repeat(" + 1", 10000) + " }}", "operators in a row"},
		{"{{ 1" + strings.Repeat("|abs", 10000) + " }}", "operators in a row"},
		{"{{ x" + strings.Repeat(".x", 10000) + " }}", "operators in a row"},
		{"{{ x" + strings.Repeat(strings.Repeat("|abs", 150)+" is none", 60) + " }}", "nests deeper"},
		{strings.Repeat("{% if x %}", 10000), "nest deeper"},
		{strings.Repeat("x", maxSource+1), "at most"},
		{"\xff", "not UTF-8"},
		{"{{ 1" + strings.Repeat("0", 5000) + " }}", "digits"},
	} {
		_, err := Parse(c.template)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: got the error %v, want one with %q", c.template, err, c.want)
		}
	}
}

// TestManyBranches loads a template whose ifs see many names each.
func TestManyBranches(t *testing.T) {
	var b strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&b, "{%%if n%d%%}{%%endif%%}", i)
	}
	if _, err := Parse(b.String()); err == nil || !strings.Contains(err.Error(), "too many names") {
		t.Errorf("got the error %v", err)
	}
}

// TestDecodeJSON keeps order, kinds of numbers, and the limits.
func TestDecodeJSON(t *testing.T) {
	const in = `{"b":1,"a":[1.0,1e2,-0,123456789012345678901234567890,true,null,"é\u00e9\ud83d\ude00"],"b":2}`
	v, err := DecodeJSON([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.MarshalJSON()
	if want := `{"b":2,"a":[1.0,100.0,0,123456789012345678901234567890,true,null,"éé😀"]}`; err != nil || string(out) != want {
		t.Errorf("got %s, %v\nwant %s", out, err, want)
	}
	for in, want := range map[string]string{
		"":                             "unexpected EOF",
		"[1,":                          "unexpected EOF",
		"{} {}":                        "more than one value",
		"[1] x":                        "invalid character",
		"nul":                          "unexpected EOF",
		"nil":                          "invalid character",
		strings.Repeat("[", 600):       "deeper than 500",
		strings.Repeat("[", 1000000):   "deeper than 500",
		"1" + strings.Repeat("0", 5e3): "4300 digits",
	} {
		if _, err := DecodeJSON([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got the error %v, want one with %q", in, err, want)
		}
	}
}
