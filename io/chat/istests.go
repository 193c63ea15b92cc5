package chat

import (
	"math/big"
	"strings"
)

// tests are what can follow "is".
var tests map[string]*filter

func init() {
	tests = map[string]*filter{}
	def := func(names string, holds func(r *run, v value) bool) {
		for _, name := range strings.Fields(names) {
			tests[name] = &filter{fn: func(r *run, v value, p []value) value { return holds(r, v) }}
		}
	}
	def2 := func(names, param string, holds func(r *run, v, w value) bool) {
		for _, name := range strings.Fields(names) {
			tests[name] = &filter{params: []string{param}, least: 1, fn: func(r *run, v value, p []value) value {
				return holds(r, v, p[0])
			}}
		}
	}
	def("defined", func(r *run, v value) bool { _, ok := v.(*undefined); return !ok })
	def("undefined", func(r *run, v value) bool { _, ok := v.(*undefined); return ok })
	def("none", func(r *run, v value) bool { return v == none })
	def("boolean", func(r *run, v value) bool { _, ok := v.(bool); return ok })
	def("true", func(r *run, v value) bool { return v == true })
	def("false", func(r *run, v value) bool { return v == false })
	def("integer", func(r *run, v value) bool {
		switch v.(type) {
		case int64, *big.Int:
			return true
		}
		return false
	})
	def("float", func(r *run, v value) bool { _, ok := v.(float64); return ok })
	def("number", func(r *run, v value) bool { _, ok := number(v); return ok })
	def("string", func(r *run, v value) bool { _, ok := text(v); return ok })
	def("mapping", func(r *run, v value) bool { _, ok := v.(*dict); return ok })
	def("iterable", func(r *run, v value) bool { return canIterate(v) })
	def("sequence", func(r *run, v value) bool {
		switch v.(type) {
		case string, markup, *list, *tuple, *dict, pyRange, *undefined:
			return true
		}
		return false
	})
	def("callable", func(r *run, v value) bool {
		switch v.(type) {
		case *function, *macro, *loopContext, *joiner, *undefined:
			return true
		}
		return false
	})
	def("escaped", func(r *run, v value) bool { _, ok := v.(markup); return ok })
	def("lower", func(r *run, v value) bool { return isLower(r.str(v)) })
	def("upper", func(r *run, v value) bool { return isUpper(r.str(v)) })
	def("odd", func(r *run, v value) bool { return r.eq(r.binary("%", v, int64(2)), int64(1)) })
	def("even", func(r *run, v value) bool { return r.eq(r.binary("%", v, int64(2)), int64(0)) })
	def("filter", func(r *run, v value) bool { hash(v); name, ok := text(v); return ok && filters[name] != nil })
	def("test", func(r *run, v value) bool { hash(v); name, ok := text(v); return ok && tests[name] != nil })
	def2("divisibleby", "num", func(r *run, v, w value) bool { return r.eq(r.binary("%", v, w), int64(0)) })
	def2("sameas", "other", func(r *run, v, w value) bool { return r.same(v, w) })
	def2("in", "seq", func(r *run, v, w value) bool { return r.contains(w, v) })
	for op, names := range map[string]string{"==": "== eq equalto", "!=": "!= ne", "<": "< lt lessthan", "<=": "<= le",
		">": "> gt greaterthan", ">=": ">= ge"} {
		def2(names, "other", func(r *run, v, w value) bool { return r.compareOp(op, v, w) })
	}
}
