package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"

	"bitgpu"
	"bitgpu/io/chat"
)

// apiError is an error for the client, in OpenAI's form.
type apiError struct {
	status  int
	code    string // for programs
	param   string // the field of the request
	message string
	retry   int // seconds to wait before trying again, 0 for none
}

func (e *apiError) Error() string { return e.message }

// kind returns OpenAI's category for a status.
func (e *apiError) kind() string {
	switch {
	case e.status == http.StatusUnauthorized:
		return "authentication_error"
	case e.status == http.StatusForbidden:
		return "permission_error"
	case e.status == http.StatusNotFound:
		return "not_found_error"
	case e.status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.status >= 500:
		return "server_error"
	}
	return "invalid_request_error"
}

// body returns the error as JSON.
func (e *apiError) body() any {
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return map[string]any{"error": map[string]any{
		"message": e.message, "type": e.kind(), "param": orNull(e.param), "code": orNull(e.code),
	}}
}

// invalid refuses the value of a field.
func invalid(param, format string, a ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "invalid_value", param: param, message: param + ": " + fmt.Sprintf(format, a...)}
}

// unsupported refuses a field that has no effect here.
func unsupported(param, why string) *apiError {
	return &apiError{status: http.StatusBadRequest, code: "unsupported_parameter", param: param, message: fmt.Sprintf("%s is not supported: %s", param, why)}
}

func notFound(code, format string, a ...any) *apiError {
	return &apiError{status: http.StatusNotFound, code: code, message: fmt.Sprintf(format, a...)}
}

func unavailable(code, message string) *apiError {
	return &apiError{status: http.StatusServiceUnavailable, code: code, message: message, retry: 5}
}

// errTimeout is the cause of a context that Options.Timeout has ended.
var errTimeout = errors.New("the time of the request is over")

// asAPIError turns an error into one for the client. An error that is not the client's fault becomes an internal error,
// because its text may name files and should only be in the log.
func asAPIError(ctx context.Context, err error) *apiError {
	var e *apiError
	var render *chat.RenderError
	if errors.As(err, &e) {
		return e
	}
	if e := formError(err); e != nil {
		return e
	}
	switch {
	case errors.Is(err, errGone), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		if errors.Is(context.Cause(ctx), errTimeout) {
			return unavailable("timeout", "the request took longer than this server allows")
		}
		return &apiError{status: 499, code: "cancelled", message: errGone.Error()} // nginx's status, for the log
	case errors.As(err, &render):
		return &apiError{status: http.StatusBadRequest, code: "chat_template", param: "messages", message: "messages: " + render.Error()}
	case errors.Is(err, bitgpu.ErrEmptyPrompt):
		return invalid("prompt", "%v", bitgpu.ErrEmptyPrompt)
	case errors.Is(err, bitgpu.ErrContext):
		return &apiError{status: http.StatusBadRequest, code: "context_length_exceeded", message: err.Error()}
	case errors.Is(err, bitgpu.ErrTokenRange), errors.Is(err, bitgpu.ErrOption):
		return &apiError{status: http.StatusBadRequest, code: "invalid_value", message: err.Error()}
	case errors.Is(err, bitgpu.ErrNoTokenizer):
		return &apiError{status: http.StatusBadRequest, code: "no_tokenizer", message: bitgpu.ErrNoTokenizer.Error()}
	case errors.Is(err, bitgpu.ErrNotFinite):
		return &apiError{status: http.StatusUnprocessableEntity, code: "not_finite", message: err.Error()}
	case errors.Is(err, bitgpu.ErrClosed):
		return unavailable("closing", "the server is closing")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return unavailable("disk_full", "the memory could not be kept: there is no space left on the server's disk")
	case errors.Is(err, fs.ErrNotExist):
		return notFound("not_found", "it is not there any more")
	}
	return &apiError{status: http.StatusInternalServerError, code: "internal", message: "an internal error; the server's log has it"}
}
