// Package jsonscan iterates over the members of JSON text without copying it.
//
// It is for headers from untrusted sources: encoding/json builds Go values that can take ten times the memory of malicious
// text, and silently keeps the last of two equal names. It does not decode values: encoding/json and strconv do, once the
// caller knows how large a value is.
package jsonscan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"unicode/utf8"
)

// accept takes any value, so that encoding/json only checks the syntax.
type accept struct{}

func (*accept) UnmarshalJSON([]byte) error { return nil }

// Check returns an error with the position of the first mistake in data, or nil if data is a single JSON value. Nesting
// deeper than 10,000 levels is a mistake.
func Check(data []byte) error {
	err := json.Unmarshal(data, &accept{})
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w at byte %d", err, syntax.Offset)
	}
	return err
}

// IsObject reports whether data, which has passed [Check], is an object.
func IsObject(data []byte) bool { return first(data) == '{' }

// IsArray reports whether data, which has passed [Check], is an array.
func IsArray(data []byte) bool { return first(data) == '[' }

// IsString reports whether data, which has passed [Check], is a string.
func IsString(data []byte) bool { return first(data) == '"' }

func first(data []byte) byte {
	if i := skipSpace(data, 0); i < len(data) {
		return data[i]
	}
	return 0
}

// Member is an entry of an object. Both fields are parts of the text; Name is a JSON string in quotes.
type Member struct{ Name, Value []byte }

// Members iterates over an object in order, repeating equal names. The text must have passed [Check]; anything but an object
// has no members.
func Members(object []byte) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		if !IsObject(object) {
			return
		}
		i := skipSpace(object, skipSpace(object, 0)+1)
		for object[i] != '}' {
			nameEnd := skipValue(object, i)
			valueAt := skipSpace(object, skipSpace(object, nameEnd)+1)
			valueEnd := skipValue(object, valueAt)
			if !yield(Member{Name: object[i:nameEnd], Value: object[valueAt:valueEnd]}) {
				return
			}
			i = skipComma(object, valueEnd)
		}
	}
}

// Elements iterates over an array. The text must have passed [Check]; anything but an array has no elements.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !IsArray(array) {
			return
		}
		i := skipSpace(array, skipSpace(array, 0)+1)
		for array[i] != ']' {
			end := skipValue(array, i)
			if !yield(array[i:end]) {
				return
			}
			i = skipComma(array, end)
		}
	}
}

// String decodes a JSON string.
func String(data []byte) (string, error) {
	var s string
	if !IsString(data) {
		return "", errors.New("not a string")
	}
	if data = bytes.TrimSpace(data); isPlain(data) {
		return string(data[1 : len(data)-1]), nil
	}
	err := json.Unmarshal(data, &s)
	return s, err
}

// isPlain reports whether a string has no escapes.
func isPlain(data []byte) bool {
	if len(data) < 2 || data[len(data)-1] != '"' {
		return false
	}
	for _, c := range data[1 : len(data)-1] {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(data)
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && (data[i] == ' ' || data[i] == '\t' || data[i] == '\n' || data[i] == '\r') {
		i++
	}
	return i
}

// skipComma advances from the end of a value to the next one, or to the closing bracket.
func skipComma(data []byte, i int) int {
	i = skipSpace(data, i)
	if data[i] == ',' {
		i = skipSpace(data, i+1)
	}
	return i
}

// skipValue returns the end of the value that begins at i.
func skipValue(data []byte, i int) int {
	depth := 0
	for {
		switch data[i] {
		case '"':
			i = skipString(data, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ' ', '\t', '\n', '\r', ',', ':':
			i++
		default:
			i = skipWord(data, i)
		}
		if depth == 0 {
			return i
		}
	}
}

func skipString(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// skipWord skips a number, true, false or null.
func skipWord(data []byte, i int) int {
	for i < len(data) {
		switch data[i] {
		case ' ', '\t', '\n', '\r', ',', ':', ']', '}':
			return i
		}
		i++
	}
	return i
}
