//go:build js && wasm

// Command bitgpu-wasm is the engine of the page in web/: package bitgpu in a browser's worker. It gives the worker one
// function, bitgpuCall, and reads and writes the files that the worker provides under globalThis.fs. A page itself should not
// run it, because it blocks; other programs should use web/page/bitgpu.js.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall/js"

	"bitgpu"
)

func main() {
	w := &worker{stops: map[int]context.CancelFunc{}}
	js.Global().Set("bitgpuCall", js.FuncOf(w.call))
	js.Global().Get("bitgpuReady").Invoke()
	select {}
}

// worker executes the calls from JavaScript one at a time, except stops.
type worker struct {
	engine
	turn  sync.Mutex
	stops map[int]context.CancelFunc // of calls in progress; only used by goroutines of the event loop, which do not run concurrently
}

// call is bitgpuCall(id, method, options, answer): options are JSON, and answer(kind, JSON) is called with "part" for parts
// of a result, and finally with "done" or "error". call returns at once.
func (w *worker) call(_ js.Value, args []js.Value) any {
	id, method, options, answer := args[0].Int(), args[1].String(), args[2].String(), args[3]
	if method == "stop" {
		if stop := w.stops[id]; stop != nil {
			stop()
		}
		return nil
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stops[id] = stop
	go func() {
		w.turn.Lock()
		defer w.turn.Unlock()
		defer stop()
		defer delete(w.stops, id)
		value, err := w.do(ctx, method, []byte(options), func(part any) { answer.Invoke("part", text(part)) })
		if err != nil {
			answer.Invoke("error", text(failure{Name: nameOf(err), Message: sentence(err)}))
			return
		}
		answer.Invoke("done", text(value))
	}()
	return nil
}

// failure is an error in the form for JavaScript.
type failure struct {
	Name    string `json:"name"`
	Message string `json:"message"`
}

func nameOf(err error) string {
	if errors.Is(err, context.Canceled) {
		return "AbortError"
	}
	return "Error"
}

// sentence returns an error on one line, without the folder of the worker's files.
func sentence(err error) string {
	said := strings.ReplaceAll(strings.ReplaceAll(err.Error(), "\n", "; "), folder, "")
	if errors.Is(err, bitgpu.ErrOption) {
		said = namesInJS.Replace(said)
	}
	return said
}

// namesInJS are what options of package bitgpu are called in JavaScript.
var namesInJS = strings.NewReplacer("max-tokens: ", "maxTokens: ", "top-k: ", "topK: ", "top-p: ", "topP: ", "min-p: ", "minP: ", "repeat-penalty: ", "repeatPenalty: ")

// folder contains the worker's files.
const folder = "/bitgpu/"

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(data)
}

// do runs one method. It turns a panic into an error, because nobody would see it in a worker.
func (w *worker) do(ctx context.Context, method string, options []byte, part func(any)) (value any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: a fault of the program: %v", method, p)
		}
	}()
	switch method {
	case "load":
		return with(options, func(o loadOptions) (any, error) { return w.load(o) })
	case "generate":
		return with(options, func(o writeOptions) (any, error) { return w.generate(ctx, o, part) })
	case "chat":
		return with(options, func(o writeOptions) (any, error) { return w.chat(ctx, o, part) })
	case "learn":
		return with(options, func(o learnOptions) (any, error) { return w.learn(ctx, o, part) })
	case "saveMemory":
		return nil, w.saveMemory()
	case "loadMemory":
		return w.loadMemory()
	case "reset":
		return nil, w.reset()
	case "memory":
		return w.memory()
	case "state":
		return w.state()
	}
	return nil, fmt.Errorf("there is no method %q", method)
}

// with decodes options, refusing unknown members.
func with[O any](data []byte, f func(O) (any, error)) (any, error) {
	var o O
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("options: %w", err)
	}
	return f(o)
}
