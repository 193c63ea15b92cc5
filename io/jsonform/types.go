package jsonform

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

var typeOrder = []string{"object", "array", "string", "integer", "number", "boolean", "null"}

func typeNames(v any, at string) (names []string, err error) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, item := range list {
		name, _ := item.(string)
		if v != nil && !slices.Contains(typeOrder, name) {
			return nil, refuse(at, "got the type %.40s, want one of %s", write(item), strings.Join(typeOrder, ", "))
		}
		names = append(names, name)
	}
	if v != nil && len(names) == 0 {
		return nil, refuse(at, "got no type, want one at least")
	}
	return names, nil
}

// typed returns the alternatives of a schema by the types that it allows. If it does not say, its keywords imply them.
func (c *compiler) typed(o *object, at string) ([]*node, error) {
	names, err := typeNames(o.values["type"], at+"/type")
	if err != nil {
		return nil, err
	}
	var asked []string
	for _, name := range o.names {
		if name == "type" || slices.Contains(notes, name) {
			continue
		}
		known := ""
		for kind, words := range keywords {
			if slices.Contains(words, name) {
				known = kind
			}
		}
		if known == "" {
			return nil, refuse(at+"/"+name, "is not held")
		}
		if !slices.Contains(asked, known) {
			asked = append(asked, known)
		}
	}
	if o.values["type"] == nil {
		if len(asked) == 0 {
			return []*node{anyValue}, nil
		}
		names = asked
	}
	var all []*node
	for _, name := range names {
		var n *node
		switch name {
		case "object":
			n, err = c.members(o, at)
		case "array":
			n, err = c.array(o, at)
		case "string":
			n, err = c.text(o, at)
		case "number", "integer":
			n, err = numbers(o, name == "integer", at)
		case "boolean":
			n = &node{kind: literals, texts: []string{"true", "false"}}
		case "null":
			n = &node{kind: literals, texts: []string{"null"}}
		}
		if err != nil {
			return nil, err
		}
		if n, err = c.add(n); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func (c *compiler) text(o *object, at string) (*node, error) {
	n := &node{kind: text}
	var err error
	if n.least, n.most, err = bounds(o, "minLength", "maxLength", at); err != nil {
		return nil, err
	}
	if v, ok := o.values["pattern"]; ok {
		expression, ok := v.(string)
		if !ok {
			return nil, refuse(at+"/pattern", "got %.40s, want a regular expression", write(v))
		}
		n.pattern, err = c.pattern(expression, n.least, n.most, at+"/pattern")
	}
	return n, err
}

// bounds reads two integers from a schema; most is -1 if it is missing.
func bounds(o *object, low, high, at string) (least, most int, err error) {
	get := func(name string, otherwise int) (int, error) {
		v, ok := o.values[name]
		if !ok {
			return otherwise, nil
		}
		number, _ := v.(json.Number)
		if r, ok := exact(number); ok && r.IsInt() && r.Sign() >= 0 && r.Num().IsInt64() && r.Num().Int64() <= 1<<20 {
			return int(r.Num().Int64()), nil
		}
		return 0, refuse(at+"/"+name, "got %.40s, want a whole number up to %d", write(v), 1<<20)
	}
	if least, err = get(low, 0); err == nil {
		most, err = get(high, -1)
	}
	if err == nil && most >= 0 && least > most {
		err = refuse(at, "no value fits it: %s is %d and %s is %d", low, least, high, most)
	}
	return least, most, err
}

func (c *compiler) array(o *object, at string) (*node, error) {
	n := &node{kind: array, rest: anyValue}
	var err error
	if n.least, n.most, err = bounds(o, "minItems", "maxItems", at); err != nil {
		return nil, err
	}
	if unique, ok := o.values["uniqueItems"]; ok && unique != false {
		return nil, refuse(at+"/uniqueItems", "is not held")
	}
	if first, ok := o.values["prefixItems"]; ok {
		list, ok := first.([]any)
		if !ok {
			return nil, refuse(at+"/prefixItems", "got %.40s, want a list of schemas", write(first))
		}
		for i, item := range list {
			one, err := c.schema(item, fmt.Sprintf("%s/prefixItems/%d", at, i))
			if err != nil {
				return nil, err
			}
			n.first = append(n.first, one)
		}
	}
	if rest, ok := o.values["items"]; ok {
		n.rest = nil
		if rest != false {
			if n.rest, err = c.schema(rest, at+"/items"); err != nil {
				return nil, err
			}
		}
	}
	if n.rest == nil && n.least > len(n.first) {
		return nil, refuse(at, "no value fits it: minItems is %d and it has schemas of %d", n.least, len(n.first))
	}
	return n, nil
}

func (c *compiler) members(o *object, at string) (*node, error) {
	n := &node{kind: members, rest: anyValue, names: map[string]bool{}}
	extra, ok := o.values["additionalProperties"]
	var err error
	if ok {
		if n.rest = nil; extra != false {
			if n.rest, err = c.schema(extra, at+"/additionalProperties"); err != nil {
				return nil, err
			}
		}
	}
	required := map[string]bool{}
	if v, ok := o.values["required"]; ok {
		list, ok := v.([]any)
		for _, item := range list {
			name, isText := item.(string)
			required[name], ok = true, ok && isText
		}
		if !ok {
			return nil, refuse(at+"/required", "got %.40s, want a list of names", write(v))
		}
	}
	add := func(name string, v *node) {
		n.names[name] = true
		n.members = append(n.members, member{name, write(name) + ":", v, required[name]})
		for i, m := range n.members { // the opening quote has been read already
			n.members[i].text = strings.TrimPrefix(m.text, `"`)
		}
	}
	if v, ok := o.values["properties"]; ok {
		properties, ok := v.(*object)
		if !ok {
			return nil, refuse(at+"/properties", "got %.40s, want an object of schemas", write(v))
		}
		for _, name := range properties.names {
			if properties.values[name] == false && !required[name] {
				n.names[name] = true // this member is forbidden
				continue
			}
			one, err := c.schema(properties.values[name], at+"/properties/"+name)
			if err != nil {
				return nil, err
			}
			add(name, one)
		}
	}
	for _, name := range slices.Sorted(mapKeys(required)) {
		if n.names[name] {
			continue
		}
		if n.rest == nil {
			return nil, refuse(at+"/required", "no value fits it: %.100q is none of its properties, and there may be no others", name)
		}
		add(name, n.rest)
	}
	if c.texts += len(n.members); c.texts > mostTexts {
		return nil, refuse("#", "got more than %d members and values", mostTexts)
	}
	return n, nil
}

func mapKeys(m map[string]bool) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for name := range m {
			if !yield(name) {
				return
			}
		}
	}
}

// numbers returns a node for numbers, with bounds in units of the last digit that a number may have.
func numbers(o *object, whole bool, at string) (*node, error) {
	n := &node{kind: number, whole: whole, low: 1 - tens[digits], high: tens[digits] - 1}
	scale := big.NewRat(tens[fraction], 1)
	if whole {
		scale.SetInt64(1)
	}
	for _, name := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} {
		v, ok := o.values[name]
		if !ok {
			continue
		}
		given, _ := v.(json.Number)
		r, ok := exact(given)
		if !ok {
			return nil, refuse(at+"/"+name, "got %.40s, want a number", write(v))
		}
		n.bounded = true
		r.Mul(r, scale)
		down := new(big.Int).Div(r.Num(), r.Denom()) // towards -∞
		exclusive := strings.HasPrefix(name, "exclusive")
		if strings.HasSuffix(name, "inimum") {
			if !r.IsInt() || exclusive {
				down.Add(down, big.NewInt(1))
			}
			n.low = max(n.low, clamp(down))
		} else {
			if r.IsInt() && exclusive {
				down.Sub(down, big.NewInt(1))
			}
			n.high = min(n.high, clamp(down))
		}
	}
	if n.low > n.high || n.low >= tens[digits] || n.high <= -tens[digits] {
		return nil, refuse(at, "no number of %d digits, %d of them behind the point, fits it", digits, fraction)
	}
	return n, nil
}

func clamp(v *big.Int) int64 {
	limit := big.NewInt(tens[digits])
	if v.CmpAbs(limit) < 0 {
		return v.Int64()
	}
	return int64(v.Sign()) * tens[digits]
}
