// Package freemem says how much memory this process may still take: the least of what the machine has free, what its
// control groups leave (versions 1 and 2, with those above them), and what ulimit -v allows.
//
// It is not for the memory of a GPU.
package freemem

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
)

// limit is how much memory a source of memory has in all, and how much is left.
type limit struct{ total, free int64 }

// Free returns how many bytes can still be allocated without swapping or being killed, 0 if the system does not say.
func Free() int64 {
	return least(func(l limit) int64 { return l.free })
}

// Total returns how many bytes this process could allocate if it were alone on the machine, 0 if the system does not say.
func Total() int64 {
	return least(func(l limit) int64 { return l.total })
}

func least(of func(limit) int64) int64 {
	n := int64(math.MaxInt64)
	for _, l := range append(limits(os.DirFS("/")), systemLimits()...) {
		n = min(n, max(of(l), 1)) // nothing left is not the same as not knowing
	}
	if n == math.MaxInt64 {
		return 0
	}
	return n
}

// limits reads Linux's files, and returns none if they do not exist.
func limits(root fs.FS) []limit {
	var all []limit
	total, known := field(root, "proc/meminfo", "MemTotal:")
	free, alsoKnown := field(root, "proc/meminfo", "MemAvailable:")
	if known && alsoKnown {
		all = append(all, limit{total << 10, free << 10})
	}
	groups, _ := fs.ReadFile(root, "proc/self/cgroup")
	for line := range strings.Lines(string(groups)) {
		// number:controllers:path, with no controllers for version 2
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		mount, names := "sys/fs/cgroup", version2
		if parts[1] != "" {
			mount, names = "sys/fs/cgroup/memory", version1
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
		}
		// Inside a container the path may be that of the machine outside. Folders that do not exist are skipped; the
		// container's own group is at the top.
		for at := path.Join("/", parts[2]); ; at = path.Dir(at) {
			if l, ok := names.read(root, path.Join(mount, at)); ok {
				all = append(all, l)
			}
			if at == "/" {
				break
			}
		}
	}
	return all
}

// group names the files of a version of control groups.
type group struct{ most, used, cache string }

var (
	version1 = group{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}
	version2 = group{"memory.max", "memory.current", "inactive_file"}
)

// read returns a group's limit, if it has one. Pages of files that are kept in case they are read again do not count as used.
func (g group) read(root fs.FS, dir string) (limit, bool) {
	most, ok := number(root, path.Join(dir, g.most))
	used, alsoOK := number(root, path.Join(dir, g.used))
	if !ok || !alsoOK {
		return limit{}, false
	}
	cache, _ := field(root, path.Join(dir, "memory.stat"), g.cache)
	return limit{most, most - used + min(cache, used)}, true
}

// number reads a file that holds one number; "max" is none.
func number(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil && n >= 0
}

// field reads the number that follows a name in a file of lines "name number".
func field(root fs.FS, file, name string) (int64, bool) {
	data, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if words := strings.Fields(lines.Text()); len(words) > 1 && words[0] == name {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil && n >= 0
		}
	}
	return 0, false
}
