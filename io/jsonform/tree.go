package jsonform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// object is a JSON object with its members in their original order.
type object struct {
	names  []string
	values map[string]any
}

const deepestSchema = 100

// parse parses JSON into bool, string, [json.Number], nil, []any and *object.
func parse(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("got more behind a JSON value")
	}
	return v, nil
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	if depth > deepestSchema {
		return nil, fmt.Errorf("got values within values deeper than %d", deepestSchema)
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		o := &object{values: map[string]any{}}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			key := name.(string)
			if _, twice := o.values[key]; !twice {
				o.names = append(o.names, key)
			}
			o.values[key] = v
		}
		_, err := d.Token()
		return o, err
	}
	return t, nil
}

// write returns a parsed value as JSON without white space.
func write(v any) string {
	var b bytes.Buffer
	switch v := v.(type) {
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(write(item))
		}
		b.WriteByte(']')
	case *object:
		b.WriteByte('{')
		for i, name := range v.names {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(write(name) + ":" + write(v.values[name]))
		}
		b.WriteByte('}')
	default:
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(v)
		b.Truncate(b.Len() - 1)
	}
	return b.String()
}
