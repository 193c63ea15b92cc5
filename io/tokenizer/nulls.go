package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"bitgpu/io/internal/jsonscan"
)

// membersOf returns the members of an object with one of the names; of equal names the last.
func membersOf(object []byte, names ...string) map[string]json.RawMessage {
	found := map[string]json.RawMessage{}
	for m := range jsonscan.Members(object) {
		if name := string(m.Name[1 : len(m.Name)-1]); len(m.Name) < 40 && slices.Contains(names, name) {
			found[name] = m.Value
		}
	}
	return found
}

// neverNull are the members that Hugging Face's library 0.23.3 never accepts as null. Others may be null, or are checked
// where they are read.
var neverNull = []string{
	"version", "added_tokens", "model", "type", "vocab", "merges", "id", "content", "single_word", "lstrip", "rstrip", "normalized",
	"special", "trim_offsets", "use_regex", "behavior", "pattern", "String", "Regex", "invert", "replacement", "prepend_scheme",
	"individual_digits", "normalizers", "pretokenizers", "processors", "decoders", "prepend", "strip_left", "strip_right", "start", "stop",
	"suffix", "single", "pair", "special_tokens", "Sequence", "SpecialToken", "type_id", "ids", "tokens", "cls", "sep",
}

// refuseNull refuses null in lists and in these members, where it would be read as a zero value. data has passed
// jsonscan.Check.
func refuseNull(data []byte) error {
	name := []byte{} // the last string
	last := byte(0)  // the last character before a value, ignoring spaces
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			start := i
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
			name, last = data[start+1:i], c
		case 'n':
			if last != ':' {
				return errors.New("null stands in a list, want a value")
			}
			if len(name) < 40 && slices.Contains(neverNull, string(name)) {
				return fmt.Errorf("%q is null, want a value", name)
			}
			i += len("ull")
			last = c
		case 't', 'f':
			i += len("rue") // or inside "alse", whose last letter begins nothing
			last = c
		default:
			last = c
		}
	}
	return nil
}
