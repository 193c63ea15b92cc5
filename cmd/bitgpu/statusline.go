package main

import (
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// statusLine is one line of a terminal that is written over again and again. It is never wider than the terminal, where
// a line that wraps could not be written over, and takes no codes but a carriage return.
type statusLine struct {
	out   io.Writer
	width func() int // columns of the terminal now
	shown int        // columns written
	next  time.Time  // of the next time it may change
}

// betweenChanges lets a person read the line.
const betweenChanges = 100 * time.Millisecond

// newStatusLine is nil where out is no terminal, or one that cannot write over a line.
func newStatusLine(out io.Writer) *statusLine {
	f, ok := terminalFile(out)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &statusLine{out: out, width: func() int { return columns(f) }}
}

// columns is the width of a terminal, 80 where it does not say.
func columns(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// show puts text in the line's place, cut at the end, unless it has just changed.
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

// clear takes the line away; the cursor is at its beginning.
func (l *statusLine) clear() {
	if l.shown > 0 {
		l.draw("")
		io.WriteString(l.out, "\r")
	}
	l.next = time.Time{}
}
