package jsonform

import "math"

// kind is what a node of a schema is.
type kind byte

const (
	choice kind = iota // one of others
	literals
	text
	number
	array
	members

	sequence       // of choices, one after the other
	parameterLines // of a call, by members
	textLine       // one of them that is a text
)

// node is a schema as the automaton runs it.
type node struct {
	kind    kind
	choices []*node
	texts   []string // of literals, as JSON

	least, most int      // characters or items; most below 0: no bound
	pattern     *pattern // of a text, which has least and most in it, or nil

	whole   bool  // a number without a fraction
	bounded bool  // low and high hold, in units of 10⁻ᶠʳᵃᶜᵗⁱᵒⁿ
	low     int64 // numbers of at most digits digits
	high    int64

	first []*node // of an array's items
	rest  *node   // the others, or an object's members that have no name here; nil: none

	members []member
	names   map[string]bool

	depth int // of the shallowest value
}

type member struct {
	name     string
	text     string // as JSON, with the quote behind it and a colon
	value    *node
	required bool
}

const (
	digits   = 18 // of a number's whole part, which an int64 has room for
	fraction = 6  // digits behind the point of a number that is bounded
	deepest  = 64 // values within values
	endless  = math.MaxInt32
)

// closes says whether an object may end where members from i on are missing.
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

// measure finds the depth of the shallowest value of each node, endless where there is none.
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

// types are the JSON types of a node's values.
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

// types are a set of JSON types.
type types byte

const (
	isText types = 1 << iota
	isNumber
	isArray
	isObject
	isBool
	isNull
)

// typeOf is the type of a value by its JSON.
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

// apart says whether no value is one of both, as far as that is plain: other types, other literals, or a required member that has
// other literals.
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
