package public

import (
	"os"
	"strconv"
	"strings"
)

// processorSeconds is the time that the processors have spent on this process, 0 where the system does not say.
func processorSeconds() float64 {
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	total := 0.0
	for _, text := range fields[11:13] { // in hundredths
		n, _ := strconv.ParseFloat(text, 64)
		total += n / 100
	}
	return total
}
