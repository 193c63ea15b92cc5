package chat

import "fmt"

// Names are resolved as Jinja's compiler does it, before anything runs: the scope that a name belongs to depends on where the
// template reads and writes it, not on what has been executed.

// load says how a name gets its initial value when its scope is entered.
type load byte

const (
	loadParam     load = iota // from the caller
	loadResolve               // from the conversation's variables
	loadAlias                 // from the same name in an enclosing scope
	loadUndefined             // no value yet
)

type binding struct {
	load  load
	alias int // the level of that enclosing scope
}

// symbols are the names of a scope; the branches of an if work on copies.
type symbols struct {
	parent *symbols
	level  int
	names  map[string]binding
	stores map[string]bool
	copied *int // names copied so far, in the whole template
}

func newSymbols(parent *symbols) *symbols {
	s := &symbols{parent: parent, names: map[string]binding{}, stores: map[string]bool{}}
	if parent != nil {
		s.level, s.copied = parent.level+1, parent.copied
	} else {
		s.copied = new(int)
	}
	return s
}

func (s *symbols) copy() *symbols {
	c := newSymbols(s.parent)
	c.copied = s.copied
	if *s.copied += len(s.names); *s.copied > maxNames {
		raise("too many names in too many branches")
	}
	for n, b := range s.names {
		c.names[n] = b
	}
	for n := range s.stores {
		c.stores[n] = true
	}
	return c
}

// find returns the level of the innermost scope that knows the name, or -1.
func (s *symbols) find(name string) int {
	for ; s != nil; s = s.parent {
		if _, ok := s.names[name]; ok {
			return s.level
		}
	}
	return -1
}

func (s *symbols) read(name string) {
	if s.find(name) < 0 {
		s.names[name] = binding{load: loadResolve}
	}
}

func (s *symbols) store(name string) {
	s.stores[name] = true
	if _, ok := s.names[name]; ok {
		return
	}
	if outer := s.parent.find(name); outer >= 0 {
		s.names[name] = binding{loadAlias, outer}
		return
	}
	s.names[name] = binding{load: loadUndefined}
}

func (s *symbols) param(name string) {
	s.stores[name] = true
	s.names[name] = binding{load: loadParam}
}

// branches merges what the branches of an if found. A name that only some of them write starts with its value from outside.
func (s *symbols) branches(list ...*symbols) {
	stored := map[string]bool{}
	for _, b := range list {
		for n := range b.stores {
			if !s.stores[n] {
				stored[n] = true
			}
		}
	}
	for _, b := range list {
		for n, bind := range b.names {
			s.names[n] = bind
		}
		for n := range b.stores {
			s.stores[n] = true
		}
	}
	for n := range stored {
		if outer := s.parent.find(n); outer >= 0 {
			s.names[n] = binding{loadAlias, outer}
		} else {
			s.names[n] = binding{load: loadResolve}
		}
	}
}

// visit notes the names of a node in its scope. It does not enter nodes with a scope of their own.
func (s *symbols) visit(n node) {
	switch n := n.(type) {
	case *nameExpr:
		switch n.use {
		case useLoad:
			s.read(n.name)
		case useStore:
			s.store(n.name)
		default:
			s.param(n.name)
		}
	case *nsRef:
		s.read(n.name)
	case *ifStmt:
		// An elif is visited as a nested if, as in Jinja's tree.
		s.visit(n.tests[0])
		body, elifs, other := s.copy(), s.copy(), s.copy()
		for _, c := range n.bodies[0] {
			body.visit(c)
		}
		for i := 1; i < len(n.tests); i++ {
			elifs.visit(&ifStmt{tests: n.tests[i : i+1], bodies: n.bodies[i : i+1]})
		}
		for _, c := range n.other {
			other.visit(c)
		}
		s.branches(body, elifs, other)
	case *macroStmt:
		s.store(n.macroDef.name)
	case *setStmt:
		s.visit(n.val)
		s.visit(n.target)
	case *forStmt:
		s.visit(n.iter)
	case *callStmt:
		s.visit(n.call)
	case *generationStmt:
	case *filterStmt:
		s.visit(n.filter)
	case *withStmt:
		for _, v := range n.values {
			s.visit(v)
		}
	case *setBlockStmt:
		s.visit(n.target)
	default:
		children(n, s.visit)
	}
}

func (s *symbols) visitAll(list []stmt) {
	for _, n := range list {
		s.visit(n)
	}
}

// scope is what is needed to enter a scope at run time.
type scope struct {
	size  int
	loads []slotLoad
}

type slotLoad struct {
	load     load
	slot     int
	name     string
	up, from int // for an alias: that many frames out, that slot
}

// compiler resolves the names, filters and tests of a template.
type compiler struct {
	frame *compileFrame
	line  int
}

type compileFrame struct {
	parent *compileFrame
	syms   *symbols
	slots  map[string]int
	soft   bool // inside an if, where an unknown filter is an error only when evaluated
}

func (c *compiler) fail(format string, args ...any) {
	panic(&loadError{line: c.line, message: fmt.Sprintf(format, args...)})
}

func (f *compileFrame) slot(name string) int {
	i, ok := f.slots[name]
	if !ok {
		i = len(f.slots)
		f.slots[name] = i
	}
	return i
}

// within compiles the parts of a scope with the given names, and returns how to enter it.
func (c *compiler) within(syms *symbols, compile func()) *scope {
	outer := c.frame
	c.frame = &compileFrame{parent: outer, syms: syms, slots: map[string]int{}}
	s := &scope{}
	for name, b := range syms.names {
		l := slotLoad{load: b.load, slot: c.frame.slot(name), name: name}
		if b.load == loadAlias {
			l.up = syms.level - b.alias
			at := c.frame
			for i := 0; i < l.up; i++ {
				at = at.parent
			}
			l.from = at.slot(name)
		}
		if b.load != loadParam {
			s.loads = append(s.loads, l)
		}
	}
	compile()
	s.size = len(c.frame.slots)
	c.frame = outer
	return s
}

// lookup finds where a name's value is.
func (c *compiler) lookup(name string) (up, slot int) {
	level := c.frame.syms.find(name)
	if level < 0 {
		c.fail("the name '%s' is not known here", name)
	}
	at := c.frame
	for at.syms.level != level {
		at = at.parent
		up++
	}
	return up, at.slot(name)
}

func (c *compiler) inner() *symbols { return newSymbols(c.frame.syms) }

// uses reports which of the names the statements read before they write them, in whatever nested scopes.
func uses(list []stmt, names ...string) map[string]bool {
	open, found := map[string]bool{}, map[string]bool{}
	for _, n := range names {
		open[n] = true
	}
	var visit func(n node)
	visit = func(n node) {
		if name, ok := n.(*nameExpr); ok {
			if name.use == useLoad && open[name.name] {
				found[name.name] = true
			} else {
				delete(open, name.name)
			}
		}
		children(n, visit)
	}
	for _, n := range list {
		visit(n)
	}
	return found
}
