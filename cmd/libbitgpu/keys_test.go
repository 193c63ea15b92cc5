//go:build cgo

package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bitgpu/nn"
)

// The fields of Python's BitLlamaConfig are the keys of config.json, in their order, with their kinds.
func TestKeysOfPython(t *testing.T) {
	text, err := os.ReadFile("../../python/bitgpu/_config.py")
	if err != nil {
		t.Fatal(err)
	}
	_, class, _ := strings.Cut(string(text), "class BitLlamaConfig:")
	class, _, _ = strings.Cut(class, "def __post_init__")
	var got, want []string
	for _, m := range regexp.MustCompile(`(?m)^    (\w+): (?:Optional\[)?(\w+)`).FindAllStringSubmatch(class, -1) {
		got = append(got, m[1]+" "+m[2])
	}
	for _, k := range nn.Keys {
		kind := "str"
		switch k.Value(new(nn.Config)).(type) {
		case *int:
			kind = "int"
		case *float64:
			kind = "float"
		case *bool:
			kind = "bool"
		}
		want = append(want, k.Name+" "+kind)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
