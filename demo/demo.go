// Package demo is a small trained model inside the program, so that the first command on a fresh
// machine writes text without a file or a download. It is not for loading: that is package bitgpu's. README.md beside it says how it was made.
package demo

import _ "embed"

// Name is what messages call the model.
const Name = "the embedded demo model"

// Model is the demo in a .bitt file, packed.
//
//go:embed demo.bitt
var Model []byte
