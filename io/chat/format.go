package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec says how to write one value, by "%" or by a format specification in braces.
type formatSpec struct {
	fill      string
	align     byte // '<', '>', '^', '=' or 0
	sign      byte // '+', ' ' or 0
	alternate bool
	width     int
	comma     string // between thousands
	precision int    // -1: none
	verb      byte   // 0: none
}

// formatPercent is Python's s % v.
func (r *run) formatPercent(marked value, s string, v value) value {
	args, isTuple := v.(*tuple)
	if !isTuple {
		args = &tuple{items: []value{v}}
	}
	mapping, _ := v.(*dict)
	var b strings.Builder
	used := 0
	next := func() value {
		if used == len(args.items) {
			raise("not enough arguments for format string")
		}
		used++
		return args.items[used-1]
	}
	byName := false
	for i := 0; i < len(s); {
		at := strings.IndexByte(s[i:], '%')
		if at < 0 {
			r.write(&b, s[i:])
			break
		}
		r.write(&b, s[i:i+at])
		i += at + 1
		var arg value
		if i < len(s) && s[i] == '(' {
			if mapping == nil {
				raise("format requires a mapping")
			}
			end := strings.IndexByte(s[i:], ')')
			if end < 0 {
				raise("incomplete format key")
			}
			name := s[i+1 : i+end]
			x, ok := mapping.get(name)
			if !ok {
				raise("%s", quote(name))
			}
			arg, byName = x, true
			i += end + 1
		}
		spec := formatSpec{fill: " ", precision: -1}
		for ; i < len(s) && strings.IndexByte("#0- +", s[i]) >= 0; i++ {
			switch s[i] {
			case '#':
				spec.alternate = true
			case '0':
				if spec.align != '<' {
					spec.fill, spec.align = "0", '='
				}
			case '-':
				spec.fill, spec.align = " ", '<'
			default:
				if spec.sign != '+' {
					spec.sign = s[i]
				}
			}
		}
		count := func() int {
			if i < len(s) && s[i] == '*' {
				i++
				return toIndex(next(), "*")
			}
			n := 0
			for ; i < len(s) && decimal(s[i]); i++ {
				n = min(n*10+int(s[i]-'0'), math.MaxInt32)
			}
			return n
		}
		if spec.width = count(); spec.width < 0 {
			spec.width, spec.align, spec.fill = -spec.width, '<', " "
		}
		if i < len(s) && s[i] == '.' {
			i++
			spec.precision = max(0, count())
		}
		for i < len(s) && strings.IndexByte("hlL", s[i]) >= 0 {
			i++
		}
		if i == len(s) {
			raise("incomplete format")
		}
		spec.verb = s[i]
		i++
		if spec.verb == '%' {
			r.write(&b, "%")
			continue
		}
		if arg == nil {
			arg = next()
		}
		if _, ok := marked.(markup); ok {
			if _, isNumber := number(arg); !isNumber {
				arg = r.escaped(arg)
			}
		}
		r.write(&b, r.percent(spec, arg))
	}
	if used < len(args.items) && !byName && mapping == nil {
		switch v.(type) {
		case *list, pyRange, *undefined:
			if used == 0 { // Python treats these as mappings, which need not be used
				return like(marked, b.String())
			}
		}
		raise("not all arguments converted during string formatting")
	}
	return like(marked, b.String())
}

func (r *run) percent(spec formatSpec, v value) string {
	switch spec.verb {
	case 's', 'r', 'a':
		s := ""
		if spec.verb == 's' {
			s = r.str(v)
		} else if s = r.repr(v); spec.verb == 'a' {
			s = asciiOnly(s)
		}
		if spec.align == '=' {
			spec.fill, spec.align = " ", '>'
		}
		return r.place(spec, "", r.shorten(spec, s), '>')
	case 'c':
		s, ok := text(v)
		if n, isNumber := number(v); isNumber {
			i, whole := n.whole()
			if n.isFloat || !whole || i < 0 || i > utf8.MaxRune {
				raise("%%c arg not in range(0x110000)")
			}
			s, ok = string(rune(i)), true
		}
		if !ok || runeCount(s) != 1 {
			raise("%%c requires int or char")
		}
		return r.place(spec, "", s, '>')
	case 'd', 'i', 'u', 'x', 'X', 'o', 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		raise("unsupported format character '%c'", spec.verb)
	}
	n, ok := number(v)
	if u, isUndefined := v.(*undefined); isUndefined {
		u.fail()
	}
	if !ok {
		raise("%%%c format: a real number is required, not %s", spec.verb, typeName(v))
	}
	if strings.IndexByte("diuxXo", spec.verb) >= 0 {
		if n.isFloat {
			if strings.IndexByte("xXo", spec.verb) >= 0 {
				raise("%%%c format: an integer is required, not float", spec.verb)
			}
			n, _ = number(truncate(n.f))
		}
		if spec.verb == 'i' || spec.verb == 'u' {
			spec.verb = 'd'
		}
		return r.formatInt(spec, n)
	}
	return r.formatFloat(spec, n.float())
}

func asciiOnly(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < utf8.RuneSelf {
			b.WriteRune(c)
		} else {
			b.WriteString(backslashed(c))
		}
	}
	return b.String()
}

// truncate cuts the fraction off a float.
func truncate(f float64) value {
	if math.IsNaN(f) {
		raise("cannot convert float NaN to integer")
	}
	if math.IsInf(f, 0) {
		raise("cannot convert float infinity to integer")
	}
	b, _ := big.NewFloat(f).Int(nil)
	return shrink(b)
}

// shorten cuts a string to the precision.
func (r *run) shorten(spec formatSpec, s string) string {
	if spec.precision >= 0 && spec.precision < runeCount(s) {
		return cut(s, 0, spec.precision)
	}
	return s
}

// place pads a sign and a text to the width; align applies unless the spec has an alignment.
func (r *run) place(spec formatSpec, sign, s string, align byte) string {
	if spec.align != 0 {
		align = spec.align
	}
	n := spec.width - runeCount(sign) - runeCount(s)
	if n <= 0 {
		return sign + s
	}
	r.made(min(n, maxString+1) * len(spec.fill))
	left, right := 0, 0
	switch align {
	case '<':
		right = n
	case '^':
		left, right = n/2, n-n/2
	case '=':
		return sign + strings.Repeat(spec.fill, n) + s
	default:
		left = n
	}
	return strings.Repeat(spec.fill, left) + sign + s + strings.Repeat(spec.fill, right)
}

func (spec formatSpec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case spec.sign == '+':
		return "+"
	case spec.sign == ' ':
		return " "
	}
	return ""
}

func (r *run) formatInt(spec formatSpec, n num) string {
	if spec.verb == 'c' {
		i, ok := n.whole()
		if !ok || i < 0 || i > utf8.MaxRune {
			raise("%%c arg not in range(0x110000)")
		}
		return r.place(spec, "", string(rune(i)), '<')
	}
	b := n.big()
	base, prefix := 10, ""
	switch spec.verb {
	case 'x', 'X':
		base, prefix = 16, "0x"
	case 'o':
		base, prefix = 8, "0o"
	case 'b':
		base, prefix = 2, "0b"
	}
	digits := new(big.Int).Abs(b).Text(base)
	if base == 10 && len(digits) > maxDigits {
		raise("a whole number has more than %d digits", maxDigits)
	}
	if d := spec.precision - len(digits); d > 0 {
		r.made(min(d, maxString+1))
		digits = strings.Repeat("0", d) + digits
	}
	if spec.comma != "" {
		digits = grouped(digits, spec.comma, base)
	}
	sign := spec.signOf(b.Sign() < 0)
	if spec.alternate {
		sign += prefix
	}
	if spec.verb == 'X' {
		digits, sign = strings.ToUpper(digits), strings.ToUpper(sign)
	}
	return r.place(spec, sign, digits, '>')
}

func grouped(digits, comma string, base int) string {
	size := 3
	if base != 10 {
		size = 4
	}
	head := (len(digits)-1)%size + 1
	out := digits[:head]
	for i := head; i < len(digits); i += size {
		out += comma + digits[i:i+size]
	}
	return out
}

func (r *run) formatFloat(spec formatSpec, f float64) string {
	precision := spec.precision
	if precision < 0 {
		precision = 6
	}
	if precision > 1000 {
		raise("a float would have more than 1000 digits")
	}
	sign := spec.signOf(math.Signbit(f) && !math.IsNaN(f))
	f = math.Abs(f)
	verb := spec.verb
	percent := ""
	if verb == '%' {
		f, verb, percent = f*100, 'f', "%"
	}
	var s string
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		s = floatText(f)
	case verb == 0 || verb == 'n':
		if verb == 0 && spec.precision < 0 {
			s = floatText(f)
			break
		}
		s = general(f, precision, spec.alternate)
		if verb == 0 && !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
	case verb == 'g' || verb == 'G':
		s = general(f, precision, spec.alternate)
	case verb == 'e' || verb == 'E':
		s = strconv.FormatFloat(f, 'e', precision, 64)
	default:
		s = strconv.FormatFloat(f, 'f', precision, 64)
	}
	if verb >= 'A' && verb <= 'Z' {
		s = strings.ToUpper(s)
	}
	if spec.comma != "" {
		whole, fraction := s, ""
		if i := strings.IndexAny(s, ".e"); i >= 0 {
			whole, fraction = s[:i], s[i:]
		}
		s = grouped(whole, spec.comma, 10) + fraction
	}
	return r.place(spec, sign, s+percent, '>')
}

// general is C's %g.
func general(f float64, precision int, keepZeros bool) string {
	if precision == 0 {
		precision = 1
	}
	s := strconv.FormatFloat(f, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	exp, _ := strconv.Atoi(exponent)
	if exp >= -4 && exp < precision {
		s = strconv.FormatFloat(f, 'f', precision-1-exp, 64)
		if !keepZeros && strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	if !keepZeros && strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + "e" + exponent
}
