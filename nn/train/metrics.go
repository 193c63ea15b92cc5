package train

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"

	"bitgpu/io/atomicfile"
	"bitgpu/io/regular"
)

// Metric is one line of metrics.jsonl: the result of one step.
type Metric struct {
	Step            int      `json:"step"`      // from 0
	Loss            float32  `json:"loss"`      // nats per token of the step's batch, before its update
	LR              float64  `json:"lr"`        // learning rate of the update
	GradNorm        float32  `json:"grad_norm"` // before clipping
	Tokens          int64    `json:"tokens"`    // predicted by the run so far, including this step
	TokensPerSecond float64  `json:"tokens_per_second"`
	ValLoss         *float64 `json:"val_loss,omitempty"` // nats per token after the update, if measured
}

// ReadMetrics reads metrics.jsonl. It ignores an incomplete last line, which a killed run leaves.
func ReadMetrics(path string) ([]Metric, error) {
	return readMetrics(path, func(err error) error { return err })
}

// readMetrics calls broken for each line that does not describe a step, and skips the line if broken returns nil.
func readMetrics(path string, broken func(error) error) ([]Metric, error) {
	data, err := regular.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, regular.Cause(err))
	}
	var all []Metric
	for n := 1; len(data) > 0; n++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			break
		}
		data = rest
		m, err := parseMetric(line)
		if err != nil {
			if err := broken(fmt.Errorf("%s: line %d: not a step's metrics: %w", path, n, err)); err != nil {
				return nil, err
			}
			continue
		}
		all = append(all, m)
	}
	return all, nil
}

// parseMetric parses a line. It refuses other JSON, which would otherwise look like a step with loss 0.
func parseMetric(line []byte) (Metric, error) {
	var m struct {
		Metric
		Step *int     `json:"step"`
		Loss *float32 `json:"loss"`
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return Metric{}, err
	}
	if m.Step == nil || *m.Step < 0 || m.Loss == nil {
		return Metric{}, errors.New(`got JSON without "step" and "loss", want both`)
	}
	m.Metric.Step, m.Metric.Loss = *m.Step, *m.Loss
	return m.Metric, nil
}

// metricsFile appends to metrics.jsonl.
type metricsFile struct {
	path string
	file *os.File
	out  *bufio.Writer
	best float64 // validation loss, +Inf before the first
	// worse counts the validations since the best one.
	worse int
	last  int // updates before the last validation
}

// see counts a validation.
func (f *metricsFile) see(m Metric) {
	if m.ValLoss == nil {
		return
	}
	f.last = m.Step + 1
	f.worse++
	if *m.ValLoss < f.best {
		f.best, f.worse = *m.ValLoss, 0
	}
}

// exhausted reports whether a run with the given patience ends with the validation after `done` updates. Without patience,
// none does.
func (f *metricsFile) exhausted(patience, done int) bool {
	return patience > 0 && f.worse >= patience && f.last == done
}

// openMetrics drops the lines of steps from step on, which will be done again, and opens the file for appending. A line that
// a crash has damaged is dropped after calling warn: checkpoints do not depend on it. val, if not nil, is the validation loss
// that the line before step lacks; that line is returned.
func openMetrics(path string, step int, val *float64, warn func(error)) (*metricsFile, []Metric, error) {
	var late []Metric
	all, err := readMetrics(path, func(err error) error {
		warn(fmt.Errorf("%w; the line is dropped", err))
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	for i := range all {
		if val != nil && all[i].Step == step-1 {
			all[i].ValLoss = val
			late = all[i : i+1]
		}
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		out := json.NewEncoder(w)
		for _, m := range all {
			if m.Step < step {
				if err := out.Encode(m); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("train: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("train: %s: %w", path, regular.Cause(err))
	}
	f := &metricsFile{path: path, file: file, out: bufio.NewWriter(file), best: math.Inf(1)}
	for _, m := range all {
		if m.Step < step {
			f.see(m)
		}
	}
	return f, late, nil
}

// add writes a line so that it survives if the process is killed afterwards.
func (f *metricsFile) add(m Metric) error {
	line, err := json.Marshal(m)
	if err == nil {
		_, err = f.out.Write(append(line, '\n'))
	}
	if err == nil {
		err = f.out.Flush()
	}
	f.see(m)
	return f.name(err)
}

// sync returns when all lines are on the disk.
func (f *metricsFile) sync() error { return f.name(f.file.Sync()) }

func (f *metricsFile) close() error { return f.name(f.file.Close()) }

func (f *metricsFile) name(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("train: %s: cannot be written: %w", f.path, regular.Cause(err))
}
