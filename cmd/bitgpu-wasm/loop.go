//go:build js && wasm

package main

import (
	"context"
	"syscall/js"
	"time"
)

// eventLoop lets the worker receive messages while the engine computes: Go occupies the only thread of a worker until all
// goroutines wait.
type eventLoop struct {
	port  js.Value
	awake chan struct{}
	last  time.Time
}

func newEventLoop() *eventLoop {
	channel := js.Global().Get("MessageChannel").New()
	l := &eventLoop{port: channel.Get("port2"), awake: make(chan struct{}, 1), last: time.Now()}
	channel.Get("port1").Set("onmessage", js.FuncOf(func(js.Value, []js.Value) any {
		l.awake <- struct{}{}
		return nil
	}))
	return l
}

// between is how long messages may wait. Browsers delay timers by at least 4 ms, but not a message to oneself.
const between = 20 * time.Millisecond

// visit receives messages that have arrived, from time to time.
func (l *eventLoop) visit(ctx context.Context) {
	if time.Since(l.last) < between || ctx.Err() != nil {
		return
	}
	l.port.Call("postMessage", js.Null())
	<-l.awake
	l.last = time.Now()
}
