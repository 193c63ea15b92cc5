//go:build cgo

package main

// #include "bitgpu.h"
import "C"

import (
	"cmp"
	"fmt"

	"bitgpu"
)

// withSession calls f with the session of a number, locked.
func withSession(h C.bitgpu_session, message **C.char, f func(*session, *bitgpu.Session) error) C.bitgpu_status {
	return report(message, func() error {
		s, err := find[*session]("session", int64(h))
		if err != nil {
			return err
		}
		return s.use(func(open *bitgpu.Session) error { return f(s, open) })
	})
}

//export bitgpu_session_open
func bitgpu_session_open(h C.bitgpu_model, out *C.bitgpu_session, message **C.char) C.bitgpu_status {
	return withModel(h, message, func(m *model) error {
		if err := given("session", out); err != nil {
			return err
		}
		s, err := m.open()
		if err == nil {
			*out = C.bitgpu_session(table.add(s))
		}
		return err
	})
}

//export bitgpu_session_fork
func bitgpu_session_fork(h C.bitgpu_session, out *C.bitgpu_session, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(s *session, open *bitgpu.Session) error {
		if err := given("fork", out); err != nil {
			return err
		}
		forked, err := open.Fork()
		if err != nil {
			return err
		}
		f, err := s.model.adopt(forked)
		if err == nil {
			*out = C.bitgpu_session(table.add(f))
		}
		return err
	})
}

//export bitgpu_session_forward
func bitgpu_session_forward(h C.bitgpu_session, tokens *C.bitgpu_token, count C.size_t, logits *C.float, size C.size_t, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(s *session, open *bitgpu.Session) error {
		dst, err := room(logits, size, 1, s.model.Config().Vocab)
		if err != nil {
			return err
		}
		ids, err := tokensOf(tokens, count)
		if err != nil {
			return err
		}
		row, err := open.Forward(ids)
		copy(dst, row)
		return err
	})
}

//export bitgpu_session_forward_all
func bitgpu_session_forward_all(h C.bitgpu_session, tokens *C.bitgpu_token, count C.size_t, logits *C.float, size C.size_t, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(s *session, open *bitgpu.Session) error {
		vocab := s.model.Config().Vocab
		dst, err := room(logits, size, count, vocab)
		if err != nil {
			return err
		}
		ids, err := tokensOf(tokens, count)
		if err != nil {
			return err
		}
		return open.ForwardAll(ids, func(from int, rows []float32) error {
			copy(dst[from*vocab:], rows)
			return nil
		})
	})
}

// room returns the caller's array, if it holds rows times vocab floats.
func room(logits *C.float, size, rows C.size_t, vocab int) ([]float32, error) {
	if size/C.size_t(vocab) < rows {
		return nil, fmt.Errorf("%w: logits: got room for %d floats, want %d times %d", errArgument, size, rows, vocab)
	}
	return array("logits", (*float32)(logits), size)
}

//export bitgpu_session_learn
func bitgpu_session_learn(h C.bitgpu_session, in *C.bitgpu_text, length C.size_t, tokens *C.int64_t, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(s *session, open *bitgpu.Session) error {
		prompt, err := textOf(in, length)
		if err = cmp.Or(err, given("tokens", tokens)); err != nil {
			return err
		}
		n, err := open.Learn(s.ctx, prompt)
		*tokens = C.int64_t(n)
		return err
	})
}

//export bitgpu_session_position
func bitgpu_session_position(h C.bitgpu_session, position *C.int64_t, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(_ *session, open *bitgpu.Session) error {
		if err := given("position", position); err != nil {
			return err
		}
		*position = C.int64_t(open.Position())
		return nil
	})
}

//export bitgpu_session_save_memory
func bitgpu_session_save_memory(h C.bitgpu_session, path *C.bitgpu_text, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(_ *session, open *bitgpu.Session) error {
		if err := given("path", path); err != nil {
			return err
		}
		return open.SaveMemory(text(path))
	})
}

//export bitgpu_session_load_memory
func bitgpu_session_load_memory(h C.bitgpu_session, path *C.bitgpu_text, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(_ *session, open *bitgpu.Session) error {
		if err := given("path", path); err != nil {
			return err
		}
		return open.LoadMemory(text(path))
	})
}

//export bitgpu_session_reset
func bitgpu_session_reset(h C.bitgpu_session, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(_ *session, open *bitgpu.Session) error { return open.Reset() })
}

//export bitgpu_session_close
func bitgpu_session_close(h C.bitgpu_session, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		s, err := take[*session]("session", int64(h))
		if err != nil {
			return err
		}
		return s.close()
	})
}

//export bitgpu_stream_open
func bitgpu_stream_open(h C.bitgpu_session, prompt *C.bitgpu_text, length C.size_t, options *C.bitgpu_const_options, out *C.bitgpu_stream, message **C.char) C.bitgpu_status {
	return withSession(h, message, func(s *session, _ *bitgpu.Session) error {
		begin, err := textOf(prompt, length)
		if err = cmp.Or(err, given("options", options), given("stream", out)); err != nil {
			return err
		}
		o := (*C.bitgpu_options)(options)
		texts, err := array("stop", o.stop, o.stop_count)
		if err != nil {
			return err
		}
		var stops []string
		for _, stop := range texts {
			stops = append(stops, text(stop))
		}
		how := bitgpu.Options{
			MaxTokens: int(o.max_tokens), Temperature: float64(o.temperature), TopK: int(o.top_k), TopP: float64(o.top_p),
			MinP: float64(o.min_p), RepeatPenalty: float64(o.repeat_penalty), Seed: uint64(o.seed), Stop: stops,
		}
		if err := how.Validate(); err != nil {
			return err
		}
		*out = C.bitgpu_stream(table.add(s.stream(begin, how)))
		return nil
	})
}

//export bitgpu_stream_next
func bitgpu_stream_next(h C.bitgpu_stream, out **C.char, length *C.size_t, message **C.char) C.bitgpu_status {
	end := false
	result := report(message, func() error {
		t, err := find[*stream]("stream", int64(h))
		if err = cmp.Or(err, given("text", out), given("length", length)); err != nil {
			return err
		}
		piece, ok, err := t.next()
		if ok {
			*out, *length = C.CString(piece), C.size_t(len(piece))
		}
		end = !ok
		return err
	})
	if result == C.BITGPU_OK && end {
		return C.BITGPU_END
	}
	return result
}

//export bitgpu_stream_close
func bitgpu_stream_close(h C.bitgpu_stream, message **C.char) C.bitgpu_status {
	return report(message, func() error {
		t, err := take[*stream]("stream", int64(h))
		if err != nil {
			return err
		}
		t.close()
		return nil
	})
}
