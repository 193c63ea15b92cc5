package train

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/corpus"
	"bitgpu/io/regular"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/op"
	"bitgpu/nn/storage"
	"bitgpu/nn/storage/public"
)

// The names in a run's directory.
const (
	MetricsName    = "metrics.jsonl"
	checkpointsDir = "checkpoints"
	stateName      = "state.json"
	stepPrefix     = "step-"
	hidden         = "." // begins the names of what is being written or removed
)

// momentParts are in the order in which all ranks read and write them.
var momentParts = []Part{FirstMoments, SecondMoments}

// momentNames are the files of Adam's moments.
var momentNames = map[Part]string{FirstMoments: "moment1.safetensors", SecondMoments: "moment2.safetensors"}

// keptCheckpoints is how many of the newest are kept, in addition to the best.
const keptCheckpoints = 3

// State is what a checkpoint says about the run, besides its tensors.
type State struct {
	FormatVersion int                `json:"format_version"`
	Step          int                `json:"step"`                     // updates done
	Position      uint64             `json:"position"`                 // windows taken from the data
	Tokens        int64              `json:"tokens"`                   // predicted so far; missing in older checkpoints
	Data          corpus.Fingerprint `json:"training_tokens"`          // what windows are taken from; also missing in older checkpoints
	Loss          float64            `json:"loss"`                     // of the validation, or the mean in training since the last checkpoint
	Validated     bool               `json:"validated"`                // which of the two Loss is
	Stopped       bool               `json:"stopped,omitempty"`        // saved because the run was stopped, between two regular checkpoints
	ValidationDue bool               `json:"validation_due,omitempty"` // the run was stopped before the validation of this step
	LossSum       float64            `json:"loss_sum,omitempty"`       // if Stopped: of the training since the last regular checkpoint
	LossCount     int                `json:"loss_count,omitempty"`     // number of steps in LossSum
	Options       Options            `json:"options"`                  // its seed is the whole random state: windows are drawn from (seed, position)
	Checksums     map[string]string  `json:"crc32c"`                   // of the other files
}

// stateVersion is the version that is written. Version 1, which has no checksum of the state itself, can still be read.
const stateVersion = 2

// Checkpoint is a complete checkpoint on disk.
type Checkpoint struct {
	Path  string
	State State
}

// checkpointName returns a name that sorts by step.
func checkpointName(step int) string { return fmt.Sprintf("%s%08d", stepPrefix, step) }

// stepOf returns the step in a checkpoint's path, -1 if there is none.
func stepOf(path string) int {
	digits, found := strings.CutPrefix(filepath.Base(path), stepPrefix)
	step, err := strconv.Atoi(digits)
	if !found || err != nil || filepath.Base(path) != checkpointName(step) {
		return -1
	}
	return step
}

// WriteCheckpoint writes what a trainer needs to continue. The directory does not contain the checkpoint before it returns,
// and then contains all of it, synced to disk.
func WriteCheckpoint(dir string, e Trainer, like Like, s State) (string, error) {
	root := filepath.Join(dir, checkpointsDir)
	name := checkpointName(s.Step)
	temp, final := filepath.Join(root, hidden+name), filepath.Join(root, name)
	undo := func() {}
	fail := func(err error) (string, error) {
		atomicfile.RemoveAll(temp) // what remains is hidden, and removed when the run continues
		undo()
		return "", fmt.Errorf("checkpoint %s: %w", final, err)
	}
	if err := atomicfile.RemoveAll(temp); err != nil {
		return fail(cannotWrite(err))
	}
	made, err := atomicfile.MakeDir(temp)
	if err != nil {
		return fail(err)
	}
	undo = made // removes directories that stay empty
	if err := writeParts(temp, e, like); err != nil {
		return fail(err)
	}
	s.FormatVersion, s.Checksums = stateVersion, map[string]string{}
	entries, err := os.ReadDir(temp)
	if err != nil {
		return fail(err)
	}
	for _, entry := range entries {
		if s.Checksums[entry.Name()], err = checksum(filepath.Join(temp, entry.Name())); err != nil {
			return fail(err)
		}
	}
	if err := writeState(temp, s); err != nil {
		return fail(err)
	}
	if err := remove(final); err != nil { // a damaged one of the same step
		return fail(err)
	}
	if err := os.Rename(temp, final); err != nil {
		return fail(cannotWrite(err))
	}
	// The parent directories may be new, or made by a process that was killed before they were synced.
	for _, at := range []string{root, dir, filepath.Dir(filepath.Clean(dir))} {
		if err := atomicfile.SyncDir(at); err != nil {
			return fail(err)
		}
	}
	return final, nil
}

// writeState writes a state as JSON, with the checksum of everything before it as the last member.
func writeState(checkpoint string, s State) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	text = text[:len(text)-len("\n}")]
	text = fmt.Appendf(text, stateEnd, crc32.Checksum(text, castagnoli))
	return atomicfile.Write(filepath.Join(checkpoint, stateName), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// stateEnd ends a state's file.
const stateEnd = ",\n  \"state_crc32c\": \"%08x\"\n}\n"

// checkState verifies a state's file by the checksum at its end. Version 1 has none.
func checkState(text []byte, version int) error {
	end := len(fmt.Sprintf(stateEnd, 0))
	at := max(len(text)-end, 0)
	want := fmt.Sprintf(stateEnd, crc32.Checksum(text[:at], castagnoli))
	if string(text[at:]) == want || version == 1 && !bytes.Contains(text, []byte("state_crc32c")) {
		return nil
	}
	return fmt.Errorf("%s: its own checksum does not fit", stateName)
}

// Like is what a model in training has besides its weights; it is copied to every file that is written.
type Like struct {
	Tokenizer json.RawMessage // nil if there is none
	Public    *public.Model   // what the training of a public family's model started from, else nil
}

// Save writes a model to an existing directory or to a file. For a public family, a directory keeps the float masters.
func (l Like) Save(path string, c nn.Config, w *nn.Weights[op.HostTensor], layout storage.Layout) error {
	if l.Public == nil {
		return storage.Save(path, c, l.Tokenizer, w, nil, layout)
	}
	m := *l.Public
	m.Decoder, m.Weights = c.Decoder, w
	return m.Export(path, public.ExportOptions{})
}

// writeParts writes the model and the moments.
func writeParts(dir string, e Trainer, like Like) error {
	c := e.Config()
	w, err := e.Download(Masters)
	if err != nil {
		return err
	}
	if err := sound(c, Masters, w); err != nil {
		return unsound(c, err)
	}
	if err := like.Save(dir, c, w, storage.Layout{}); err != nil {
		return err
	}
	for _, part := range momentParts {
		w, err := e.Download(part)
		if err != nil {
			return err
		}
		if err := sound(c, part, w); err != nil {
			return unsound(c, err)
		}
		var tensors []safetensors.Tensor
		nn.Walk(c, w, func(p nn.Param, h *op.HostTensor) {
			tensors = append(tensors, safetensors.FromFloat32s(strings.Join(p.Names, "+"), p.Shape, h.F32))
		})
		if err := safetensors.WriteFile(filepath.Join(dir, momentNames[part]), tensors, nil); err != nil {
			return err
		}
	}
	return nil
}

// Checkpoints lists a run's checkpoints, newest first, including damaged ones.
func Checkpoints(dir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, checkpointsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	var paths []string
	for _, entry := range entries {
		if path := filepath.Join(dir, checkpointsDir, entry.Name()); stepOf(path) >= 0 {
			paths = append(paths, path)
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return stepOf(b) - stepOf(a) })
	return paths, nil
}

// damagedPrefix begins the name of a checkpoint that was set aside.
const damagedPrefix = "damaged-"

// setAside renames the damaged checkpoints after a step, so that they do not count, or collide with new ones, when those
// steps are saved again. A later checkpoint that is not damaged is an error: the training should have continued from it.
func setAside(dir string, step int) error {
	paths, err := Checkpoints(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if stepOf(path) <= step {
			continue
		}
		if _, err := usable(path); err == nil {
			return fmt.Errorf("train: %s is whole, and newer than step %d, which the training would go on from", path, step)
		}
		damaged := filepath.Join(filepath.Dir(path), damagedPrefix+filepath.Base(path))
		if err := atomicfile.RemoveAll(damaged); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if err := os.Rename(path, damaged); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// Prune keeps the newest checkpoints and the best, and returns the best: the one with the smallest loss among validated ones
// or, if there are none, among regular ones. It keeps the last one that was set aside as damaged, and removes what a killed
// run left behind.
func Prune(dir string) (best *Checkpoint, err error) {
	root := filepath.Join(dir, checkpointsDir)
	leftovers, err := filepath.Glob(filepath.Join(root, hidden+"*"))
	if err != nil {
		return nil, err
	}
	damaged, err := filepath.Glob(filepath.Join(root, damagedPrefix+"*"))
	if err != nil {
		return nil, err
	}
	slices.SortFunc(damaged, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(b, a)) }) // steps have 8 digits or more
	leftovers = append(leftovers, damaged[min(1, len(damaged)):]...)
	for _, path := range leftovers {
		if err := atomicfile.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	paths, err := Checkpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		s, err := readState(path)
		if err != nil {
			continue
		}
		if best == nil || s.better(best.State) {
			best = &Checkpoint{Path: path, State: s}
		}
	}
	for _, path := range paths[min(keptCheckpoints, len(paths)):] {
		if best != nil && path == best.Path {
			continue
		}
		if err := remove(path); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	return best, nil
}

// better compares what checkpoints are chosen by.
func (s State) better(than State) bool {
	switch {
	case s.Validated != than.Validated:
		return s.Validated
	case s.Stopped != than.Stopped: // an uninterrupted run does not have it
		return than.Stopped
	}
	return s.Loss < than.Loss
}

// remove hides a checkpoint before it deletes the files, so that a partly deleted one is never taken for complete.
func remove(path string) error {
	gone := filepath.Join(filepath.Dir(path), hidden+"removed-"+filepath.Base(path))
	if err := atomicfile.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(path, gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return atomicfile.RemoveAll(gone)
}

// castagnoli has its own instruction on most processors.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(path string) (string, error) {
	file, err := regular.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), regular.Cause(err))
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), regular.Cause(err))
	}
	return fmt.Sprintf("%08x", sum.Sum32()), nil
}

func cannotWrite(err error) error { return fmt.Errorf("cannot be written: %w", regular.Cause(err)) }
