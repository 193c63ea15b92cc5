package serve

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"bitgpu"
	"bitgpu/io/memory"
)

const (
	mostNameBytes = 200
	mostUploads   = 8 // at once: each is a file, and then a whole memory in RAM
	memoryType    = "application/octet-stream"
)

// memoryBody describes a memory for clients.
func (s *Server) memoryBody(a about) map[string]any {
	return map[string]any{
		"id": a.ID, "object": "memory", "name": a.Name, "model": s.o.Name, "created_at": a.Created, "used_at": a.Used,
		"tokens": a.Tokens, "bytes": a.Bytes,
	}
}

func checkName(name string) error {
	if len(name) > mostNameBytes {
		return invalid("name", "got %d bytes, want at most %d", len(name), mostNameBytes)
	}
	return nil
}

// createMemory makes an empty memory, or one from a file.
func (s *Server) createMemory(c *call) error {
	var in struct {
		Name string `json:"name"`
	}
	in.Name = c.r.URL.Query().Get("name")
	if err := checkName(in.Name); err != nil {
		return err
	}
	var session *bitgpu.Session
	var err error
	switch kind := c.mediaType(); {
	case kind == memoryType:
		if session, err = c.upload(); err != nil {
			return err
		}
	default:
		if kind != "" || c.r.ContentLength != 0 { // no body means an empty memory
			if err := c.decode(&in, nil, false); err != nil {
				return err
			}
		}
		if err := checkName(in.Name); err != nil {
			return err
		}
		if session, err = s.model.NewSession(); err != nil {
			return err
		}
	}
	a, err := s.store.create(c.owner, in.Name, session)
	if err != nil {
		return err
	}
	return c.answer(http.StatusCreated, s.memoryBody(a))
}

// upload makes a session from a memory file that a client sends.
func (c *call) upload() (*bitgpu.Session, error) {
	s := c.s.store.measured()
	defer c.s.uploads.Add(-1)
	if c.s.uploads.Add(1) > mostUploads {
		return nil, unavailable("uploads", "other memories are being sent")
	}
	f, err := os.CreateTemp(s.dir, ".upload-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	_, err = io.Copy(f, http.MaxBytesReader(c.w, c.bodyReader(), s.largest()))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &apiError{status: http.StatusRequestEntityTooLarge, code: "too_large",
			message: fmt.Sprintf("the body has more than %d bytes, which is more than a memory of this model", s.largest())}
	case err != nil && c.r.Context().Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, c.r.Context().Err()
	case err != nil:
		return nil, errBody
	}
	refused := func(format string, a ...any) error {
		return &apiError{status: http.StatusUnprocessableEntity, code: "invalid_memory", message: "the file " + fmt.Sprintf(format, a...)}
	}
	data, err := os.ReadFile(f.Name())
	if err != nil {
		return nil, err
	}
	m, err := memory.Parse("upload", data)
	switch {
	case err != nil:
		return nil, refused("is no memory: %v", err)
	case m.Model != "" && m.Model != s.model.ID():
		return nil, refused("is a memory of another model: got %.100q, want %q", m.Model, s.model.ID())
	}
	session, err := s.loadFile(f.Name())
	if err != nil {
		return nil, refused("does not fit the model: %v", err)
	}
	return session, nil
}

func (s *Server) listMemories(c *call) error {
	all, err := s.store.list(c.owner)
	if err != nil {
		return err
	}
	data := []any{}
	for _, a := range all {
		data = append(data, s.memoryBody(a))
	}
	return c.answer(http.StatusOK, map[string]any{"object": "list", "data": data})
}

func (s *Server) getMemory(c *call) error {
	a, err := s.store.get(c.owner, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, s.memoryBody(a))
}

func (s *Server) deleteMemory(c *call) error {
	id := c.r.PathValue("id")
	if err := s.store.delete(c.owner, id); err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"id": id, "object": "memory.deleted", "deleted": true})
}

func (s *Server) forkMemory(c *call) error {
	id := c.r.PathValue("id")
	a, err := s.store.get(c.owner, id)
	if err != nil {
		return err
	}
	in := struct {
		Name string `json:"name"`
	}{a.Name}
	if c.mediaType() != "" || c.r.ContentLength != 0 {
		if err := c.decode(&in, nil, false); err != nil {
			return err
		}
	}
	if err := checkName(in.Name); err != nil {
		return err
	}
	session, err := s.store.read(c.owner, id)
	if err != nil {
		return err
	}
	if a, err = s.store.create(c.owner, in.Name, session); err != nil {
		return err
	}
	return c.answer(http.StatusCreated, s.memoryBody(a))
}

// learnMemory reads a text, or a document as it is, into a memory.
func (s *Server) learnMemory(c *call) error {
	var in struct {
		Text   *string `json:"text"`
		Tokens ids     `json:"tokens"`
	}
	if c.mediaType() == "text/plain" {
		data, err := c.body(s.o.BodyLimit)
		if err != nil {
			return err
		}
		text := string(data)
		in.Text = &text
	} else if err := c.decode(&in, nil, false); err != nil {
		return err
	}
	if (in.Text == nil) == (in.Tokens == nil) {
		return invalid("text", "got both or none of text and tokens, want one of them")
	}
	leave, err := c.place()
	if err != nil {
		return err
	}
	defer leave()
	t, err := c.open(remember{Memory: c.r.PathValue("id")})
	if err != nil {
		return err
	}
	defer t.close()
	ids := in.Tokens
	if in.Text != nil {
		if ids, err = c.encode(t, *in.Text); err != nil {
			return err
		}
	}
	if err := c.read(t, ids); err != nil {
		return err
	}
	if err := t.keep(); err != nil {
		return err
	}
	a, err := s.store.get(c.owner, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	return c.answer(http.StatusOK, map[string]any{"object": "memory.learned", "tokens": len(ids), "memory": s.memoryBody(a)})
}

func (s *Server) getMemoryFile(c *call) error {
	f, a, err := s.store.file(c.owner, c.r.PathValue("id"))
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.w.Header()
	h.Set("Content-Type", memoryType)
	h.Set("Content-Length", fmt.Sprint(a.Bytes))
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", a.ID+".memory"))
	h.Set("ETag", `"`+a.Sum+`"`)
	c.w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(struct{ io.Writer }{c.w}, f); err != nil {
		return errGone
	}
	return nil
}

func (s *Server) putMemoryFile(c *call) error {
	if c.mediaType() != memoryType {
		return &apiError{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
			message: fmt.Sprintf("Content-Type: got %.100q, want %s", c.r.Header.Get("Content-Type"), memoryType)}
	}
	id := c.r.PathValue("id")
	if _, err := s.store.get(c.owner, id); err != nil {
		return err
	}
	session, err := c.upload()
	if err != nil {
		return err
	}
	w, err := s.store.write(c.owner, id)
	if err != nil {
		session.Close()
		return err
	}
	w.replace(session)
	if err := w.commit(); err != nil {
		return err
	}
	return s.getMemory(c)
}
