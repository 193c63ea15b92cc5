package jsonform

import "math"

// kind is the kind of a schema node.
type kind byte

const (
	choice kind = iota // one of several nodes
	literals
	text
	number
	array
	members

	sequence       // of nodes, one after another
	parameterLines // of a call, by members
	textLine       // one of these lines that contains plain text
)

// node is a schema in the form that the automaton uses.
type node struct {
	kind    kind
	choices []*node
	texts   []string // of literals, as JSON

	least, most int      // characters or items; most below 0: no limit
	pattern     *pattern // for a string, and already includes least and most; or nil

	whole   bool  // an integer
	bounded bool  // low and high apply, in units of 10⁻ᶠʳᵃᶜᵗⁱᵒⁿ
	low     int64 // of at most `digits` digits
	high    int64

	first []*node // items of an array
	rest  *node   // further items, or members of an object without a name here; nil: none

	members []member
	names   map[string]bool

	depth int // of the least deeply nested value
}

type member struct {
	name     string
	text     string // as JSON, with the closing quote and a colon
	value    *node
	required bool
}

const (
	digits   = 18 // of a number's integer part, which fit into an int64
	fraction = 6  // digits after the decimal point of a bounded number
	deepest  = 64 // nesting of values
	endless  = math.MaxInt32
)

// closes reports whether an object may end without its members from i on.
func (n *node) closes(i int) bool {
	for _, m := range n.members[i:] {
		if m.required {
			return false
		}
	}
	return true
}

var (
	anyText   = &node{kind: text, most: -1}
	anyNumber = &node{kind: number}
	anyObject = &node{kind: members, depth: 1}
	anyArray  = &node{kind: array, most: -1, depth: 1}
	anyValue  = &node{kind: choice, choices: []*node{anyObject, anyArray, anyText, anyNumber, {kind: literals, texts: []string{"true", "false", "null"}}}}
)

func init() { anyObject.rest, anyArray.rest = anyValue, anyValue }

// measure finds the smallest depth of each node's values, infinite if there are none.
func measure(nodes []*node) {
	for _, n := range nodes {
		n.depth = endless
	}
	for changed := true; changed; {
		changed = false
		for _, n := range nodes {
			if d := n.shallowest(); d < n.depth {
				n.depth, changed = d, true
			}
		}
	}
}

func (n *node) shallowest() int {
	within := 0
	switch n.kind {
	case choice:
		within = endless
		for _, c := range n.choices {
			within = min(within, c.depth)
		}
		return within
	case array:
		for i := range n.least {
			if i < len(n.first) {
				within = max(within, n.first[i].depth)
			} else if n.rest != nil {
				within = max(within, n.rest.depth)
				break
			}
		}
	case members:
		for _, m := range n.members {
			if m.required {
				within = max(within, m.value.depth)
			}
		}
	default:
		return 0
	}
	if within >= endless {
		return endless
	}
	return within + 1
}

// types returns the JSON types of a node's values.
func (n *node) types() (found types) {
	switch n.kind {
	case choice:
		for _, c := range n.choices {
			found |= c.types()
		}
	case literals:
		for _, t := range n.texts {
			found |= typeOf(t)
		}
	case text:
		return isText
	case number:
		return isNumber
	case array:
		return isArray
	case members:
		return isObject
	}
	return found
}

// types is a set of JSON types.
type types byte

const (
	isText types = 1 << iota
	isNumber
	isArray
	isObject
	isBool
	isNull
)

// typeOf returns the type of a value from its JSON.
func typeOf(text string) types {
	switch text[0] {
	case '"':
		return isText
	case '[':
		return isArray
	case '{':
		return isObject
	case 't', 'f':
		return isBool
	case 'n':
		return isNull
	}
	return isNumber
}

// apart reports whether it is obvious that no value belongs to both nodes: they have different types, different literals, or
// a required member with different literals.
func apart(a, b *node) bool {
	if a.types()&b.types() == 0 {
		return true
	}
	for _, side := range [2][2]*node{{a, b}, {b, a}} {
		if side[0].kind == choice {
			for _, c := range side[0].choices {
				if !apart(c, side[1]) {
					return false
				}
			}
			return true
		}
	}
	if a.kind == literals && b.kind == literals {
		for _, t := range a.texts {
			for _, other := range b.texts {
				if t == other {
					return false
				}
			}
		}
		return true
	}
	if a.kind != members || b.kind != members {
		return false
	}
	for _, m := range a.members {
		for _, other := range b.members {
			if m.name == other.name && m.required && other.required && m.value.kind == literals && other.value.kind == literals && apart(m.value, other.value) {
				return true
			}
		}
	}
	return false
}
