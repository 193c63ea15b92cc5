// Package version says what a program was built from. Versions of files and formats are elsewhere.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"bitgpu/gpu"
)

// Release is the number of a release, set by the linker: -ldflags "-X bitgpu/internal/version.Release=1.2.3".
var Release string

// Text returns the release, or "devel", and the commit, as far as the build recorded it.
func Text() string {
	info, _ := debug.ReadBuildInfo()
	return text(Release, info)
}

func text(release string, info *debug.BuildInfo) string {
	if release == "" {
		release = "devel"
	}
	commit, modified := "unknown", ""
	if info != nil {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && s.Value != "":
				commit = s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = ", modified"
			}
		}
		if v := info.Main.Version; release == "devel" && commit == "unknown" && v != "" && v != "(devel)" {
			release = v // go install MODULE@VERSION does not know the commit
		}
	}
	return fmt.Sprintf("%s (commit %s%s)", release, commit, modified)
}

// Line returns the release, the commit, Go, the platform and what the build computes on, in one line.
func Line() string {
	computes := "CPU only"
	if api := gpu.API(); api != "" {
		computes = "CPU and GPU (" + api + ")"
	}
	return fmt.Sprintf("bitgpu %s, %s, %s/%s, %s", Text(), runtime.Version(), runtime.GOOS, runtime.GOARCH, computes)
}
