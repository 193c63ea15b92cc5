// Package jsonscan walks over the members of JSON text where it lies, without a copy of it.
//
// It is for headers from unknown hands: encoding/json builds Go values that can take ten times the memory of
// hostile text, and keeps the last of two equal names in silence. It is not a decoder: what a value means,
// encoding/json and strconv say, once the caller knows how large the value is.
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

// Check returns an error that names the place of the first mistake in data, or nil when data is one JSON value.
// Nesting deeper than 10,000 levels is a mistake.
func Check(data []byte) error {
	err := json.Unmarshal(data, &accept{})
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%w at byte %d", err, syntax.Offset)
	}
	return err
}

// IsObject says whether data, which has passed [Check], is an object.
func IsObject(data []byte) bool { return first(data) == '{' }

// IsArray says whether data, which has passed [Check], is an array.
func IsArray(data []byte) bool { return first(data) == '[' }

// IsString says whether data, which has passed [Check], is a string.
func IsString(data []byte) bool { return first(data) == '"' }

func first(data []byte) byte {
	if i := skipSpace(data, 0); i < len(data) {
		return data[i]
	}
	return 0
}

// Member is one entry of an object. Both fields are parts of the text; Name is still a JSON string with quotes.
type Member struct{ Name, Value []byte }

// Members walks over an object in its order; equal names come as often as they stand there. The text must have
// passed [Check]; of anything but an object there are no members.
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

// Elements walks over an array. The text must have passed [Check]; anything but an array has no elements.
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

// isPlain says whether a string is written as it is.
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

// skipComma goes from the end of a value to the next one, or to the closing bracket.
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
