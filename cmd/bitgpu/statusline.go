package main

import (
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// statusLine is a line of a terminal that is overwritten again and again. It is never wider than the terminal, because a
// wrapped line could not be overwritten, and uses no control codes but the carriage return.
type statusLine struct {
	out   io.Writer
	width func() int // current columns of the terminal
	shown int        // columns written
	next  time.Time  // when it may change next
}

// betweenChanges gives a person time to read the line.
const betweenChanges = 100 * time.Millisecond

// newStatusLine returns nil if out is not a terminal, or one that cannot overwrite a line.
func newStatusLine(out io.Writer) *statusLine {
	f, ok := terminalFile(out)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &statusLine{out: out, width: func() int { return columns(f) }}
}

// columns returns the width of a terminal, 80 if unknown.
func columns(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// show replaces the line by text, cut at the end, unless it has just changed.
func (l *statusLine) show(text string) {
	if now := time.Now(); now.Before(l.next) {
		return
	} else {
		l.next = now.Add(betweenChanges)
	}
	l.draw(text)
}

func (l *statusLine) draw(text string) {
	room := max(l.width()-1, 0) // the last column may wrap
	text = runewidth.Truncate(text, room, "")
	width := runewidth.StringWidth(text)
	io.WriteString(l.out, "\r"+text+strings.Repeat(" ", max(min(l.shown, room)-width, 0)))
	l.shown = width
}

// clear removes the line and puts the cursor at its beginning.
func (l *statusLine) clear() {
	if l.shown > 0 {
		l.draw("")
		io.WriteString(l.out, "\r")
	}
	l.next = time.Time{}
}
