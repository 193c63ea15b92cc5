// Package jsonwords rewords errors of encoding/json about Go's types in JSON's terms, for users who wrote a file and do not
// know the struct.
package jsonwords

import (
	"regexp"
	"strings"
)

var mismatch = regexp.MustCompile(`json: cannot unmarshal (\w+)( \S+)? into Go (?:struct field \w*\.?([^ ]*)|value) of type (struct {.*}|[^ ;:,]+)`)

// Plain replaces Go's types in a message by plain words: "a.b: got a string, want an object".
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

// wanted returns JSON's name for what a Go type accepts.
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
