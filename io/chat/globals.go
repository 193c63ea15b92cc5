package chat

import "time"

// globals are the functions that every template can call.
var globals map[string]value

func init() {
	globals = map[string]value{}
	for name, f := range map[string]func(r *run, a callArgs) value{
		"range":           rangeOf,
		"dict":            dictOf,
		"namespace":       func(r *run, a callArgs) value { return &namespace{dictOf(r, a).(*dict)} },
		"raise_exception": raiseException,
		"strftime_now":    strftimeNow,
		"cycler": func(r *run, a callArgs) value {
			if len(a.kw) > 0 || len(a.pos) == 0 {
				raise("at least one item has to be provided")
			}
			return &cycler{items: a.pos}
		},
		"joiner": func(r *run, a callArgs) value {
			j := &joiner{sep: ", "}
			if p := a.bind("joiner", "sep"); p[0] != nil {
				j.sep = p[0]
			}
			return j
		},
	} {
		globals[name] = &function{name: name, call: f}
	}
}

func rangeOf(r *run, a callArgs) value {
	if len(a.kw) > 0 || len(a.pos) < 1 || len(a.pos) > 3 {
		raise("range wants one to three arguments")
	}
	var p [3]int64
	for i, v := range a.pos {
		if u, ok := v.(*undefined); ok {
			u.fail()
		}
		n, ok := number(v)
		if !ok || n.isFloat {
			raise("'%s' object cannot be interpreted as an integer", typeName(v))
		}
		if n.b != nil || n.i > 1<<53 || n.i < -1<<53 {
			raise("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
		}
		p[i] = n.i
	}
	g := pyRange{start: p[0], stop: p[1], step: 1}
	switch len(a.pos) {
	case 1:
		g.start, g.stop = 0, p[0]
	case 3:
		if g.step = p[2]; g.step == 0 {
			raise("range() arg 3 must not be zero")
		}
	}
	if span := g.stop - g.start; span > 0 && g.step > 0 {
		g.n = (span-1)/g.step + 1
	} else if span < 0 && g.step < 0 {
		g.n = (-span-1)/-g.step + 1
	}
	if g.n > maxRange {
		raise("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", maxRange)
	}
	return g
}

// dictOf is Python's dict(…).
func dictOf(r *run, a callArgs) value {
	d := &dict{}
	if len(a.pos) > 1 {
		raise("dict expected at most 1 argument, got %d", len(a.pos))
	}
	if len(a.pos) == 1 {
		switch from := a.pos[0].(type) {
		case *dict:
			d = r.copyDict(from)
		default:
			it := r.iter(from)
			for v, ok := it(); ok; v, ok = it() {
				pair := r.collect(v)
				if len(pair) != 2 {
					raise("dictionary update sequence element has length %d; 2 is required", len(pair))
				}
				r.elements(2)
				d.set(pair[0], pair[1])
			}
		}
	}
	r.elements(2 * len(a.kw))
	for _, k := range a.kw {
		d.set(k.name, k.val)
	}
	return d
}

func raiseException(r *run, a callArgs) value {
	p := a.bind("raise_exception", "message")
	if p[0] == nil {
		raise("raise_exception wants a message")
	}
	panic(raised{message: r.str(p[0]), byUs: true})
}

func strftimeNow(r *run, a callArgs) value {
	p := a.bind("strftime_now", "format")
	format, ok := text(p[0])
	if !ok {
		raise("strftime() argument 1 must be str")
	}
	r.made(16 * len(format))
	return strftime(format, r.now)
}

// strftimeLayouts maps the directives of C's strftime, in the C locale, to Go's layouts.
var strftimeLayouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan", 'd': "02", 'e': "_2", 'm': "01", 'y': "06", 'Y': "2006",
	'H': "15", 'I': "03", 'p': "PM", 'M': "04", 'S': "05", 'f': "000000", 'j': "002", 'Z': "", 'z': "", 'D': "01/02/06",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
	'n': "\n", 't': "\t", '%': "%", 'r': "03:04:05 PM",
}

// strftime formats a local time without a zone, as datetime.now().strftime does.
func strftime(format string, t time.Time) string {
	var out []byte
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out = append(out, format[i])
			continue
		}
		i++
		c, short := format[i], false
		if c == '-' && i+1 < len(format) {
			i++
			c, short = format[i], true
		}
		part, ok := "", true
		switch c {
		case 'f':
			part = t.Format(".000000")[1:]
		case 'u':
			part = string(rune('0' + (int(t.Weekday())+6)%7 + 1))
		case 'w':
			part = string(rune('0' + int(t.Weekday())))
		default:
			var layout string
			if layout, ok = strftimeLayouts[c]; ok {
				part = t.Format(layout)
			}
		}
		if !ok {
			raise("the directive %%%c of strftime is not supported", c)
		}
		if short {
			for len(part) > 1 && (part[0] == '0' || part[0] == ' ') {
				part = part[1:]
			}
		}
		out = append(out, part...)
	}
	return string(out)
}
