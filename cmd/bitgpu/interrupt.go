package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// endings are the signals that ask the program to end: Ctrl-C, those of containers and services, and a closed terminal.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM, hangup}

// hangupTime is how long after the first ending a hangup counts as the same one: a closing terminal sends it through the
// system and through the shell.
const hangupTime = time.Second

// interruptible returns a context that the first ending cancels, with errInterrupted as its cause. The second one is handled
// by the system and ends the program at once.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	return endedBy(parent, endings...)
}

func endedBy(parent context.Context, signals ...os.Signal) (ctx context.Context, stop func()) {
	// A user who starts the program with nohup wants it to outlive the terminal.
	signals = slices.DeleteFunc(slices.Clone(signals), func(s os.Signal) bool { return s == hangup && ignored(s) })
	ctx, cancel := context.WithCancelCause(parent)
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, signals...)
	go func() {
		select {
		case <-caught:
			cancel(errInterrupted)
			signal.Reset(slices.DeleteFunc(slices.Clone(signals), func(s os.Signal) bool { return s == hangup })...)
			time.AfterFunc(hangupTime, func() { signal.Stop(caught) })
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(caught)
		cancel(nil)
	}
}

// ignoreLostReaders makes writing to a pipe that nobody reads an error instead of ending the program: what a training or a
// memory has learned is worth more than its progress output.
func ignoreLostReaders() { signal.Ignore(lostReader) }

// interrupted returns errInterrupted once the context has been cancelled.
func interrupted(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}
