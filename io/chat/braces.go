package chat

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

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
