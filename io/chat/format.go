package chat

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// formatSpec is how one value is to be written, by "%" or by a format specification of braces.
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
			if used == 0 { // Python takes these for mappings, of which nothing need be used
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

// truncate is a float without its fraction, as a whole number.
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

// place fills a sign and a text up to the width; align is where the text goes if the spec does not say.
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

// formatBraces is str.format.
func (r *run) formatBraces(s string, a callArgs) value {
	var b strings.Builder
	auto := 0
	r.formatInto(&b, s, a, &auto, 2)
	return b.String()
}

func (r *run) formatInto(b *strings.Builder, s string, a callArgs, auto *int, levels int) {
	if levels == 0 {
		raise("Max string recursion exceeded")
	}
	for i := 0; i < len(s); {
		at := strings.IndexAny(s[i:], "{}")
		if at < 0 {
			r.write(b, s[i:])
			return
		}
		r.write(b, s[i:i+at])
		i += at
		if i+1 < len(s) && s[i+1] == s[i] {
			r.write(b, s[i:i+1])
			i += 2
			continue
		}
		if s[i] == '}' {
			raise("Single '}' encountered in format string")
		}
		end, depth := i+1, 1
		for ; end < len(s); end++ {
			if s[end] == '{' {
				depth++
			} else if s[end] == '}' {
				if depth--; depth == 0 {
					break
				}
			}
		}
		if end == len(s) {
			raise("expected '}' before end of string")
		}
		r.formatField(b, s[i+1:end], a, auto, levels)
		i = end + 1
	}
}

// formatField writes one {field!conversion:spec}.
func (r *run) formatField(b *strings.Builder, field string, a callArgs, auto *int, levels int) {
	name, spec := field, ""
	bracket := false
	for i := 0; i < len(field); i++ {
		if field[i] == '[' {
			bracket = true
		} else if field[i] == ']' {
			bracket = false
		}
		if !bracket && (field[i] == ':' || field[i] == '!') {
			name, spec = field[:i], field[i:]
			break
		}
	}
	conversion := byte(0)
	if strings.HasPrefix(spec, "!") {
		if len(spec) < 2 || len(spec) > 2 && spec[2] != ':' {
			raise("expected ':' after conversion specifier")
		}
		conversion, spec = spec[1], spec[2:]
	}
	v := r.formatValue(name, a, auto)
	switch conversion {
	case 0:
	case 's':
		v = r.str(v)
	case 'r':
		v = r.repr(v)
	case 'a':
		v = asciiOnly(r.repr(v))
	default:
		raise("Unknown conversion specifier %c", conversion)
	}
	spec = strings.TrimPrefix(spec, ":")
	if strings.ContainsAny(spec, "{}") {
		var inner strings.Builder
		r.formatInto(&inner, spec, a, auto, levels-1)
		spec = inner.String()
	}
	r.write(b, r.formatOne(v, spec))
}

// formatValue finds the value of a field name: an argument, and attributes and items of it.
func (r *run) formatValue(name string, a callArgs, auto *int) value {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, rest := name[:end], name[end:]
	if first == "" {
		if *auto < 0 {
			raise("cannot switch from manual field specification to automatic field numbering")
		}
		first = strconv.Itoa(*auto)
		*auto++
	} else if decimal(first[0]) {
		if *auto > 0 {
			raise("cannot switch from automatic field numbering to manual field specification")
		}
		*auto = -1
	}
	var v value
	if n, err := strconv.Atoi(first); err == nil {
		if n < 0 || n >= len(a.pos) {
			raise("Replacement index %d out of range for positional args tuple", n)
		}
		v = a.pos[n]
	} else {
		for _, k := range a.kw {
			if k.name == first {
				v = k.val
			}
		}
		if v == nil {
			raise("%s", quote(first))
		}
	}
	for rest != "" {
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[") + 1
			if end == 0 {
				end = len(rest)
			}
			v, rest = r.getattr(v, rest[1:end]), rest[end:]
			continue
		}
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 2 {
			raise("Empty attribute in format string")
		}
		key := value(rest[1:end])
		if n, err := strconv.ParseInt(rest[1:end], 10, 64); err == nil && n >= 0 {
			key = n
		}
		v, rest = r.getitem(v, key), rest[end+1:]
	}
	return v
}

// formatOne is Python's format(v, spec).
func (r *run) formatOne(v value, text string) string {
	if text == "" {
		return r.str(v)
	}
	n, isNumber := number(v)
	s, isString := v.(string)
	if m, ok := v.(markup); ok {
		s, isString = string(m), true
	}
	if !isNumber && !isString {
		raise("unsupported format string passed to %s.__format__", typeName(v))
	}
	spec := parseFormatSpec(text)
	if isString {
		if spec.verb != 0 && spec.verb != 's' {
			raise("Unknown format code '%c' for object of type 'str'", spec.verb)
		}
		if spec.align == '=' || spec.sign != 0 || spec.comma != "" {
			raise("the format specification %s does not fit a str", quote(text))
		}
		return r.place(spec, "", r.shorten(spec, s), '<')
	}
	switch {
	case n.isFloat && strings.IndexByte("eEfFgGn%\x00", spec.verb) >= 0:
		return r.formatFloat(spec, n.f)
	case !n.isFloat && strings.IndexByte("eEfFgG%", spec.verb) >= 0:
		return r.formatFloat(spec, n.float())
	case !n.isFloat && strings.IndexByte("bcdoxXn\x00", spec.verb) >= 0:
		if spec.precision >= 0 {
			raise("Precision not allowed in integer format specifier")
		}
		return r.formatInt(spec, n)
	}
	raise("Unknown format code '%c' for object of type '%s'", spec.verb, typeName(v))
	return ""
}

// parseFormatSpec reads [[fill]align][sign][#][0][width][,][.precision][type].
func parseFormatSpec(s string) formatSpec {
	spec := formatSpec{fill: " ", precision: -1}
	whole := s
	aligns := func(c byte) bool { return strings.IndexByte("<>^=", c) >= 0 }
	if _, n := utf8.DecodeRuneInString(s); len(s) > n && aligns(s[n]) {
		spec.fill, spec.align, s = s[:n], s[n], s[n+1:]
	} else if s != "" && aligns(s[0]) {
		spec.align, s = s[0], s[1:]
	}
	take := func(set string) byte {
		if s != "" && strings.IndexByte(set, s[0]) >= 0 {
			c := s[0]
			s = s[1:]
			return c
		}
		return 0
	}
	count := func() int {
		n := 0
		for s != "" && decimal(s[0]) {
			n = min(n*10+int(s[0]-'0'), math.MaxInt32)
			s = s[1:]
		}
		return n
	}
	if spec.sign = take("+- "); spec.sign == '-' {
		spec.sign = 0
	}
	spec.alternate = take("#") != 0
	if take("0") != 0 && spec.align == 0 {
		spec.fill, spec.align = "0", '='
	}
	spec.width = count()
	if c := take(",_"); c != 0 {
		spec.comma = string(c)
	}
	if take(".") != 0 {
		if s == "" || !decimal(s[0]) {
			raise("Format specifier missing precision")
		}
		spec.precision = count()
	}
	if len(s) > 1 {
		raise("Invalid format specifier %s", quote(whole))
	}
	spec.verb = take(s)
	return spec
}
