package main

import (
	"os"
	"syscall"
)

// JavaScript has neither; these are their usual numbers.
const (
	hangup     = syscall.Signal(1)
	lostReader = syscall.Signal(13)
)

// ignored always returns false: signal.Ignored panics on systems without signals.
func ignored(os.Signal) bool { return false }
