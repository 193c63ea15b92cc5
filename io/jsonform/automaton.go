package jsonform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Thought says whether the text may begin with a thought, <think> … </think>, which may contain anything.
type Thought byte

const (
	NoThought  Thought = iota
	MayThink           // a thought may come before the value
	IsThinking         // the text begins inside a thought
)

// Form is what texts must conform to. It is immutable.
type Form struct {
	root    *node
	thought Thought
}

// Object is the form of all JSON objects.
func Object() *Form { return &Form{root: anyObject} }

// Schema returns the form of the values that a JSON schema, of draft 2020-12 or an earlier one, allows. An error is an
// [ErrSchema].
func Schema(schema []byte) (*Form, error) {
	n, _, err := compile(schema)
	if err != nil {
		return nil, err
	}
	return &Form{root: n}, nil
}

// After returns the form with or without a thought before the text.
func (f *Form) After(t Thought) *Form { return &Form{f.root, t} }

// ErrForm is returned for a schema that allows too many readings at once, or that the vocabulary cannot write.
var ErrForm = errors.New("the form cannot be written")

// Limits of an automaton's tables.
const (
	mostStates   = 2048
	mostStacks   = 1 << 16
	mostTogether = 1024 // stacks per state
)

// automaton holds the states that a text can be in.
type automaton struct {
	stacks map[stackKey]*stack
	states map[string]*state
	out    []*stack // of the step in progress
}

type stackKey struct {
	m    matcher
	then *stack
}

// state is a set of stacks, one of which the rest of the text must satisfy.
type state struct {
	stacks []*stack // without duplicates, ordered by id; nil stands for the end
	next   [256]*state
	tried  [4]uint64 // the bytes for which next is known
	mask   []uint64  // of the tokens that may follow; nil until it is needed
}

func newAutomaton() *automaton {
	return &automaton{stacks: map[stackKey]*stack{}, states: map[string]*state{}}
}

// push puts a matcher on a stack.
func (a *automaton) push(m matcher, then *stack) *stack {
	k := stackKey{m, then}
	s := a.stacks[k]
	if s == nil {
		s = &stack{m, then, uint32(len(a.stacks)) + 1}
		a.stacks[k] = s
	}
	return s
}

func (a *automaton) emit(s *stack) { a.out = append(a.out, s) }

// step returns the state after a byte; nil if no text continues so.
func (a *automaton) step(from *state, b byte) (*state, error) {
	if from.tried[b/64]&(1<<(b%64)) != 0 {
		return from.next[b], nil
	}
	a.out = a.out[:0]
	for _, s := range from.stacks {
		for s != nil {
			s.step(a, b, s.then)
			if !s.optional() {
				break
			}
			s = s.then
		}
	}
	to, err := a.state(a.out)
	if err != nil {
		return nil, err
	}
	from.next[b] = to
	from.tried[b/64] |= 1 << (b % 64)
	return to, nil
}

func idOf(s *stack) uint32 {
	if s == nil {
		return 0
	}
	return s.id
}

// state returns the state for a set of stacks.
func (a *automaton) state(stacks []*stack) (*state, error) {
	if len(stacks) == 0 {
		return nil, nil
	}
	stacks = slices.Clone(stacks)
	slices.SortFunc(stacks, func(a, b *stack) int { return int(int64(idOf(a)) - int64(idOf(b))) })
	stacks = slices.Compact(stacks)
	if len(stacks) > mostTogether {
		return nil, fmt.Errorf("%w: the schema can be read in more than %d ways at once", ErrForm, mostTogether)
	}
	var name []byte
	for _, s := range stacks {
		name = binary.LittleEndian.AppendUint32(name, idOf(s))
	}
	s := a.states[string(name)]
	if s == nil {
		if len(a.states) >= 8*mostStates { // the automaton is only renewed before a mask, never within one
			return nil, fmt.Errorf("%w: the schema has more than %d states within a token", ErrForm, 7*mostStates)
		}
		s = &state{stacks: stacks}
		a.states[string(name)] = s
	}
	return s, nil
}

// ends reports whether the text may end here.
func (s *state) ends() bool {
	return slices.ContainsFunc(s.stacks, func(at *stack) bool {
		for at != nil && at.optional() {
			at = at.then
		}
		return at == nil
	})
}

// start returns the state before a text.
func (a *automaton) start(f *Form) (*state, error) {
	root := a.push(value{n: f.root}, nil)
	direct := a.push(space{}, root) // the first token of some tokenizers begins with a space
	thought := a.push(thinking{}, root)
	switch f.thought {
	case IsThinking:
		return a.state([]*stack{thought})
	case MayThink:
		return a.state([]*stack{direct, a.push(space{}, a.push(literal{text: "<think>"}, thought))})
	}
	return a.state([]*stack{direct})
}

// renew returns a new automaton that contains only one state, for one whose tables are full.
func (a *automaton) renew(s *state) (*automaton, *state, error) {
	fresh := newAutomaton()
	moved := map[*stack]*stack{nil: nil}
	var move func(s *stack) *stack
	move = func(s *stack) *stack {
		if to, ok := moved[s]; ok {
			return to
		}
		to := fresh.push(s.matcher, move(s.then))
		moved[s] = to
		return to
	}
	var stacks []*stack
	for _, one := range s.stacks {
		stacks = append(stacks, move(one))
	}
	to, err := fresh.state(stacks)
	return fresh, to, err
}

const thoughtEnd = "</think>"

// thinking is the rest of a thought: `end` bytes of its closing tag have been read, and then white space.
type thinking struct{ end, lines int }

func (m thinking) optional() bool { return m.end == len(thoughtEnd) }
func (m thinking) step(a *automaton, b byte, then *stack) {
	switch {
	case m.end == len(thoughtEnd):
		if b == '\n' && m.lines < 2 {
			m.lines++
			a.emit(a.push(m, then))
		}
		return
	case b == thoughtEnd[m.end]:
		m.end++
	case b == thoughtEnd[0]:
		m.end = 1
	default:
		m.end = 0
	}
	a.emit(a.push(m, then))
}
