package storage

import "fmt"

// Numbers says how a model of a public family computes, in the words of the command line. The zero value leaves a model as it
// is.
type Numbers struct {
	Cache       string // of keys and values: "f32" or "f16"
	Activations string // inputs of linear layers: "float" or "int8"
}

// Check returns an error for unknown words.
func (n Numbers) Check() error {
	if n.Cache != "" && n.Cache != "f32" && n.Cache != "f16" {
		return fmt.Errorf("cache: got %q, want f32 or f16", n.Cache)
	}
	if n.Activations != "" && n.Activations != "float" && n.Activations != "int8" {
		return fmt.Errorf("activations: got %q, want float or int8", n.Activations)
	}
	return nil
}

// Apply changes the configuration of a loaded model. Our own models offer no such choice and are refused.
func (n Numbers) Apply(l *Loaded) error {
	d := l.Config.Decoder
	if d == nil {
		if n != (Numbers{}) {
			return fmt.Errorf("%s: cache or activations: got a model of our own, want one of a public family", l.Path)
		}
		return nil
	}
	d.HalfCache = n.Cache == "f16"
	if n.Activations != "" {
		d.Int8 = n.Activations == "int8"
	}
	return nil
}
