// Package await waits for work that cannot be stopped.
package await

import "context"

// For returns the result of work or, if the context is cancelled first, its cause. Work that is still running then, perhaps
// on a whole book, is abandoned.
func For[V any](ctx context.Context, work func() (V, error)) (V, error) {
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
		return none, context.Cause(ctx)
	}
}
