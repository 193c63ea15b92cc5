package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"bitgpu/io/safetensors"
	"bitgpu/nn"
)

// ErrConfig is returned where the config that the caller gives contradicts the file. The text names the field.
var ErrConfig = errors.New("the config given does not fit")

// givenJSON encodes the config that a caller gives as config.json. It returns nil for none.
func givenJSON(given *nn.Config) (json.RawMessage, error) {
	if given == nil {
		return nil, nil
	}
	c := given.WithDefaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c.MarshalJSON()
}

// agree compares the config that a caller gives for path with the config found, in which 0, "" and NaN mean unknown. Fields
// that the caller leaves out are not compared, unless the config is whole.
func agree(path string, given, found nn.Config, whole bool) error {
	usesRate := found.Uses("inner_lr")
	differ := func(field string, given, found any) error {
		return fmt.Errorf("%s: %w: %s: got %v, want %v as given", path, ErrConfig, field, found, given)
	}
	for _, k := range nn.Keys {
		open := !whole && !k.Required && !given.Says(&k)
		given, found := nn.Field(k.Value(&given)), nn.Field(k.Value(&found))
		switch {
		case given == found || found == 0 || found == "" || found != found: // NaN
		case open:
		case k.Name == "inner_lr" && !usesRate: // a default that does not matter
		default:
			if word, ok := given.(string); ok {
				given, found = strconv.Quote(word), strconv.Quote(found.(string))
			}
			return differ(k.Name, given, found)
		}
	}
	return nil
}

// describe returns what the shapes of a file's tensors say about its config.
func describe(file *safetensors.File) nn.Config {
	size := func(name string, axis int) int {
		if t, ok := file.Tensor(name); ok && axis < len(t.Shape) {
			return t.Shape[axis]
		}
		return 0
	}
	c := nn.Config{
		Vocab: size("embed.weight", 0), Width: size("embed.weight", 1), InnerLR: math.NaN(), NormEps: math.NaN(),
		MemoryWidth: size("layers.0.ttt.down.weight", 0), Heads: size("layers.0.ttt.step.bias", 0),
	}
	c.MLPWidth = size("layers.0.mlp.gate_proj.weight", 0)
	c.TiedHead = size("embed.weight", 0) > 0 && size(nn.HeadName, 0) == 0
	c.Mixer = nn.FindMixer(func(name string) bool { return size(name, 0) > 0 })
	for _, name := range file.Names() {
		layer, _, _ := strings.Cut(strings.TrimPrefix(name, "layers."), ".")
		if i, err := strconv.Atoi(layer); err == nil && i >= c.Layers && i < math.MaxInt {
			c.Layers = i + 1
		}
	}
	return c
}
