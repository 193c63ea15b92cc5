//go:build !js

package main

import (
	"os"
	"os/signal"
	"syscall"
)

const (
	hangup     = syscall.SIGHUP  // of a terminal that closes
	lostReader = syscall.SIGPIPE // of a pipe that nobody reads any more
)

func ignored(s os.Signal) bool { return signal.Ignored(s) }
