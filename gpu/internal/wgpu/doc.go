// Package wgpu has the names of one of two bindings to wgpu-native, of 0.17 or, with the build tag wgpu22, of 22. It is the
// only package that imports them, so that what uses the one uses the other.
package wgpu
