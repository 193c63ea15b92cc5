package main

import (
	"encoding/json"
	"io"
	"strings"

	"bitgpu/io/chat"
)

// answerWriter shows the parts of an answer. Thoughts are dimmed, or enclosed in <think>.
type answerWriter struct {
	w       io.Writer
	dim     bool
	thought bool // the last part was a thought
	inLine  bool // the last line is not empty
	err     error
}

// dims reports whether a stream is a terminal that can show dimmed text.
func dims(stream any, env func(string) string) bool {
	f, ok := terminalFile(stream)
	return ok && env("TERM") != "dumb" && env("NO_COLOR") == "" && takesEscapes(f)
}

// show writes a part, and reports whether that worked.
func (a *answerWriter) show(part chat.Delta) bool {
	switch {
	case part.Reasoning != "":
		switch {
		case a.dim:
			// However the answer ends, do not leave the terminal dimmed.
			a.write("\x1b[2m" + part.Reasoning + "\x1b[0m")
		case !a.thought:
			a.write("<think>\n" + part.Reasoning)
		default:
			a.write(part.Reasoning)
		}
		a.thought = true
	case part.Content != "":
		a.endThought()
		a.write(part.Content)
	case part.Call != nil:
		a.endThought()
		a.endLine()
		data, err := json.Marshal(map[string]any{"name": part.Call.Name, "arguments": part.Call.Arguments})
		if err != nil {
			data = []byte(part.Call.Name)
		}
		a.write("<tool_call>\n" + string(data) + "\n</tool_call>\n")
	}
	return a.err == nil
}

func (a *answerWriter) endThought() {
	switch {
	case !a.thought:
	case a.dim:
		a.write("\n\n")
	default:
		a.write("\n</think>\n\n")
	}
	a.thought = false
}

// endLine ends the current line unless it is empty.
func (a *answerWriter) endLine() {
	if a.inLine {
		a.write("\n")
	}
}

func (a *answerWriter) write(text string) {
	if a.err == nil {
		_, a.err = io.WriteString(a.w, text)
		a.inLine = !strings.HasSuffix(text, "\n")
	}
}
