package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

func absolute(r *run, v value, p []value) value {
	n, ok := number(v)
	switch {
	case !ok:
		raise("bad operand type for abs(): '%s'", typeName(v))
	case n.isFloat:
		return math.Abs(n.f)
	}
	return shrink(new(big.Int).Abs(n.big()))
}

// toFloat is Python's float(v), if v converts.
func (r *run) toFloat(v value) (float64, bool) {
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	if n, ok := number(v); ok {
		return n.float(), true
	}
	s, ok := text(v)
	if !ok {
		return 0, false
	}
	return parseFloat(s)
}

func parseFloat(s string) (float64, bool) {
	s = strings.TrimFunc(s, isSpace)
	if strings.ContainsAny(s, "xXpP") || !underscoresFit(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// underscoresFit reports whether every "_" is between two digits.
func underscoresFit(s string) bool {
	digit := func(i int) bool {
		return i >= 0 && i < len(s) && (decimal(s[i]) || strings.IndexByte("abcdefABCDEF", s[i]) >= 0)
	}
	for i := range s {
		if s[i] == '_' && !(digit(i-1) && digit(i+1)) {
			return false
		}
	}
	return true
}

// parseInt is Python's int(s, base).
func parseInt(s string, base int) (value, bool) {
	s = strings.TrimFunc(s, isSpace)
	body := strings.TrimLeft(s, "+-")
	if len(s)-len(body) > 1 || body == "" || len(body) > maxDigits || base != 0 && (base < 2 || base > 36) {
		return nil, false
	}
	if prefix := map[int]string{2: "0b", 8: "0o", 16: "0x"}[base]; prefix != "" && len(body) > 2 && strings.EqualFold(body[:2], prefix) {
		body = strings.TrimPrefix(body[2:], "_")
	}
	if base != 0 {
		for i := range body {
			if body[i] == '_' && (i == 0 || i == len(body)-1 || body[i-1] == '_') {
				return nil, false
			}
		}
		body = strings.ReplaceAll(body, "_", "")
	}
	if strings.ContainsAny(body, "+-") {
		return nil, false
	}
	n, ok := new(big.Int).SetString(body, base)
	if !ok {
		return nil, false
	}
	if s[0] == '-' {
		n.Neg(n)
	}
	return shrink(n), true
}

func toInt(r *run, v value, p []value) value {
	missing := value(int64(0))
	if p[0] != nil {
		missing = p[0]
	}
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	s, isText := text(v)
	if isText {
		if n, ok := parseInt(s, intOr(p[1], 10, "a base")); ok {
			return n
		}
	}
	if n, ok := number(v); ok && !n.isFloat {
		return shrink(n.big())
	}
	f, ok := r.toFloat(v)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		if !isText && math.IsInf(f, 0) {
			raise("cannot convert float infinity to integer")
		}
		return missing
	}
	return truncate(f)
}

func round(r *run, v value, p []value) value {
	method := "common"
	if p[1] != nil {
		method, _ = text(p[1])
	}
	precision := intOr(p[0], 0, "a precision")
	n, ok := number(v)
	if method != "common" && method != "ceil" && method != "floor" {
		raise("method must be common, ceil or floor")
	}
	if !ok {
		raise("type %s doesn't define __round__ method", typeName(v))
	}
	if precision > 400 || precision < -400 {
		raise("a precision of %d is not supported", precision)
	}
	if method == "common" {
		if !n.isFloat {
			return roundInt(n.big(), precision)
		}
		return roundFloat(n.f, precision)
	}
	// Jinja computes func(value * 10**precision) / 10**precision.
	scale := r.arith("**", num{i: 10}, num{i: int64(precision)})
	by, _ := number(scale)
	scaled, _ := number(r.arith("*", n, by))
	if scaled.isFloat {
		f := math.Floor(scaled.f)
		if method == "ceil" {
			f = math.Ceil(scaled.f)
		}
		scaled, _ = number(truncate(f))
	}
	return r.arith("/", scaled, by)
}

func roundFloat(f float64, precision int) value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	if precision >= 0 {
		x, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'f', precision, 64), 64)
		return x
	}
	n, _ := big.NewFloat(f).Int(nil)
	if f != math.Trunc(f) { // a fraction only matters for ties, which it rounds up
		n.Mul(n, big.NewInt(10))
		if f > 0 {
			n.Add(n, big.NewInt(1))
		} else {
			n.Sub(n, big.NewInt(1))
		}
		v, _ := number(roundInt(n, precision-1))
		return math.Copysign(v.float()/10, f)
	}
	v, _ := number(roundInt(n, precision))
	return math.Copysign(v.float(), f)
}

// roundInt rounds to 10**-precision, ties to even.
func roundInt(n *big.Int, precision int) value {
	if precision >= 0 {
		return shrink(n)
	}
	unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-precision)), nil)
	q, m := new(big.Int).DivMod(n, unit, new(big.Int))
	switch c := m.Lsh(m, 1).Cmp(unit); {
	case c > 0, c == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return shrink(q.Mul(q, unit))
}

func fileSize(f float64, binary bool) string {
	base, prefixes := 1000.0, strings.Fields("kB MB GB TB PB EB ZB YB")
	if binary {
		base, prefixes = 1024, strings.Fields("KiB MiB GiB TiB PiB EiB ZiB YiB")
	}
	switch {
	case f == 1:
		return "1 Byte"
	case f < base:
		return strconv.FormatFloat(math.Trunc(f), 'f', 0, 64) + " Bytes"
	}
	unit, i := base*base, 0
	for ; f >= unit && i < len(prefixes)-1; i++ {
		unit *= base
	}
	return strconv.FormatFloat(base*f/unit, 'f', 1, 64) + " " + prefixes[i]
}
