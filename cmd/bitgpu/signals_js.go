package main

import (
	"os"
	"syscall"
)

// JavaScript has neither; these are their numbers elsewhere.
const (
	hangup     = syscall.Signal(1)
	lostReader = syscall.Signal(13)
)

// ignored asks nobody: signal.Ignored panics where there are no signals.
func ignored(os.Signal) bool { return false }
