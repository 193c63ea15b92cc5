package version

import (
	"regexp"
	"runtime/debug"
	"testing"
)

func TestText(t *testing.T) {
	commit := debug.BuildSetting{Key: "vcs.revision", Value: "0123456789abcdef"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, c := range []struct {
		release, module string
		settings        []debug.BuildSetting
		want            string
	}{
		{"", "(devel)", nil, "devel (commit unknown)"},
		{"", "", []debug.BuildSetting{commit}, "devel (commit 0123456789ab)"},
		{"", "v0.0.0-20260102030405-0123456789ab", []debug.BuildSetting{commit, modified}, "devel (commit 0123456789ab, modified)"},
		{"", "v1.2.3", nil, "v1.2.3 (commit unknown)"},
		{"1.2.3", "v0.0.0-20260102030405-0123456789ab", []debug.BuildSetting{commit}, "1.2.3 (commit 0123456789ab)"},
	} {
		info := &debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}
		if got := text(c.release, info); got != c.want {
			t.Errorf("%+v: got %q, want %q", c, got, c.want)
		}
	}
	if got := text("", nil); got != "devel (commit unknown)" {
		t.Errorf("without a record: %q", got)
	}
}

func TestLine(t *testing.T) {
	want := regexp.MustCompile(`^bitgpu \S+ \(commit [^)]+\), go\d\S*, \w+/\w+, CPU (only|and GPU \(.+\))$`)
	if got := Line(); !want.MatchString(got) {
		t.Errorf("got %q, want %v", got, want)
	}
}
