package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// Value is a JSON value. Objects keep the order of their members, and numbers their kind: 1.0 is not 1. The zero Value is
// null.
type Value struct{ v value }

// DecodeJSON reads one JSON value. Of members with equal names it keeps the last value, in the first one's place.
func DecodeJSON(data []byte) (Value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := decode(d, 0)
	if err == nil {
		if _, more := d.Token(); more == nil {
			err = errors.New("got more than one value")
		} else if !errors.Is(more, io.EOF) {
			err = more
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Value{}, fmt.Errorf("chat: JSON at byte %d: %w", d.InputOffset(), err)
	}
	return Value{v}, nil
}

func decode(d *json.Decoder, depth int) (value, error) {
	if depth > maxJSON {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxJSON)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case bool, string:
		return t, nil
	case json.Number:
		return decodeNumber(t.String())
	case json.Delim:
		if t == '[' {
			l := &list{}
			for d.More() {
				item, err := decode(d, depth+1)
				if err != nil {
					return nil, err
				}
				l.items = append(l.items, item)
			}
			_, err := d.Token()
			return l, err
		}
		m := &dict{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decode(d, depth+1)
			if err != nil {
				return nil, err
			}
			m.set(k, v)
		}
		_, err := d.Token()
		return m, err
	}
	return none, nil
}

func decodeNumber(s string) (value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, _ := strconv.ParseFloat(s, 64) // too large ones become infinite, as in Python
		return f, nil
	}
	if len(s) > maxDigits {
		return nil, fmt.Errorf("a number has more than %d digits", maxDigits)
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return nil, fmt.Errorf("got %q, want a number", s)
	}
	return shrink(n), nil
}

// String returns a string as a Value.
func String(s string) Value { return Value{strings.ToValidUTF8(s, "\ufffd")} }

// Int returns a whole number as a Value.
func Int(n int64) Value { return Value{n} }

// List returns an array of values.
func List(items ...Value) Value {
	l := &list{}
	for _, item := range items {
		l.items = append(l.items, item.value())
	}
	return Value{l}
}

// Object returns an object with the given members.
func Object(members ...Member) Value {
	d := &dict{}
	for _, m := range members {
		d.set(m.Name, m.Value.value())
	}
	return Value{d}
}

// Member is a member of an object.
type Member struct {
	Name  string
	Value Value
}

// Message returns a message of a conversation: an object with "role" and "content".
func Message(role, content string) Value {
	return Object(Member{"role", String(role)}, Member{"content", String(content)})
}

func (v Value) value() value {
	if v.v == nil {
		return none
	}
	return v.v
}

// IsNull reports whether v is null, as the zero Value is.
func (v Value) IsNull() bool { return v.value() == none }

// MarshalJSON writes v as JSON, with members in order.
func (v Value) MarshalJSON() (data []byte, err error) {
	defer recoverRaised(func(x raised) { err = errors.New("chat: " + x.message) })
	return []byte((&run{}).toJSON(v.value(), jsonStyle{item: ",", key: ":"})), nil
}

// UnmarshalJSON reads v like [DecodeJSON].
func (v *Value) UnmarshalJSON(data []byte) (err error) {
	*v, err = DecodeJSON(data)
	return err
}

// jsonStyle holds the options of Python's json.dumps.
type jsonStyle struct {
	asciiOnly, sortKeys bool
	lines               bool   // each element on its own line
	indent              string // of one level
	item, key           string // separators between elements, and after a name
}

// toJSON writes v as Python's json.dumps does.
func (r *run) toJSON(v value, style jsonStyle) string {
	var b strings.Builder
	r.writeJSON(&b, v, &style, "\n")
	return b.String()
}

func (r *run) writeJSON(b *strings.Builder, v value, style *jsonStyle, newline string) {
	r.enter()
	defer r.leave()
	inner := newline
	if style.lines {
		r.made(len(newline) + len(style.indent))
		inner += style.indent
	}
	begin := func(i int) {
		if i > 0 {
			r.write(b, style.item)
		}
		if style.lines {
			r.write(b, inner)
		}
	}
	end := func(bracket string) {
		if style.lines {
			r.write(b, newline)
		}
		r.write(b, bracket)
	}
	var items []value
	switch v := v.(type) {
	case *dict:
		if v.len() == 0 {
			r.write(b, "{}")
			return
		}
		order := make([]int, v.len())
		for i := range order {
			order[i] = i
		}
		if style.sortKeys {
			sort.SliceStable(order, func(i, j int) bool { return r.compare("<", v.keys[order[i]], v.keys[order[j]]) })
		}
		r.write(b, "{")
		for n, i := range order {
			begin(n)
			r.write(b, quoteJSON(jsonKey(v.keys[i]), style.asciiOnly))
			r.write(b, style.key)
			r.writeJSON(b, v.vals[i], style, inner)
		}
		end("}")
		return
	case *list:
		items = v.items
	case *tuple:
		items = v.items
	default:
		r.write(b, jsonScalar(v, style.asciiOnly))
		return
	}
	if len(items) == 0 {
		r.write(b, "[]")
		return
	}
	r.write(b, "[")
	for i, item := range items {
		begin(i)
		r.writeJSON(b, item, style, inner)
	}
	end("]")
}

func jsonScalar(v value, asciiOnly bool) string {
	switch v := v.(type) {
	case string:
		return quoteJSON(v, asciiOnly)
	case markup:
		return quoteJSON(string(v), asciiOnly)
	case noneType:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	case int64, *big.Int:
		return intText(v)
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
		return floatText(v)
	}
	raise("Object of type %s is not JSON serializable", typeName(v))
	return ""
}

func jsonKey(k value) string {
	switch k := k.(type) {
	case string:
		return k
	case markup:
		return string(k)
	case noneType, bool, int64, *big.Int, float64:
		return jsonScalar(k, false)
	}
	raise("keys must be str, int, float, bool or None, not %s", typeName(k))
	return ""
}

const hexDigits = "0123456789abcdef"

// quoteJSON returns a JSON string with Python's escapes.
func quoteJSON(s string, asciiOnly bool) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	unit := func(u rune) {
		b.WriteString(`\u`)
		for shift := 12; shift >= 0; shift -= 4 {
			b.WriteByte(hexDigits[u>>shift&15])
		}
	}
	for _, c := range s {
		at := strings.IndexRune("\"\\\n\r\t\f\b", c)
		switch {
		case at >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\nrtfb`[at])
		case c < ' ' || asciiOnly && c > '~' && c < 0x10000:
			unit(c)
		case asciiOnly && c >= 0x10000:
			unit(0xd800 + (c-0x10000)>>10)
			unit(0xdc00 + (c-0x10000)&0x3ff)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
