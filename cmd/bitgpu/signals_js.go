package main

import "syscall"

// JavaScript has neither; these are their numbers elsewhere.
const (
	hangup     = syscall.Signal(1)
	lostReader = syscall.Signal(13)
)
