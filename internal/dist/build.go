package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// target is a platform with the C compiler that builds for it with GPU support; "" builds without.
type target struct {
	system, arch string
	cc           string
}

// targets are the platforms of the archives. Apple's systems are built for without a C compiler, because it needs Apple's own
// SDK.
var targets = []target{
	{"linux", "amd64", "cc"},
	{"linux", "amd64", ""},
	{"linux", "arm64", ""},
	{"darwin", "amd64", ""},
	{"darwin", "arm64", ""},
	{"windows", "amd64", mingw},
	{"windows", "arm64", ""},
}

const (
	mingw   = "x86_64-w64-mingw32-gcc"
	arm64CC = "aarch64-linux-gnu-gcc"
)

// label is the part of file names that names a target; it says so if a target only computes on the CPU.
func (t target) label() string {
	label := t.system + "-" + t.arch
	if t.cc == "" {
		label += "-cpu"
	}
	return label
}

func (t target) program() string {
	if t.system == "windows" {
		return "bitgpu.exe"
	}
	return "bitgpu"
}

// build returns the path of a package's program, or of its C library, for a target.
func (r *release) build(t target, pkg, name string, flags ...string) (string, error) {
	path := filepath.Join(r.work, t.label(), name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	env := []string{"GOOS=" + t.system, "GOARCH=" + t.arch, "CGO_ENABLED=0", "GOFLAGS="}
	link := "-s -w -buildid= -X " + r.module + "/internal/version.Release=" + r.version
	if t.cc != "" {
		env = append(env, "CGO_ENABLED=1", "CC="+t.cc, "CGO_CFLAGS=-O2", "CGO_LDFLAGS=")
		// Leave out what GNU's linkers would record about the time and place of the build.
		if t.system == "windows" {
			link += " -extldflags=-static"
		} else {
			link += " -extldflags=-Wl,--build-id=none,-z,relro,-z,now"
		}
	}
	args := append([]string{"build", "-trimpath", "-buildvcs=true", "-ldflags", link}, flags...)
	if err := run(env, "go", append(args, "-o", path, pkg)...); err != nil {
		return "", fmt.Errorf("%s: %w", t.label(), err)
	}
	return path, nil
}

// bitgpu returns the program for a target. With GPU support on Linux it can be loaded at any address, as Debian requires.
func (r *release) bitgpu(t target) (string, error) {
	if t.cc != "" && t.system == "linux" {
		return r.build(t, "./cmd/bitgpu", t.program(), "-buildmode=pie")
	}
	return r.build(t, "./cmd/bitgpu", t.program())
}
