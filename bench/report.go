package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"bitgpu/io/atomicfile"
)

// reportVersion changes when the meaning of a field does.
const reportVersion = 1

// Report is everything that one run found.
type Report struct {
	Version   int            `json:"version"`
	Date      time.Time      `json:"date"`
	Command   string         `json:"command"`
	Commit    string         `json:"commit"`
	Go        string         `json:"go"`
	Platform  string         `json:"platform"`
	Engines   []EngineInfo   `json:"engines"`
	Floors    []Floor        `json:"floors"`
	Parity    []Parity       `json:"parity"`
	Ops       []OpTime       `json:"ops"`
	Models    []ModelSpeed   `json:"models"`
	Heads     []ModelSpeed   `json:"heads"`
	Positions []PositionCost `json:"positions"`
	Peers     []PeerSpeed    `json:"peers,omitempty"`
	Notes     []string       `json:"notes"`
	// Failures are what could not be measured, a sentence each.
	Failures []string `json:"failures,omitempty"`
}

// EngineInfo says what ran.
type EngineInfo struct {
	Name     string `json:"name"`   // cpu or gpu
	Device   string `json:"device"` // the processor
	Driver   string `json:"driver"`
	Hardware bool   `json:"hardware"` // false for a GPU driver that computes on the processor
	Clock    string `json:"clock"`    // what times come from
}

// Floor is what a device could do at most, measured in the same run.
type Floor struct {
	Engine    string `json:"engine"`
	Bandwidth Sample `json:"bandwidth"` // bytes a second, of memory far larger than the caches
	Traffic   string `json:"traffic"`   // what was measured: "read" or "copy", which counts both ways
	FLOPS     Sample `json:"flops"`     // float32 operations a second; a multiply-add is two
	Dispatch  Sample `json:"dispatch"`  // seconds that one smallest piece of work takes after another
}

// seconds is the least time that work can take, and which of the limits says so.
func (f Floor) seconds(bytes, flops int64, dispatches float64) (float64, string) {
	least, bound := float64(bytes)/f.Bandwidth.Median, "memory"
	if t := float64(flops) / f.FLOPS.Median; t > least {
		least, bound = t, "arithmetic"
	}
	if t := dispatches * f.Dispatch.Median; t > least {
		least, bound = t, "dispatch"
	}
	return least, bound
}

// OpTime is the time of one operation.
type OpTime struct {
	Engine     string  `json:"engine"`
	Key        string  `json:"key"`
	Seconds    Sample  `json:"seconds"`
	Bytes      int64   `json:"bytes"`      // that have to be moved
	FLOPs      int64   `json:"flops"`      // that have to be computed
	Dispatches float64 `json:"dispatches"` // a call, 0 where there is no such thing
	Floor      float64 `json:"floor"`      // seconds, the largest of the three limits
	Bound      string  `json:"bound"`      // which of them
	Cached     bool    `json:"cached"`     // its tensors fit into a cache, so memory need not be the limit
}

// Achieved is the share of the floor, 1 at best unless the tensors lie in a cache.
func (o OpTime) Achieved() float64 { return o.Floor / o.Seconds.Median }

// ModelSpeed is the speed of one whole model.
type ModelSpeed struct {
	Engine     string  `json:"engine"`
	Key        string  `json:"key"` // without the mixer
	Mixer      string  `json:"mixer"`
	Seconds    Sample  `json:"seconds"`    // a token
	Bytes      int64   `json:"bytes"`      // a token, that have to be moved
	FLOPs      int64   `json:"flops"`      // a token, that have to be computed
	Floor      float64 `json:"floor"`      // seconds a token
	Bound      string  `json:"bound"`      // what the floor comes from
	Dispatches float64 `json:"dispatches"` // a step: a token of every sequence, a prompt or a training step
	Submits    float64 `json:"submits"`    // a step
	Memory     int64   `json:"memory"`     // bytes of the tensors
}

// PerSecond is tokens a second.
func (m ModelSpeed) PerSecond() Sample { return m.Seconds.per(1) }

// PositionCost is what one more token costs after many.
type PositionCost struct {
	Engine   string `json:"engine"`
	Key      string `json:"key"`
	Position int64  `json:"position"` // tokens that were really read before
	Seconds  Sample `json:"seconds"`  // a token
	Memory   int64  `json:"memory"`   // bytes of the tensors
	Heap     int64  `json:"heap"`     // bytes of the program's heap after collection
}

// PeerSpeed is the same model in another program.
type PeerSpeed struct {
	Peer    string `json:"peer"`   // name and version
	Device  string `json:"device"` // as the program calls it
	Key     string `json:"key"`    // as ModelSpeed has it
	Mixer   string `json:"mixer"`
	Seconds Sample `json:"seconds"` // a token
}

// Broken lists the parity rows whose bound does not hold.
func (r *Report) Broken() []Parity {
	var broken []Parity
	for _, p := range r.Parity {
		if !p.Holds() {
			broken = append(broken, p)
		}
	}
	return broken
}

// Err says in one sentence what is wrong: a broken bound of parity, something that could not be
// measured, or memory that grows with the position. It is nil where all is well.
func (r *Report) Err() error {
	if broken := r.Broken(); len(broken) > 0 {
		return fmt.Errorf("bench: %d of %d bounds of parity are broken, the first is %s on the %s engine: %s",
			len(broken), len(r.Parity), broken[0].Key, broken[0].Engine, broken[0].Failures[0])
	}
	if len(r.Failures) > 0 {
		return fmt.Errorf("bench: %d rows could not be measured: %s", len(r.Failures), r.Failures[0])
	}
	first := map[string]int64{}
	for _, p := range r.Positions {
		memory, ok := first[p.Engine+p.Key]
		if !ok {
			first[p.Engine+p.Key] = p.Memory
		} else if p.Memory > memory {
			return fmt.Errorf("bench: %s on the %s engine takes %d bytes after %d tokens, %d before",
				p.Key, p.Engine, p.Memory, p.Position, memory)
		}
	}
	return nil
}

// fail keeps an error of one row; the others are measured all the same.
func (r *Report) fail(engine, key string, err error) {
	if err != nil {
		r.Failures = append(r.Failures, fmt.Sprintf("%s on the %s engine: %v", key, engine, err))
	}
}

// note keeps a sentence that a reader of the numbers should know.
func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Save writes the report as JSON.
func (r *Report) Save(path string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := writeFile(path, append(data, '\n')); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// maxReport is far above any report, so that a wrong file is not read into memory.
const maxReport = 64 << 20

// LoadReport reads a report that Save wrote.
func LoadReport(path string) (*Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxReport {
		return nil, fmt.Errorf("%s: a report of at most %d bytes wanted, %d found", path, maxReport, info.Size())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: a report of bitgpu bench wanted: %w", path, err)
	}
	if r.Version != reportVersion {
		return nil, fmt.Errorf("%s: a report of version %d wanted, %d found", path, reportVersion, r.Version)
	}
	return r, nil
}

// writeFile replaces a file as a whole.
func writeFile(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
