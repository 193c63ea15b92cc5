package bench

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"bitgpu/nn/cpu/parallel"
)

// Machine is the computer that a run was made on.
type Machine struct {
	Processor string `json:"processor"`
	Threads   int    `json:"threads"`          // that the program may use
	Memory    int64  `json:"memory,omitempty"` // bytes, where the system says it
}

func thisMachine() Machine {
	return Machine{Processor: processor(), Threads: parallel.Workers(), Memory: meminfo("MemTotal:")}
}

// busy is the load per thread from which on a machine is too busy for times to mean much.
const busy = 0.25

// load returns the load average of the last minute; none if the system has none.
func load() []float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(data), " ")
	average, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	return []float64{average}
}

// processor returns the operating system's name for the processor, if it has one.
func processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}

// meminfo returns the value of a line of Linux's /proc/meminfo in bytes, 0 if there is none.
func meminfo(name string) int64 { return kilobytes("/proc/meminfo", name) }

// resident returns the resident memory of this process in bytes, 0 if the system does not say.
func resident() int64 { return kilobytes("/proc/self/status", "VmRSS:") }

// kilobytes returns the value of a line of one of Linux's files in bytes, 0 if there is none.
func kilobytes(path, name string) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err == nil {
				return kilobytes << 10
			}
		}
	}
	return 0
}
