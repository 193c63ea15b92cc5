package chat

import (
	"fmt"
	"math"
	"math/big"
	"strings"
)

// dict keeps its entries in order of insertion, as Python does.
type dict struct {
	keys, vals []value
	index      map[any]int // made once there are many entries
}

func (d *dict) len() int { return len(d.keys) }

func (d *dict) find(k value) int {
	if s, ok := k.(string); ok && d.index == nil {
		for i, have := range d.keys {
			if h, ok := text(have); ok && h == s {
				return i
			}
		}
		return -1
	}
	h := hash(k)
	if d.index == nil {
		for i, have := range d.keys {
			if hash(have) == h {
				return i
			}
		}
		return -1
	}
	if i, ok := d.index[h]; ok {
		return i
	}
	return -1
}

func (d *dict) get(k value) (value, bool) {
	if i := d.find(k); i >= 0 {
		return d.vals[i], true
	}
	return nil, false
}

func (d *dict) set(k, v value) {
	if i := d.find(k); i >= 0 {
		d.vals[i] = v
		return
	}
	d.keys, d.vals = append(d.keys, k), append(d.vals, v)
	switch {
	case d.index != nil:
		d.index[hash(k)] = len(d.keys) - 1
	case len(d.keys) > 8:
		d.index = map[any]int{}
		for i, k := range d.keys {
			d.index[hash(k)] = i
		}
	}
}

type (
	bigKey       string
	tupleKey     string
	undefinedKey struct{}
)

// hash returns a key that is equal for equal values. It raises for values that Python cannot hash.
func hash(v value) any {
	switch v := v.(type) {
	case string, int64, noneType, pyRange:
		return v
	case markup:
		return string(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case *big.Int:
		return bigKey(fmt.Sprint(v.Sign()) + string(v.Bytes()))
	case float64:
		if v == math.Trunc(v) && !math.IsInf(v, 0) {
			b, _ := big.NewFloat(v).Int(nil)
			return hash(shrink(b))
		}
		return v
	case *undefined:
		return undefinedKey{}
	case *tuple:
		var b strings.Builder
		for _, item := range v.items {
			h := hash(item)
			fmt.Fprintf(&b, "%T ", h)
			if t, ok := hashText(h); ok {
				fmt.Fprintf(&b, "%d %s", len(t), t)
			} else {
				fmt.Fprintf(&b, "%p", h)
			}
			if b.Len() > maxSource {
				raise("a tuple is too large for a key")
			}
		}
		return tupleKey(b.String())
	case *list, *dict:
		raise("unhashable type: '%s'", typeName(v))
	case *view:
		if v.kind != "values" {
			raise("unhashable type: '%s'", typeName(v))
		}
	}
	return v
}

func hashText(h any) (string, bool) {
	switch h := h.(type) {
	case string:
		return h, true
	case bigKey:
		return string(h), true
	case tupleKey:
		return string(h), true
	case int64, float64, noneType, undefinedKey, pyRange:
		return fmt.Sprint(h), true
	}
	return "", false
}
