package gguf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ValueType is the type of a value in the metadata.
type ValueType uint32

// The types, by the format's numbers.
const (
	Uint8 ValueType = iota
	Int8
	Uint16
	Int16
	Uint32
	Int32
	Float32
	Bool
	String
	Array
	Uint64
	Int64
	Float64
)

var typeNames = [...]string{"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64", "float64"}

// String returns the name that Go has for the type.
func (t ValueType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// size returns the bytes per value, 0 for strings, arrays and unknown types.
func (t ValueType) size() int {
	switch t {
	case Uint8, Int8, Bool:
		return 1
	case Uint16, Int16:
		return 2
	case Uint32, Int32, Float32:
		return 4
	case Uint64, Int64, Float64:
		return 8
	}
	return 0
}

// Value refers to a value of the metadata in the file.
type Value struct {
	Type ValueType
	Elem ValueType // for an array
	Len  int       // number of elements of an array, otherwise 1
	data []byte
}

// ErrMissing is wrapped by errors about keys that a file does not have, for callers that have a default.
var ErrMissing = errors.New("is missing")

// Value returns the value of a key.
func (f *File) Value(key string) (Value, bool) {
	v, ok := f.values[key]
	return v, ok
}

// describe returns how errors describe the value.
func (v Value) describe() string {
	if v.Type == Array {
		return fmt.Sprintf("an array of %d values of the type %v", v.Len, v.Elem)
	}
	return v.Type.String()
}

// get reads the value of key with read, which returns false if the type does not fit.
func get[T any](f *File, key, want string, read func(Value) (T, bool)) (T, error) {
	v, ok := f.values[key]
	if !ok {
		var zero T
		return zero, fmt.Errorf("gguf: %s: key %s %w, want %s", f.name, key, ErrMissing, want)
	}
	x, ok := read(v)
	if !ok {
		found := v.describe()
		if i, _, whole := v.integer(); whole && v.Len == 1 && v.Type != Array {
			found = fmt.Sprintf("the %s %d", found, i)
		}
		return x, fmt.Errorf("gguf: %s: key %s is %s, want %s", f.name, key, found, want)
	}
	return x, nil
}

// Text returns the string of a key. The error names the file, the key and what was found; it wraps [ErrMissing] if there is
// no such key.
func (f *File) Text(key string) (string, error) {
	return get(f, key, "a string", func(v Value) (string, bool) { return string(v.data), v.Type == String })
}

// Int returns the integer of a key, of any integer type. Errors are as for [File.Text].
func (f *File) Int(key string) (int, error) {
	return get(f, key, "an integer that an int holds", func(v Value) (int, bool) {
		i, fits, _ := v.integer()
		return i, fits && v.Type != Array
	})
}

// Float returns the float of a key, of 32 or 64 bits. Errors are as for [File.Text].
func (f *File) Float(key string) (float64, error) {
	return get(f, key, "a float", func(v Value) (float64, bool) {
		x, ok := v.float()
		return x, ok && v.Type != Array
	})
}

// Bool returns the boolean of a key. Errors are as for [File.Text].
func (f *File) Bool(key string) (bool, error) {
	return get(f, key, "a bool", func(v Value) (bool, bool) { return len(v.data) > 0 && v.data[0] != 0, v.Type == Bool })
}

// Texts returns the strings in a key's array. Errors are as for [File.Text].
func (f *File) Texts(key string) ([]string, error) {
	return get(f, key, "an array of strings", func(v Value) ([]string, bool) {
		if v.Type != Array || v.Elem != String {
			return nil, false
		}
		texts := make([]string, v.Len)
		v.strings(func(i int, text []byte) bool { texts[i] = string(text); return true })
		return texts, true
	})
}

// Ints returns the integers in a key's array. Errors are as for [File.Text].
func (f *File) Ints(key string) ([]int, error) {
	return list(f, key, "an array of integers that an int holds", func(v Value) (int, bool) { i, fits, _ := v.integer(); return i, fits })
}

// Floats returns the floats in a key's array. Errors are as for [File.Text].
func (f *File) Floats(key string) ([]float64, error) {
	return list(f, key, "an array of floats", Value.float)
}

// Bools returns the booleans in a key's array. Errors are as for [File.Text].
func (f *File) Bools(key string) ([]bool, error) {
	return list(f, key, "an array of bools", func(v Value) (bool, bool) { return v.data[0] != 0, v.Type == Bool })
}

func list[T any](f *File, key, want string, read func(Value) (T, bool)) ([]T, error) {
	return get(f, key, want, func(v Value) ([]T, bool) {
		if v.Type != Array || v.Elem.size() == 0 {
			return nil, false
		}
		all := make([]T, v.Len)
		for i := range all {
			var ok bool
			if all[i], ok = read(v.at(i)); !ok {
				return nil, false
			}
		}
		return all, true
	})
}

// at returns element i of an array whose elements have a fixed size.
func (v Value) at(i int) Value {
	size := v.Elem.size()
	return Value{Type: v.Elem, Len: 1, data: v.data[i*size : (i+1)*size]}
}

// strings calls with for the elements of an array of strings until it returns false.
func (v Value) strings(with func(i int, text []byte) bool) {
	c := &cursor{data: v.data}
	for i := range v.Len {
		text, err := c.bytes()
		if err != nil || !with(i, text) {
			return // cannot happen: the file was checked when it was opened
		}
	}
}

// integer returns the value of a single integer; whole reports that it is one, fits that it fits into an int.
func (v Value) integer() (i int, fits, whole bool) {
	b := v.data
	switch v.Type {
	case Uint8:
		return int(b[0]), true, true
	case Int8:
		return int(int8(b[0])), true, true
	case Uint16:
		return int(binary.LittleEndian.Uint16(b)), true, true
	case Int16:
		return int(int16(binary.LittleEndian.Uint16(b))), true, true
	case Uint32:
		x := binary.LittleEndian.Uint32(b)
		return int(x), uint64(x) <= math.MaxInt, true
	case Int32:
		return int(int32(binary.LittleEndian.Uint32(b))), true, true
	case Uint64:
		x := binary.LittleEndian.Uint64(b)
		return int(x), x <= math.MaxInt, true
	case Int64:
		x := int64(binary.LittleEndian.Uint64(b))
		return int(x), int64(int(x)) == x, true
	}
	return 0, false, false
}

func (v Value) float() (float64, bool) {
	switch v.Type {
	case Float32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.data))), true
	case Float64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.data)), true
	}
	return 0, false
}

// Format returns the value on one line, for listings: of an array the length and at most `elements` elements, of a string at
// most `bytes` bytes, quoted.
func (v Value) Format(elements, bytes int) string {
	if v.Type != Array {
		return v.format(bytes)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d %v [", v.Len, v.Elem)
	separate := func(i int) bool {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == elements {
			b.WriteString("…")
			return false
		}
		return true
	}
	if v.Elem == String {
		v.strings(func(i int, text []byte) bool {
			if !separate(i) {
				return false
			}
			b.WriteString(Value{Type: String, data: text}.format(bytes))
			return true
		})
	} else {
		for i := 0; i < v.Len && separate(i); i++ {
			b.WriteString(v.at(i).format(bytes))
		}
	}
	b.WriteByte(']')
	return b.String()
}

func (v Value) format(bytes int) string {
	switch v.Type {
	case String:
		if len(v.data) > bytes {
			for cut := 1; cut < utf8.UTFMax && bytes > 0 && !utf8.RuneStart(v.data[bytes]); cut++ {
				bytes-- // do not cut a character
			}
			return strconv.Quote(string(v.data[:bytes])) + fmt.Sprintf("… (%d bytes)", len(v.data))
		}
		return strconv.Quote(string(v.data))
	case Bool:
		return strconv.FormatBool(v.data[0] != 0)
	case Float32, Float64:
		x, _ := v.float()
		return strconv.FormatFloat(x, 'g', -1, 8*v.Type.size())
	case Uint64:
		return strconv.FormatUint(binary.LittleEndian.Uint64(v.data), 10)
	}
	i, _, _ := v.integer()
	return strconv.Itoa(i)
}
