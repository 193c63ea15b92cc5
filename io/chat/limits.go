package chat

import "fmt"

// What a template may use. A template comes with a model and its variables come from anyone who talks to the model, so
// neither may take the process down: each limit ends the render with an error that names the line.
const (
	maxSource  = 256 << 10 // bytes of a template
	maxNesting = 200       // expressions within expressions and blocks within blocks, as the text stands
	maxDepth   = 1500      // evaluations under way at once: a macro that calls itself ends here
	maxSteps   = 8 << 20   // evaluations, passes of loops and, by 64, bytes and elements touched
	maxRange   = 100_000   // elements of range(), as in Jinja's sandbox
	maxString  = 16 << 20  // bytes of one string, and of the render
	maxTotal   = 256 << 20 // bytes of all strings and lists that a render makes
	maxItems   = 1 << 20   // elements of one list
	maxNames   = 1 << 20   // names that the branches of all ifs see, together
	maxBits    = 1 << 16   // of a whole number
	maxDigits  = 4300      // of a whole number that is written or read, as in Python
	maxJSON    = 500       // levels of JSON
)

// raised is what panics inside a render, and becomes a [RenderError] at its edge.
type raised struct {
	message string
	byUs    bool // raise_exception: the template's own words
}

func raise(format string, args ...any) {
	panic(raised{message: fmt.Sprintf(format, args...)})
}

// charge counts n bytes or elements that an operation touches.
func (r *run) charge(n int) {
	r.steps += n/64 + 1
	if r.steps > maxSteps {
		raise("the render takes more than %d steps", maxSteps)
	}
}

// made counts a string or a list of n bytes that an operation is about to make.
func (r *run) made(n int) {
	if n < 0 || n > maxString {
		raise("a string or list would take more than %d bytes", maxString)
	}
	if r.total += n; r.total > maxTotal {
		raise("the render makes more than %d bytes of strings and lists", maxTotal)
	}
	r.charge(n)
}

// elements counts a list of n elements that an operation is about to make.
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
