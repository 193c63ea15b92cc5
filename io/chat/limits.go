package chat

import "fmt"

// Limits for templates. A template comes with a model, and its variables come from anyone who talks to the model, so neither
// may bring the process down: exceeding a limit ends the rendering with an error that names the line.
const (
	maxSource  = 256 << 10 // bytes of a template
	maxNesting = 200       // nested expressions and blocks in the source
	maxDepth   = 1500      // evaluations in progress: a macro that calls itself ends here
	maxSteps   = 8 << 20   // evaluations, loop iterations and, divided by 64, bytes and elements processed
	maxRange   = 100_000   // elements of range(), as in Jinja's sandbox
	maxString  = 16 << 20  // bytes of one string, and of the rendering
	maxTotal   = 256 << 20 // bytes of all strings and lists made by a rendering
	maxItems   = 1 << 20   // elements of one list
	maxNames   = 1 << 20   // names visible in the branches of all ifs together
	maxBits    = 1 << 16   // of a whole number
	maxDigits  = 4300      // of a whole number that is printed or parsed, as in Python
	maxJSON    = 500       // levels of JSON
)

// raised is the value of panics inside a rendering. At the edge it becomes a [RenderError].
type raised struct {
	message string
	byUs    bool // by raise_exception, with the template's own message
}

func raise(format string, args ...any) {
	panic(raised{message: fmt.Sprintf(format, args...)})
}

// charge counts n bytes or elements processed by an operation.
func (r *run) charge(n int) {
	r.steps += n/64 + 1
	if r.steps > maxSteps {
		raise("the render takes more than %d steps", maxSteps)
	}
}

// made counts a string or list of n bytes before an operation makes it.
func (r *run) made(n int) {
	if n < 0 || n > maxString {
		raise("a string or list would take more than %d bytes", maxString)
	}
	if r.total += n; r.total > maxTotal {
		raise("the render makes more than %d bytes of strings and lists", maxTotal)
	}
	r.charge(n)
}

// elements counts a list of n elements before an operation makes it.
func (r *run) elements(n int) {
	if n < 0 || n > maxItems {
		raise("a list would have more than %d elements", maxItems)
	}
	if r.total += 40 * n; r.total > maxTotal {
		raise("the render makes more than %d bytes of strings and lists", maxTotal)
	}
	r.charge(n)
}

func (r *run) enter() {
	if r.depth++; r.depth > maxDepth {
		raise("the template nests or calls itself deeper than %d evaluations", maxDepth)
	}
}

func (r *run) leave() { r.depth-- }
