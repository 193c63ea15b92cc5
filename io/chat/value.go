package chat

import (
	"fmt"
	"math/big"
)

// value is a Python value: noneType, bool, int64, *big.Int (only beyond int64), float64, string, markup, *list, *tuple,
// *dict, *view, pyRange, *generator, *undefined, *namespace, *macro, *function, *loopContext, *cycler or *joiner. nil means
// no value: a name to which nothing was assigned.
type value = any

type noneType struct{}

var none = noneType{}

// markup is a string marked by escape or safe; strings joined to it are escaped.
type markup string

type list struct{ items []value }

// tuple may have names for its items, as groupby returns them.
type tuple struct {
	items []value
	names []string
}

// pyRange is range(start, stop, step), of n elements.
type pyRange struct{ start, stop, step, n int64 }

func (r pyRange) at(i int64) int64 { return r.start + i*r.step }

// view is d.keys(), d.values() or d.items().
type view struct {
	of   *dict
	kind string
}

// undefined is the result of a missing name or attribute: it prints as nothing, and most other uses raise its message.
type undefined struct {
	message string
}

func (u *undefined) fail() { raise("%s", u.message) }

type namespace struct{ attrs *dict }

// function is a callable implemented here: a global function, or a method bound to its value.
type function struct {
	name   string
	method bool
	call   func(r *run, a callArgs) value
}

// callArgs are the arguments of one call.
type callArgs struct {
	pos []value
	kw  []named
}

type named struct {
	name string
	val  value
}

// jsonName returns JSON's name for the type of a value, for messages about files; those about templates use Python's.
func jsonName(v value) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case noneType:
		return "null"
	case bool:
		return fmt.Sprint(v)
	case int64, *big.Int, float64:
		return "a number"
	case string:
		return "a string"
	case *list:
		return "an array"
	case *dict:
		return "an object"
	}
	return typeName(v)
}

// typeName is Python's name of a value's type.
func typeName(v value) string {
	switch v := v.(type) {
	case noneType:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case markup:
		return "Markup"
	case *list:
		return "list"
	case *tuple:
		return "tuple"
	case *dict:
		return "dict"
	case pyRange:
		return "range"
	case *view:
		return "dict_" + v.kind
	case *generator:
		return "generator"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *macro:
		return "Macro"
	case *loopContext:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	case *joiner:
		return "Joiner"
	}
	if f, ok := v.(*function); ok && f.method {
		return "builtin_function_or_method"
	}
	return "function"
}

// objectName is how Jinja refers to a value in "… has no attribute …".
func objectName(v value) string {
	switch v.(type) {
	case noneType:
		return "None"
	case *namespace, *macro, *loopContext, *undefined, *cycler, *joiner:
		return "jinja2 " + typeName(v) + " object"
	}
	return typeName(v) + " object"
}

// text returns the string in v, marked or not.
func text(v value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case markup:
		return string(v), true
	}
	return "", false
}

// like returns s, marked if v is.
func like(v value, s string) value {
	if _, ok := v.(markup); ok {
		return markup(s)
	}
	return s
}

func truth(v value) bool {
	switch v := v.(type) {
	case noneType, *undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case markup:
		return v != ""
	case *list:
		return len(v.items) > 0
	case *tuple:
		return len(v.items) > 0
	case *dict:
		return v.len() > 0
	case *view:
		return v.of.len() > 0
	case pyRange:
		return v.n > 0
	case *loopContext:
		return v.length() > 0
	}
	return true
}

// length is Python's len.
func (r *run) length(v value) int {
	switch v := v.(type) {
	case string:
		r.charge(len(v))
		return runeCount(v)
	case markup:
		r.charge(len(v))
		return runeCount(string(v))
	case *list:
		return len(v.items)
	case *tuple:
		return len(v.items)
	case *dict:
		return v.len()
	case *view:
		return v.of.len()
	case pyRange:
		return int(v.n)
	case *undefined:
		return 0
	case *loopContext:
		return v.length()
	}
	raise("object of type '%s' has no len()", typeName(v))
	return 0
}
