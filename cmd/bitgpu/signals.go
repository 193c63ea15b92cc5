//go:build !js

package main

import "syscall"

const (
	hangup     = syscall.SIGHUP  // of a terminal that closes
	lostReader = syscall.SIGPIPE // of a pipe that nobody reads any more
)
