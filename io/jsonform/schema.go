package jsonform

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// ErrSchema is returned for a schema that is invalid, that no value satisfies, or that uses something unsupported. The text
// says where.
var ErrSchema = errors.New("the schema cannot be held to")

// Limits of a schema.
const (
	mostNodes = 5000
	mostTexts = 5000 // members and literals
	mostBytes = 1 << 20
)

// compiler turns a schema into nodes.
type compiler struct {
	root  any
	nodes []*node
	known map[*object]*node // targets of references
	texts int
	work  int // spent on regular expressions
}

func refuse(at, format string, a ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrSchema, at, fmt.Sprintf(format, a...))
}

// compile returns the node of a whole schema, and the schema as parsed.
func compile(data []byte) (n *node, root any, err error) {
	if len(data) > mostBytes {
		return nil, nil, refuse("#", "got %d bytes, want at most %d", len(data), mostBytes)
	}
	if root, err = parse(data); err != nil {
		return nil, nil, refuse("#", "is not JSON: %v", err)
	}
	c := &compiler{root: root, known: map[*object]*node{}}
	if n, err = c.schema(root, "#"); err != nil {
		return nil, nil, err
	}
	if err := c.loops(); err != nil {
		return nil, nil, err
	}
	measure(c.nodes)
	switch {
	case n.depth >= endless:
		return nil, nil, refuse("#", "no value fits it: what it requires has no end")
	case n.depth >= deepest:
		return nil, nil, refuse("#", "got values of at least %d within each other, want at most %d", n.depth, deepest)
	}
	return n, root, nil
}

// loops refuses choices that refer to themselves before any text is written.
func (c *compiler) loops() error {
	const entered, left = 1, 2
	seen := map[*node]int{}
	var enter func(n *node) bool
	enter = func(n *node) bool {
		if n.kind != choice || seen[n] == left {
			return true
		}
		if seen[n] == entered {
			return false
		}
		seen[n] = entered
		for _, other := range n.choices {
			if !enter(other) {
				return false
			}
		}
		seen[n] = left
		return true
	}
	for _, n := range c.nodes {
		if !enter(n) {
			return refuse("$ref", "leads back to where it stands")
		}
	}
	return nil
}

// notes are keywords without an effect.
var notes = strings.Fields("title description default example examples $schema $id $comment $defs definitions $anchor deprecated readOnly writeOnly format discriminator strict name")

// keywords are those that apply to each type of values.
var keywords = map[string][]string{
	"object": strings.Fields("properties required additionalProperties"),
	"array":  strings.Fields("items prefixItems minItems maxItems uniqueItems"),
	"string": strings.Fields("minLength maxLength pattern"),
	"number": strings.Fields("minimum maximum exclusiveMinimum exclusiveMaximum"),
}

func (c *compiler) add(n *node) (*node, error) {
	if c.nodes = append(c.nodes, n); len(c.nodes) > mostNodes {
		return nil, refuse("#", "got more than %d schemas within each other", mostNodes)
	}
	return n, nil
}

func (c *compiler) schema(v any, at string) (*node, error) {
	o, ok := v.(*object)
	switch {
	case v == true:
		return anyValue, nil
	case v == false:
		return nil, refuse(at, "is false, which no value fits")
	case !ok:
		return nil, refuse(at, "got %.40s, want a schema", write(v))
	}
	if n := c.known[o]; n != nil {
		return n, nil
	}
	n, err := c.add(&node{kind: choice})
	if err != nil {
		return nil, err
	}
	c.known[o] = n
	made, err := c.object(o, at)
	if err != nil {
		return nil, err
	}
	n.choices = made
	return n, nil
}

// object returns the alternatives of a schema.
func (c *compiler) object(o *object, at string) ([]*node, error) {
	only := func(keyword string, others ...string) error {
		for _, name := range o.names {
			if name != keyword && !slices.Contains(notes, name) && !slices.Contains(others, name) {
				return refuse(at+"/"+name, "is not held beside %s", keyword)
			}
		}
		return nil
	}
	for _, keyword := range []string{"$ref", "anyOf", "oneOf", "allOf", "const", "enum"} {
		v, ok := o.values[keyword]
		if !ok {
			continue
		}
		at := at + "/" + keyword
		switch keyword {
		case "$ref":
			if err := only(keyword); err != nil {
				return nil, err
			}
			n, err := c.reference(v, at)
			return []*node{n}, err
		case "const":
			v = []any{v}
			fallthrough
		case "enum":
			if err := only(keyword, "type"); err != nil {
				return nil, err
			}
			n, err := c.literals(v, o.values["type"], at)
			return []*node{n}, err
		}
		if err := only(keyword); err != nil {
			return nil, err
		}
		list, ok := v.([]any)
		if !ok || len(list) == 0 {
			return nil, refuse(at, "got %.40s, want a list of schemas", write(v))
		}
		if keyword == "allOf" && len(list) > 1 {
			return nil, refuse(at, "got %d schemas, and only one is held", len(list))
		}
		var all []*node
		for i, item := range list {
			n, err := c.schema(item, fmt.Sprintf("%s/%d", at, i))
			if err != nil {
				return nil, err
			}
			all = append(all, n)
		}
		if keyword == "oneOf" {
			for i := range all {
				for j := range i {
					if !c.apart(all[i], all[j]) {
						return nil, refuse(at, "a value could fit schemas %d and %d, and only anyOf allows that", j, i)
					}
				}
			}
		}
		return all, nil
	}
	return c.typed(o, at)
}

// apart is the function apart for nodes that may be choices, including choices still being built.
func (c *compiler) apart(a, b *node) bool {
	for a.kind == choice && len(a.choices) == 1 {
		a = a.choices[0]
	}
	for b.kind == choice && len(b.choices) == 1 {
		b = b.choices[0]
	}
	return len(a.choices)+len(a.texts)+len(a.members) > 0 && len(b.choices)+len(b.texts)+len(b.members) > 0 && apart(flat(a), flat(b)) ||
		a.kind != choice && b.kind != choice && a.types()&b.types() == 0
}

// flat returns a node whose choices contain no choices.
func flat(n *node) *node {
	if n.kind != members {
		return n
	}
	f := *n
	f.members = slices.Clone(n.members)
	for i, m := range f.members {
		for m.value.kind == choice && len(m.value.choices) == 1 {
			m.value = m.value.choices[0]
		}
		f.members[i] = m
	}
	return &f
}

// reference resolves "#/…".
func (c *compiler) reference(v any, at string) (*node, error) {
	ref, _ := v.(string)
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil, refuse(at, "got %.100s, want #/… within the schema", write(v))
	}
	found := c.root
	for _, name := range strings.Split(path, "/")[1:] {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		switch in := found.(type) {
		case *object:
			found, ok = in.values[name]
		case []any:
			i := 0
			if _, err := fmt.Sscanf(name, "%d", &i); err != nil || i < 0 || i >= len(in) {
				ok = false
			} else {
				found = in[i]
			}
		default:
			ok = false
		}
		if !ok {
			return nil, refuse(at, "there is no %.100q", ref)
		}
	}
	if path != "" && !strings.HasPrefix(path, "/") {
		return nil, refuse(at, "there is no %.100q", ref)
	}
	return c.schema(found, ref)
}

func (c *compiler) literals(v, kind any, at string) (*node, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, refuse(at, "got %.40s, want a list of values", write(v))
	}
	wanted, err := typeNames(kind, at)
	if err != nil {
		return nil, err
	}
	n := &node{kind: literals}
	for _, item := range list {
		text := write(item)
		if number, ok := item.(json.Number); ok && len(number) > 64 {
			return nil, refuse(at, "got a number of %d characters, want at most 64", len(number))
		}
		if kind == nil || slices.ContainsFunc(wanted, func(name string) bool { return hasType(item, name) }) {
			n.texts = append(n.texts, text)
		}
	}
	if len(n.texts) == 0 {
		return nil, refuse(at, "has no value of the type %s", write(kind))
	}
	if c.texts += len(n.texts); c.texts > mostTexts {
		return nil, refuse("#", "got more than %d members and values", mostTexts)
	}
	return c.add(n)
}

// hasType reports whether a value has a JSON schema type.
func hasType(v any, name string) bool {
	if number, ok := v.(json.Number); ok && name == "integer" {
		r, ok := exact(number)
		return ok && r.IsInt()
	}
	t := typeOf(write(v))
	return map[string]types{"object": isObject, "array": isArray, "string": isText, "number": isNumber, "boolean": isBool, "null": isNull}[name] == t
}

// exact returns the exact value of a number, unless its exponent is absurd.
func exact(number json.Number) (*big.Rat, bool) {
	if i := strings.IndexAny(string(number), "eE"); i >= 0 && len(number)-i > 4 || len(number) > 400 {
		return nil, false
	}
	return new(big.Rat).SetString(string(number))
}
