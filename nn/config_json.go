package nn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sort"
)

// ParseConfig reads config.json. name is the file's, for errors.
func ParseConfig(name string, data []byte) (Config, error) {
	c, given, err := parseKeys(data)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	for _, k := range Keys {
		if k.Required && !given[k.Name] {
			return c, fmt.Errorf("%s: %s is missing", name, k.Name)
		}
	}
	c = c.WithDefaults()
	if !given["inner_lr"] && c.Uses("inner_lr") {
		return c, fmt.Errorf("%s: inner_lr is missing", name)
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// ParsePartialConfig reads the keys of config.json that are present and leaves other fields zero, meaning their defaults. It
// does not check whether the values fit together.
func ParsePartialConfig(data []byte) (Config, error) {
	c, given, err := parseKeys(data)
	c.given = given
	return c, err
}

// parseKeys reads the keys that are present and returns their names in given.
func parseKeys(data []byte) (c Config, given map[string]bool, err error) {
	raw, err := members(data)
	if err != nil {
		return c, nil, err
	}
	given = map[string]bool{}
	for _, k := range Keys {
		for _, name := range append([]string{k.Name}, k.Aliases...) {
			r, ok := raw[name]
			delete(raw, name)
			if !ok || string(r) == "null" {
				continue
			}
			before := Field(k.Value(&c))
			if err := parseValue(r, k.Value(&c)); err != nil {
				return c, nil, fmt.Errorf("%s: %w", name, err)
			}
			if k.Positive && !(*k.Value(&c).(*float64) > 0) {
				return c, nil, fmt.Errorf("%s: got %v, want a number above 0", name, *k.Value(&c).(*float64))
			}
			if now := Field(k.Value(&c)); given[k.Name] && now != before {
				return c, nil, fmt.Errorf("%s %v contradicts %s %v", name, now, k.Name, before)
			}
			given[k.Name] = true
		}
	}
	c.extra = raw
	return c, given, nil
}

// parseValue reads a number above 0, a number, a word or a truth value into a field. It refuses empty words, which would count as missing.
func parseValue(r json.RawMessage, field any) error {
	switch f := field.(type) {
	case *int:
		if json.Unmarshal(r, f) != nil {
			return fmt.Errorf("got %.60s, want a whole number", r)
		}
		if *f < 1 {
			return fmt.Errorf("got %d, want a number above 0", *f)
		}
	case *float64:
		if json.Unmarshal(r, f) != nil {
			return fmt.Errorf("got %.60s, want a number", r)
		}
	case *string:
		if json.Unmarshal(r, f) != nil {
			return fmt.Errorf("got %.60s, want a word", r)
		}
		if *f == "" {
			return errors.New(`got "", want a word`)
		}
	case *bool:
		if json.Unmarshal(r, f) != nil {
			return fmt.Errorf("got %.60s, want true or false", r)
		}
	}
	return nil
}

// Field returns the value of a field that [Key].Value points to.
func Field(field any) any { return reflect.ValueOf(field).Elem().Interface() }

// Says reports whether a configuration that may be incomplete has a value for a key, and does not leave it to a default. A false
// counts if ParsePartialConfig read it.
func (c Config) Says(k *Key) bool {
	switch v := Field(k.Value(&c)).(type) {
	case float64:
		return v != 0 || !k.Positive
	case bool:
		return v || c.given[k.Name]
	default:
		return v != 0 && v != ""
	}
}

// maxKeys is far above the keys of any config.json. It limits the memory that a broken one takes.
const maxKeys = 1 << 12

// members returns the members of a JSON object. Of members with equal names it keeps the last.
func members(data []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		var value json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			return nil, fmt.Errorf("not a JSON object: %w", err)
		}
		if all[key.(string)] = value; len(all) > maxKeys {
			return nil, fmt.Errorf("got more than %d keys, want those of a model", maxKeys)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows the JSON object")
	}
	return all, nil
}

// MarshalJSON writes config.json: the keys that every model has, then those that differ from the defaults, then unknown keys
// that were read. For a public family it returns the description of arch.Decoder.
func (c Config) MarshalJSON() ([]byte, error) {
	if c.Decoder != nil {
		return c.Decoder.MarshalJSON()
	}
	out := []byte{'{'}
	add := func(key string, value any) error {
		if len(out) > 1 {
			out = append(out, ',')
		}
		k, _ := json.Marshal(key)
		v, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("config: %s: %w", key, err)
		}
		out = append(append(append(out, k...), ':'), v...)
		return nil
	}
	for _, k := range Keys {
		if k.Written(c) {
			if err := add(k.Name, Field(k.Value(&c))); err != nil {
				return nil, err
			}
		}
	}
	names := make([]string, 0, len(c.extra))
	for name := range c.extra {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if err := add(name, c.extra[name]); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}
