package chat

// args evaluates the arguments of a call.
func (r *run) args(a *argList, f *frame) callArgs {
	out := callArgs{pos: r.evalAll(a.args, f)}
	for _, k := range a.kwargs {
		out.kw = append(out.kw, named{k.name, r.eval(k.val, f)})
	}
	if a.star != nil {
		out.pos = append(out.pos, r.collect(r.eval(a.star, f))...)
	}
	if a.stars != nil {
		v := r.eval(a.stars, f)
		d, ok := v.(*dict)
		if !ok {
			raise("argument after ** must be a mapping, not %s", typeName(v))
		}
		r.elements(d.len())
		for i, k := range d.keys {
			name, ok := text(k)
			if !ok {
				raise("keywords must be strings")
			}
			for _, have := range out.kw {
				if have.name == name {
					raise("got multiple values for keyword argument '%s'", name)
				}
			}
			out.kw = append(out.kw, named{name, d.vals[i]})
		}
	}
	return out
}

// invoke makes the call, passing the caller of a call block if there is one.
func (e *callExpr) invoke(r *run, f *frame, caller *macro) value {
	fn := r.eval(e.of, f)
	a := r.args(&e.argList, f)
	if caller != nil {
		a.kw = append(a.kw, named{"caller", caller})
	}
	r.line = e.line
	return r.call(fn, a)
}

func (r *run) call(fn value, a callArgs) value {
	r.enter()
	defer r.leave()
	r.charge(64)
	switch fn := fn.(type) {
	case *function:
		return fn.call(r, a)
	case *macro:
		return fn.call(r, a)
	case *undefined:
		fn.fail()
	case *loopContext:
		if fn.recurse == nil {
			raise("The loop must have the 'recursive' marker to be called recursively.")
		}
		v := a.bind("loop", "iterable")[0]
		if v == nil {
			raise("loop() wants what to loop over")
		}
		return fn.recurse(v, fn.depth+1)
	case *joiner:
		return fn.call(r, a)
	}
	raise("'%s' object is not callable", typeName(fn))
	return nil
}

// bind puts arguments into the order of the parameters; missing ones are nil.
func (a callArgs) bind(name string, params ...string) []value {
	if len(a.pos) > len(params) {
		raise("%s takes at most %d arguments (%d given)", name, len(params), len(a.pos))
	}
	vals := make([]value, len(params))
	copy(vals, a.pos)
next:
	for _, k := range a.kw {
		for i, p := range params {
			if p == k.name {
				if vals[i] != nil {
					raise("%s got multiple values for argument '%s'", name, p)
				}
				vals[i] = k.val
				continue next
			}
		}
		raise("%s got an unexpected keyword argument '%s'", name, k.name)
	}
	return vals
}

// applyFilters filters the text of a block.
func (r *run) applyFilters(e *filterExpr, text value, f *frame) value {
	if inner, ok := e.of.(*filterExpr); ok {
		text = r.applyFilters(inner, text, f)
	}
	return r.filtered(e, text, f)
}

func (r *run) filtered(e *filterExpr, v value, f *frame) value {
	a := r.args(&e.argList, f)
	r.line = e.line
	if e.fn == nil {
		raise("No filter named '%s' found.", e.name)
	}
	return e.fn.apply(r, e.name, v, a)
}
