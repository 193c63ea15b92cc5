package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
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
	Machine   Machine        `json:"machine"`
	Load      []float64      `json:"load,omitempty"` // average of a minute, at the beginning and the end, where the system says it
	Engines   []EngineInfo   `json:"engines"`
	Floors    []Floor        `json:"floors"`
	Parity    []Parity       `json:"parity"`
	Ops       []OpTime       `json:"ops"`
	Models    []ModelSpeed   `json:"models"`
	Heads     []ModelSpeed   `json:"heads"`
	Positions []PositionCost `json:"positions"`
	Families  []FamilySpeed  `json:"families,omitempty"`
	Peers     []PeerSpeed    `json:"peers,omitempty"`
	LeftOut   []LeftOut      `json:"left_out,omitempty"`
	Notes     []string       `json:"notes"`
	// Failures says what could not be measured, in a sentence each.
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

// seconds returns the least time that work can take, and the limit that determines it.
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
	Bytes      int64   `json:"bytes"`             // that have to be moved
	FLOPs      int64   `json:"flops"`             // that have to be computed
	Weights    int64   `json:"weights,omitempty"` // of a ternary matrix times one row of activations
	Dispatches float64 `json:"dispatches"`        // a call, 0 where there is no such thing
	Floor      float64 `json:"floor"`             // seconds, the largest of the three limits
	Bound      string  `json:"bound"`             // which of them
	Cached     bool    `json:"cached"`            // its tensors fit into a cache, so memory need not be the limit
}

// Achieved returns the share of the floor: at most 1, unless the tensors are in a cache.
func (o OpTime) Achieved() float64 { return o.Floor / o.Seconds.Median }

// timesFloat32 returns how many times as many weights per second a ternary product handles as a float32 product could read from
// memory at the bandwidth of the floor; 0 for other operations.
func (o OpTime) timesFloat32(f Floor) float64 {
	return float64(o.Weights) / o.Seconds.Median / (f.Bandwidth.Median / 4)
}

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

// path returns the path by which --only chooses the row.
func (m ModelSpeed) path() string {
	size, kind, batch := modelKey(m.Key)
	if size == "" {
		return m.Key // of a head
	}
	return fmt.Sprintf("model/%s/%s/%s/%s", size, kind, m.Mixer, batch)
}

// PeerSpeed is the same model in another program.
type PeerSpeed struct {
	Peer    string `json:"peer"`    // name and version
	Device  string `json:"device"`  // as the program calls it
	Key     string `json:"key"`     // as ModelSpeed has it
	Mixer   string `json:"mixer"`   // of a family's row the layout of its weights
	Seconds Sample `json:"seconds"` // a token
	// Resident is the largest resident memory of the program in bytes, 0 if it does not say.
	Resident int64 `json:"resident,omitempty"`
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
// measured, or time or memory that grows with the position. It is nil if all is well.
func (r *Report) Err() error {
	if broken := r.Broken(); len(broken) > 0 {
		return fmt.Errorf("bench: %d of %d bounds of parity are broken, the first is %s on the %s engine: %s",
			len(broken), len(r.Parity), broken[0].Key, broken[0].Engine, broken[0].Failures[0])
	}
	if len(r.Failures) > 0 {
		return fmt.Errorf("bench: %d rows could not be measured: %s", len(r.Failures), r.Failures[0])
	}
	first := map[string]PositionCost{}
	for _, p := range r.Positions {
		from, ok := first[p.Engine+p.Key]
		if !ok {
			first[p.Engine+p.Key] = p
			continue
		}
		before, now := "", ""
		switch p.grown(from) {
		case "memory":
			before, now = fmt.Sprintf("%d bytes of tensors", from.Memory), fmt.Sprint(p.Memory)
		case "heap":
			before, now = fmt.Sprintf("%d bytes of heap", from.Heap), fmt.Sprint(p.Heap)
		case "time":
			before, now = fmt.Sprintf("%s µs a token at most", digits(1e6*from.Seconds.High)), digits(1e6*p.Seconds.Low)+" at least"
		default:
			continue
		}
		return fmt.Errorf("bench: %s on the %s engine is not flat: got %s after %d tokens, want %s as after %d",
			p.Key, p.Engine, now, p.Position, before, from.Position)
	}
	return nil
}

// How much a token may take at a later position, as a multiple of what it takes at the first.
const (
	flatTime = 1.5     // times the slowest repetition of the first, for the fastest of a later one
	flatHeap = 2 << 20 // bytes beside, which a heap after collection may differ by
)

// grown returns, in a word, what a token takes more of than at the first position; "" if it takes the same.
func (p PositionCost) grown(first PositionCost) string {
	switch {
	case p.Memory > first.Memory:
		return "memory"
	case p.Heap > first.Heap+flatHeap:
		return "heap"
	case p.Seconds.Low > flatTime*first.Seconds.High:
		return "time"
	}
	return ""
}

// fail keeps the error of a row; the others are still measured.
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
	return writeFile(path, append(data, '\n'))
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
		return nil, fmt.Errorf("%s: got %d bytes, want a report of at most %d", path, info.Size(), maxReport)
	}
	data, err := regular.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: not a report of bitgpu bench: %w", path, err)
	}
	if r.Version != reportVersion {
		return nil, fmt.Errorf("%s: got a report of version %d, want %d", path, r.Version, reportVersion)
	}
	return r, nil
}

// CanWrite returns an error if a file that is to be written later could not be.
func CanWrite(path string) error {
	f, err := atomicfile.Create(path)
	if err != nil {
		return err
	}
	f.Discard()
	return nil
}

// writeFile replaces a file as a whole; its errors name it.
func writeFile(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
