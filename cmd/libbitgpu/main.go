//go:build cgo

// Command libbitgpu is the C interface of package bitgpu, built with -buildmode=c-shared; bitgpu.h describes it. Go programs
// use the package itself, to which this adds nothing.
//
// # Why
//
// Why does a stream answer calls instead of calling back? A caller with an interpreter lock releases it during a call, and no
// other thread has to enter the interpreter.
//
// Why numbers and not pointers? The use of a closed number is detected; a closed pointer would crash the process.
package main

/*
#include <stdlib.h>
#include "bitgpu.h"
*/
import "C"

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strings"
	"unsafe"

	"bitgpu"
	"bitgpu/demo"
	"bitgpu/internal/jsonwords"
	"bitgpu/internal/version"
	"bitgpu/nn"
)

func main() {}

// errArgument marks mistakes of the C caller.
var errArgument = errors.New("invalid argument")

// report converts the result of f to a status and a message that the caller owns.
func report(message **C.char, f func() error) C.bitgpu_status {
	err := safely(f)
	if err != nil && message != nil {
		said := jsonwords.Plain(err.Error())
		if errors.Is(err, bitgpu.ErrOption) {
			said = namesInC.Replace(said)
		}
		*message = C.CString(said)
	}
	return status(err)
}

// namesInC are what options of package bitgpu are called in C and in Python.
var namesInC = strings.NewReplacer("backend: ", "device: ", "max-tokens: ", "max_tokens: ", "top-k: ", "top_k: ", "top-p: ", "top_p: ", "min-p: ", "min_p: ", "repeat-penalty: ", "repeat_penalty: ")

func status(err error) C.bitgpu_status {
	is := func(targets ...error) bool {
		for _, target := range targets {
			if errors.Is(err, target) {
				return true
			}
		}
		return false
	}
	switch {
	case err == nil:
		return C.BITGPU_OK
	case is(bitgpu.ErrClosed):
		return C.BITGPU_CLOSED
	case is(bitgpu.ErrNotFinite):
		return C.BITGPU_NOT_FINITE
	case is(errStreaming):
		return C.BITGPU_BUSY
	case is(bitgpu.ErrNoGPU):
		return C.BITGPU_NO_GPU
	case is(fs.ErrNotExist):
		return C.BITGPU_NO_FILE
	case is(errArgument, bitgpu.ErrOption, bitgpu.ErrConfig, bitgpu.ErrTokenRange, bitgpu.ErrEmptyPrompt, bitgpu.ErrOtherModel, bitgpu.ErrContext):
		return C.BITGPU_INVALID
	}
	return C.BITGPU_FAILED
}

//export bitgpu_abi
func bitgpu_abi() C.int32_t { return C.BITGPU_ABI }

//export bitgpu_version
func bitgpu_version() *C.char { return C.CString(version.Line()) }

//export bitgpu_free
func bitgpu_free(memory unsafe.Pointer) { C.free(memory) }

//export bitgpu_model_load
func bitgpu_model_load(path, config, device, adapter *C.bitgpu_text, out *C.bitgpu_model, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		if err := cmp.Or(given("path", path), given("model", out)); err != nil {
			return err
		}
		opts, err := optionsOf(device, adapter)
		if err != nil {
			return err
		}
		if config != nil {
			c, err := parseConfig(text(config))
			if err != nil {
				return err
			}
			opts = append(opts, bitgpu.WithConfig(c))
		}
		m, err := bitgpu.Load(text(path), opts...)
		return keep(m, err, out)
	})
}

//export bitgpu_model_open
func bitgpu_model_open(path, options *C.bitgpu_text, out *C.bitgpu_model, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		if err := cmp.Or(given("path", path), given("model", out)); err != nil {
			return err
		}
		var opts []bitgpu.Option
		if options != nil {
			var err error
			if opts, err = parseOptions(text(options)); err != nil {
				return err
			}
		}
		m, err := bitgpu.Load(text(path), opts...)
		return keep(m, err, out)
	})
}

//export bitgpu_model_demo
func bitgpu_model_demo(device, adapter *C.bitgpu_text, out *C.bitgpu_model, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		if err := given("model", out); err != nil {
			return err
		}
		opts, err := optionsOf(device, adapter)
		if err != nil {
			return err
		}
		m, err := bitgpu.LoadBytes(demo.Name, demo.Model, opts...)
		return keep(m, err, out)
	})
}

func optionsOf(device, adapter *C.bitgpu_text) (opts []bitgpu.Option, err error) {
	if device != nil {
		opts = append(opts, bitgpu.WithBackend(bitgpu.Backend(text(device))))
		err = notEmpty("device", text(device))
	}
	if adapter != nil {
		opts = append(opts, bitgpu.WithAdapter(text(adapter)))
		err = cmp.Or(err, notEmpty("adapter", text(adapter)))
	}
	return opts, err
}

// notEmpty refuses an empty word, which most likely comes from a variable that is not set, and must not become the default.
func notEmpty(name, word string) error {
	if word == "" {
		return fmt.Errorf("%w: %s: got an empty word, want one or none", errArgument, name)
	}
	return nil
}

// keep gives a loaded model a number.
func keep(m *bitgpu.Model, err error, out *C.bitgpu_model) error {
	if err == nil {
		*out = C.bitgpu_model(table.add(&model{Model: m, sessions: map[*session]bool{}}))
	}
	return err
}

// parseConfig reads the keys of config.json that the caller gives. The file decides about the others.
func parseConfig(data string) (bitgpu.Config, error) {
	c, err := nn.ParsePartialConfig([]byte(data))
	if err != nil {
		return c, fmt.Errorf("%w: config: %w", errArgument, err)
	}
	return c, nil
}

// withModel calls f with the model of a number.
func withModel(h C.bitgpu_model, message **C.char, f func(*model) error) C.bitgpu_status {
	return report(message, func() error {
		m, err := find[*model]("model", int64(h))
		if err != nil {
			return err
		}
		return f(m)
	})
}

//export bitgpu_model_describe
func bitgpu_model_describe(h C.bitgpu_model, out **C.char, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error {
		if err := given("json", out); err != nil {
			return err
		}
		data, err := json.Marshal(map[string]any{
			"context": m.Context(), "trained_context": m.TrainedContext(), "chat_template": m.ChatTemplate() != nil,
			"config": m.Config(), "backend": m.Backend(), "device": m.Device(), "note": m.DeviceNote(), "id": m.ID(), "weight_bytes": m.WeightBytes(),
		})
		if err == nil {
			*out = C.CString(string(data))
		}
		return err
	})
}

//export bitgpu_model_raise_context
func bitgpu_model_raise_context(h C.bitgpu_model, tokens C.int64_t, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error { return m.raiseContext(int64(tokens)) })
}

//export bitgpu_model_render
func bitgpu_model_render(h C.bitgpu_model, conversation *C.bitgpu_text, out **C.char, length *C.size_t, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error {
		if err := cmp.Or(given("conversation", conversation), given("text", out), given("length", length)); err != nil {
			return err
		}
		rendered, err := render(m.Model, text(conversation))
		if err == nil {
			*out, *length = C.CString(rendered), C.size_t(len(rendered))
		}
		return err
	})
}

//export bitgpu_model_encode
func bitgpu_model_encode(h C.bitgpu_model, in *C.bitgpu_text, length C.size_t, special C.int32_t, out **C.uint32_t, count *C.size_t, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error {
		prompt, err := textOf(in, length)
		if err = cmp.Or(err, given("tokens", out), given("count", count)); err != nil {
			return err
		}
		ids, err := m.Encode(prompt, special != 0)
		if err != nil {
			return err
		}
		// One more, for malloc(0) may give NULL.
		*out = (*C.uint32_t)(C.malloc(C.size_t(4 * (len(ids) + 1))))
		copy(unsafe.Slice((*uint32)(*out), len(ids)), ids)
		*count = C.size_t(len(ids))
		return nil
	})
}

//export bitgpu_model_decode
func bitgpu_model_decode(h C.bitgpu_model, tokens *C.bitgpu_token, count C.size_t, out **C.char, length *C.size_t, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error {
		ids, err := tokensOf(tokens, count)
		if err = cmp.Or(err, given("text", out), given("length", length)); err != nil {
			return err
		}
		decoded, err := m.Decode(ids)
		if err == nil {
			*out, *length = C.CString(decoded), C.size_t(len(decoded))
		}
		return err
	})
}

//export bitgpu_model_close
func bitgpu_model_close(h C.bitgpu_model, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		m, err := take[*model]("model", int64(h))
		if err != nil {
			return err
		}
		return m.close()
	})
}

// text is a C string.
func text(s *C.bitgpu_text) string { return C.GoString((*C.char)(s)) }

// textOf is a text of length bytes.
func textOf(s *C.bitgpu_text, length C.size_t) (string, error) {
	bytes, err := array("text", (*byte)(unsafe.Pointer(s)), length)
	return string(bytes), err
}

// tokensOf returns the caller's own array.
func tokensOf(tokens *C.bitgpu_token, count C.size_t) ([]uint32, error) {
	return array("tokens", (*uint32)(unsafe.Pointer(tokens)), count)
}

// given refuses a pointer that must not be NULL.
func given[T any](name string, p *T) error {
	if p == nil {
		return fmt.Errorf("%w: %s: got NULL, want a pointer", errArgument, name)
	}
	return nil
}

// array returns the caller's array of n elements, which may be NULL if n is 0.
func array[T any](name string, p *T, n C.size_t) ([]T, error) {
	if n > 0 && p == nil {
		return nil, fmt.Errorf("%w: %s: got NULL for %d elements, want a pointer", errArgument, name, n)
	}
	if most := C.size_t(math.MaxInt) / C.size_t(unsafe.Sizeof(*p)); n > most {
		return nil, fmt.Errorf("%w: %s: got %d elements, want at most %d", errArgument, name, n, most)
	}
	return unsafe.Slice(p, n), nil
}
