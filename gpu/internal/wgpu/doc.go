// Package wgpu gives one name to each thing in two bindings of wgpu-native: of version 0.17 or, with the build tag wgpu22, of
// version 22. It is the only package that imports them, so that its users work with either.
package wgpu
