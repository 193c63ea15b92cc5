package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"
)

// interruptible gives a context that the first Ctrl-C ends. The second is the system's again and
// ends the program at once.
func interruptible(c *cli.Context) (ctx context.Context, stop func()) {
	ctx, cancel := signal.NotifyContext(c.Context, os.Interrupt, syscall.SIGTERM)
	forget := context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
	return ctx, func() {
		forget()
		cancel()
	}
}

// await waits for work, but no longer than the context lasts: what is under way then, which may be a
// whole book, nobody waits for.
func await[V any](ctx context.Context, work func() (V, error)) (V, error) {
	type result struct {
		value V
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := work()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none V
		return none, errInterrupted
	}
}

// interrupted is errInterrupted once the context has ended.
func interrupted(ctx context.Context) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}
