// Package clip shortens text from files for messages.
package clip

import "strconv"

// Max is how many bytes of a name are shown.
const Max = 100

// Name shortens a name from a file, and quotes it if it would not print on one line.
func Name(name string) string {
	if len(name) > Max {
		name = name[:Max] + "…"
	}
	if quoted := strconv.Quote(name); len(quoted) != len(name)+2 || name == "" {
		return quoted
	}
	return name
}
