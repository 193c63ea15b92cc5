// Package jsonwords says in JSON's own words what encoding/json says of Go's types. It is for messages to a user, who wrote a file and
// knows no struct.
package jsonwords

import (
	"regexp"
	"strings"
)

var mismatch = regexp.MustCompile(`json: cannot unmarshal (\w+)( \S+)? into Go (?:struct field \w*\.?([^ ]*)|value) of type (struct {.*}|[^ ;:,]+)`)

// Plain puts a message's parts that name Go's types in plain words: "a.b: got a string, want an object".
func Plain(message string) string {
	return mismatch.ReplaceAllStringFunc(message, func(part string) string {
		m := mismatch.FindStringSubmatch(part)
		text := "got " + article(m[1]) + m[2] + ", want " + wanted(m[4])
		if m[3] != "" {
			text = m[3] + ": " + text
		}
		return text
	})
}

func article(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "a " + kind
}

// wanted says what a Go type takes.
func wanted(kind string) string {
	switch kind = strings.TrimPrefix(kind, "*"); {
	case strings.HasPrefix(kind, "[]"):
		return "a list"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case strings.HasPrefix(kind, "int"), strings.HasPrefix(kind, "uint"):
		return "a whole number"
	case kind == "string":
		return "a string"
	case kind == "bool":
		return "true or false"
	}
	return "an object"
}
