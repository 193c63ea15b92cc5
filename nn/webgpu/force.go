package webgpu

import "fmt"

// Variants names the ways of computing a product among which Tune lets measurements choose.
func Variants() []string {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = fmt.Sprintf("%d×%d of %d", c.Lanes, c.Quads, c.Workgroup)
		if c.Tiles {
			names[i] = "tiles"
		}
	}
	return names
}

// Force has every product computed in one way, by its place in Variants, or, where that is negative, as before. It
// is for holding each of them against the reference; !ok where the adapter cannot run it.
func (o *Ops) Force(variant int) (ok bool) {
	o.forced = nil
	if variant < 0 {
		return true
	}
	if choices[variant].Workgroup > o.dev.Limits().MaxInvocationsPerWorkgroup {
		return false
	}
	o.forced = &choices[variant]
	return true
}
