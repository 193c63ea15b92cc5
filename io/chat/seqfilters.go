package chat

import "sort"

type definer func(names string, params string, least int, fn func(r *run, v value, p []value) value)

// defSequenceFilters defines the filters that work on the elements of a value.
func defSequenceFilters(def definer) {
	def("items", "", 0, func(r *run, v value, p []value) value {
		return lazily(func() iterator {
			if _, ok := v.(*undefined); ok {
				return r.over(nil)
			}
			d, ok := v.(*dict)
			if !ok {
				raise("Can only get item pairs from a mapping.")
			}
			return r.iter(&view{of: d, kind: "items"})
		})
	})
	filters["map"] = &filter{any: mapFilter}
	filters["select"] = &filter{any: selecting(false, true)}
	filters["reject"] = &filter{any: selecting(false, false)}
	filters["selectattr"] = &filter{any: selecting(true, true)}
	filters["rejectattr"] = &filter{any: selecting(true, false)}
	def("sort", "reverse case_sensitive attribute", 0, func(r *run, v value, p []value) value {
		items := r.collect(v)
		get := r.getters(p[2], postprocess(p[1]))
		r.sortBy(items, p[0] != nil && truth(p[0]), get)
		return &list{items: items}
	})
	def("dictsort", "case_sensitive by reverse", 0, dictSort)
	def("unique", "case_sensitive attribute", 0, func(r *run, v value, p []value) value {
		return lazily(func() iterator {
			get := r.getter(p[1], postprocess(p[0]))
			seen := &dict{}
			it := r.iter(v)
			return func() (value, bool) {
				for x, ok := it(); ok; x, ok = it() {
					k := get(x)
					if _, old := seen.get(k); !old {
						r.elements(2)
						seen.set(k, none)
						return x, true
					}
				}
				return nil, false
			}
		})
	})
	def("min", "case_sensitive attribute", 0, extreme("<"))
	def("max", "case_sensitive attribute", 0, extreme(">"))
	def("sum", "attribute start", 0, func(r *run, v value, p []value) value {
		total := value(int64(0))
		if p[1] != nil {
			total = p[1]
		}
		if _, ok := text(total); ok {
			raise("sum() can't sum strings [use ''.join(seq) instead]")
		}
		get := r.getter(p[0], nil)
		it := r.iter(v)
		for x, ok := it(); ok; x, ok = it() {
			total = r.binary("+", total, get(x))
		}
		return total
	})
	def("groupby", "attribute default case_sensitive", 1, groupBy)
	def("batch", "linecount fill_with", 1, batch)
	def("slice", "slices fill_with", 1, sliceFilter)
	def("pprint", "", 0, func(r *run, v value, p []value) value {
		s := r.repr(v)
		if len(s) > 79 { // Python would break the line
			raise("pprint of more than 79 characters is not supported")
		}
		return s
	})
}

// reversible returns the elements of a value that Python can iterate backwards.
func (r *run) reversible(v value) []value {
	switch v.(type) {
	case *generator, *loopContext:
		raise("'%s' object is not reversible", typeName(v))
	}
	if !canIterate(v) {
		raise("'%s' object is not reversible", typeName(v))
	}
	return r.collect(v)
}

// postprocess is how sort and similar filters compare strings: ignoring case unless asked otherwise.
func postprocess(caseSensitive value) func(value) value {
	if caseSensitive != nil && truth(caseSensitive) {
		return nil
	}
	return func(v value) value {
		if s, ok := text(v); ok {
			return lower(s)
		}
		return v
	}
}

// sortBy sorts by a key, stably.
func (r *run) sortBy(items []value, backwards bool, key func(value) value) {
	r.elements(2 * len(items))
	keys := make([]value, len(items))
	order := make([]int, len(items))
	for i, v := range items {
		keys[i], order[i] = key(v), i
	}
	sort.SliceStable(order, func(i, j int) bool {
		if backwards {
			return r.compare("<", keys[order[j]], keys[order[i]])
		}
		return r.compare("<", keys[order[i]], keys[order[j]])
	})
	sorted := make([]value, len(items))
	for i, j := range order {
		sorted[i] = items[j]
	}
	copy(items, sorted)
}

func dictSort(r *run, v value, p []value) value {
	if u, ok := v.(*undefined); ok {
		u.fail()
	}
	d, ok := v.(*dict)
	if !ok {
		raise("'%s' object has no attribute 'items'", typeName(v))
	}
	by, at := "key", 0
	if p[1] != nil {
		by, _ = text(p[1])
	}
	switch by {
	case "key":
	case "value":
		at = 1
	default:
		raise("You can only sort by either \"key\" or \"value\"")
	}
	post := postprocess(p[0])
	items := r.collect(&view{of: d, kind: "items"})
	r.sortBy(items, p[2] != nil && truth(p[2]), func(pair value) value {
		k := pair.(*tuple).items[at]
		if post != nil {
			k = post(k)
		}
		return k
	})
	return &list{items: items}
}

func extreme(op string) func(r *run, v value, p []value) value {
	return func(r *run, v value, p []value) value {
		it := r.iter(v)
		best, ok := it()
		if !ok {
			return &undefined{message: "No aggregated item, sequence was empty."}
		}
		get := r.getter(p[1], postprocess(p[0]))
		bestKey := get(best)
		for x, ok := it(); ok; x, ok = it() {
			if k := get(x); r.compare(op, k, bestKey) {
				best, bestKey = x, k
			}
		}
		return best
	}
}

func groupBy(r *run, v value, p []value) value {
	items := r.collect(v)
	post := postprocess(p[2])
	key := r.getterOr(p[0], p[1], post)
	r.sortBy(items, false, key)
	groups := &list{}
	var last value
	for _, item := range items {
		k := key(item)
		if last == nil || !r.eq(last, k) {
			r.elements(4)
			name := k
			if post != nil {
				name = r.getterOr(p[0], p[1], nil)(item)
			}
			groups.items = append(groups.items, &tuple{items: []value{name, &list{}}, names: []string{"grouper", "list"}})
			last = k
		}
		l := groups.items[len(groups.items)-1].(*tuple).items[1].(*list)
		l.items = append(l.items, item)
	}
	return groups
}

func batch(r *run, v value, p []value) value {
	size := toIndex(p[0], "a line count")
	return lazily(func() iterator {
		it := r.iter(v)
		var held value // the element that did not fit
		more := true
		return func() (value, bool) {
			l := &list{}
			if held != nil {
				l.items, held = append(l.items, held), nil
			}
			for more {
				var x value
				if x, more = it(); !more {
					break
				}
				// Python checks whether a line is full before it takes the next element.
				if len(l.items) == size {
					held = x
					return l, true
				}
				r.elements(1)
				l.items = append(l.items, x)
			}
			if len(l.items) == 0 {
				return nil, false
			}
			if p[1] != nil && p[1] != none && len(l.items) < size {
				r.elements(size - len(l.items))
				for len(l.items) < size {
					l.items = append(l.items, p[1])
				}
			}
			return l, true
		}
	})
}

func sliceFilter(r *run, v value, p []value) value {
	n := toIndex(p[0], "the number of slices")
	return lazily(func() iterator {
		items := r.collect(v)
		if n == 0 {
			raise("integer division or modulo by zero")
		}
		i := -1
		return r.counted(func() (value, bool) {
			if i++; i >= n {
				return nil, false
			}
			size, extra := len(items)/n, len(items)%n
			start := i*size + min(i, extra)
			end := start + size
			if i < extra {
				end++
			}
			l := &list{items: append([]value(nil), items[start:end]...)}
			if p[1] != nil && p[1] != none && i >= extra {
				l.items = append(l.items, p[1])
			}
			r.elements(len(l.items) + 4)
			return l, true
		})
	})
}
