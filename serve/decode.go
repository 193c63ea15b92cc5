package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// body reads a request's body of at most limit bytes, which must be UTF-8 if it is text.
func (c *call) body(limit int64) ([]byte, error) {
	tooLarge := &apiError{status: http.StatusRequestEntityTooLarge, code: "too_large", message: fmt.Sprintf("the body has more than %d bytes", limit)}
	if c.r.ContentLength > limit {
		return nil, tooLarge
	}
	data, err := io.ReadAll(&countedReader{c: c, from: http.MaxBytesReader(c.w, c.bodyReader(), limit)})
	var large *http.MaxBytesError
	var own *apiError
	switch {
	case errors.As(err, &own):
		return nil, own
	case errors.As(err, &large):
		return nil, tooLarge
	case err != nil && c.r.Context().Err() != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return nil, c.r.Context().Err()
	case err != nil:
		return nil, errBody
	}
	return data, nil
}

// mostPassedOver is how many bytes are read of a body that nobody wants.
const mostPassedOver = 32 << 20

// passOver reads and drops what is left of the body of a request that is refused. Many clients send all of it before they read the
// answer, which is lost with a connection that is closed before. Who asks first (Expect) is answered at once.
func (c *call) passOver() {
	if c.r.Header.Get("Expect") == "" {
		http.NewResponseController(c.w.ResponseWriter).SetReadDeadline(time.Now().Add(c.s.o.Stall))
		io.CopyN(io.Discard, c.r.Body, mostPassedOver)
	}
}

// errBody is the error of a body that has ended, or did not go on, before its end.
var errBody = &apiError{status: http.StatusBadRequest, code: "body", message: "the body did not arrive as a whole"}

// mostBodies is how many bodies of the largest size all requests together may have in RAM.
const mostBodies = 32

// countedReader adds what it reads to the total of all requests' bodies, and fails if that is too much.
type countedReader struct {
	c    *call
	from io.Reader
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.c.held += int64(n)
	if r.c.s.bodies.Add(int64(n)) > mostBodies*r.c.s.o.BodyLimit {
		return n, unavailable("bodies", "the requests under way are too large together")
	}
	return n, err
}

// mediaType returns the type of the body, in lower case and without its parameters.
func (c *call) mediaType() string {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// decode reads the body as a JSON object into a struct. It refuses unknown fields, and those of refuse with their reason.
// With anyType it also accepts a body that is not declared as JSON, as ollama does.
func (c *call) decode(into any, refuse map[string]string, anyType bool) error {
	if kind := c.mediaType(); kind != "application/json" && !anyType {
		return &apiError{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
			message: fmt.Sprintf("Content-Type: got %.100q, want application/json", c.r.Header.Get("Content-Type"))}
	}
	data, err := c.body(c.s.o.BodyLimit)
	if err != nil {
		return err
	}
	return decodeJSON(data, into, refuse)
}

func badJSON(format string, a ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "invalid_json", message: "the body " + fmt.Sprintf(format, a...)}
}

func decodeJSON(data []byte, into any, refuse map[string]string) error {
	if !utf8.Valid(data) {
		return badJSON("is not UTF-8")
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return badJSON("is a JSON %s, want an object", kind.Value)
		}
		return badJSON("is not JSON: %v", err)
	}
	if fields == nil {
		return badJSON("is null, want an object")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if why, ok := refuse[name]; ok && !idle(fields[name]) {
			return unsupported(name, why)
		} else if ok {
			delete(fields, name)
		}
	}
	if string(bytes.TrimSpace(fields["memory"])) == `""` { // probably from an unset variable: nothing would be remembered
		return invalid("memory", "got \"\", want the id of a memory")
	}
	known, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	return strictly(known, into, "")
}

// idle reports whether a value asks for nothing.
func idle(value json.RawMessage) bool {
	switch string(bytes.TrimSpace(value)) {
	case "null", "false", "[]", "{}":
		return true
	}
	return false
}

var unknownField = regexp.MustCompile(`^json: unknown field "(.*)"$`)

// embedded are the names of embedded structs of requests, with which the field in a JSON error begins.
var embedded = regexp.MustCompile(`^((sampling|remember|streaming|unused|ollamaRequest)\.)+`)

// strictly decodes a value; at is its place in the request, "" for the whole.
func strictly(data []byte, into any, at string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		return nil
	}
	within := func(name string) string {
		if at != "" && name != "" {
			return at + "." + name
		}
		return at + name
	}
	var kind *json.UnmarshalTypeError
	var own *apiError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &kind):
		return invalid(within(embedded.ReplaceAllString(kind.Field, "")), "got a JSON %s, want %s", kind.Value, wanted(kind.Type.String()))
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return &apiError{status: http.StatusBadRequest, code: "unknown_parameter", param: within(m[1]), message: fmt.Sprintf("no field %q is known here", within(m[1]))}
	}
	return badJSON("cannot be read: %v", err)
}

// wanted returns JSON's name for what a Go type accepts.
func wanted(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "float64":
		return "a number"
	case "int", "int64", "uint32":
		return "a whole number"
	}
	return "another one; see /openapi.json"
}
