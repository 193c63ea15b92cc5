package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bitgpu/io/atomicfile"
	"bitgpu/io/modeldir"
	"bitgpu/io/safetensors"
	"bitgpu/nn"
	"bitgpu/nn/storage"
)

// The names inside a run's directory.
const (
	MetricsName    = "metrics.jsonl"
	checkpointsDir = "checkpoints"
	stateName      = "state.json"
	stepPrefix     = "step-"
	hidden         = "." // begins the names of what is being written or removed
)

// momentNames are the files of Adam's moments.
var momentNames = map[Part]string{FirstMoments: "moment1.safetensors", SecondMoments: "moment2.safetensors"}

// keptCheckpoints is how many of the newest stay, besides the best.
const keptCheckpoints = 3

// State is what a checkpoint says about the run, beside its tensors.
type State struct {
	FormatVersion int               `json:"format_version"`
	Step          int               `json:"step"`      // updates done
	Position      uint64            `json:"position"`  // windows taken from the data
	Loss          float64           `json:"loss"`      // of the validation, or the mean in training since the last checkpoint
	Validated     bool              `json:"validated"` // which of the two
	Options       Options           `json:"options"`   // its seed is the whole random state: windows are drawn from (seed, position)
	Checksums     map[string]string `json:"crc32c"`    // of the other files
}

const stateVersion = 1

// Checkpoint is one that lies on the disk, whole.
type Checkpoint struct {
	Path  string
	State State
}

// checkpointName is a name that sorts by step.
func checkpointName(step int) string { return fmt.Sprintf("%s%08d", stepPrefix, step) }

// WriteCheckpoint writes what an engine needs to go on. Until it returns, the directory has no
// such checkpoint; from then on it has all of it, on the disk.
func WriteCheckpoint(dir string, e Engine, tokenizer json.RawMessage, s State) (string, error) {
	root := filepath.Join(dir, checkpointsDir)
	name := checkpointName(s.Step)
	temp, final := filepath.Join(root, hidden+name), filepath.Join(root, name)
	fail := func(err error) (string, error) {
		os.RemoveAll(temp) // what stays is hidden, and removed when the run goes on
		return "", fmt.Errorf("checkpoint %s: %w", final, err)
	}
	if err := os.RemoveAll(temp); err != nil {
		return fail(cannotWrite(err))
	}
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return fail(cannotWrite(err))
	}
	if err := writeParts(temp, e, tokenizer); err != nil {
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
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fail(err)
	}
	err = atomicfile.Write(filepath.Join(temp, stateName), func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return fail(err)
	}
	if err := remove(final); err != nil { // a damaged one of the same step
		return fail(err)
	}
	if err := os.Rename(temp, final); err != nil {
		return fail(cannotWrite(err))
	}
	if err := atomicfile.SyncDir(root); err != nil {
		return fail(err)
	}
	return final, nil
}

// writeParts writes the model and the moments.
func writeParts(dir string, e Engine, tokenizer json.RawMessage) error {
	c := e.Config()
	w, err := e.Read(Masters)
	if err != nil {
		return err
	}
	if err := storage.Save(dir, c, tokenizer, w, nil, storage.Layout{}); err != nil {
		return err
	}
	for _, part := range []Part{FirstMoments, SecondMoments} {
		w, err := e.Read(part)
		if err != nil {
			return err
		}
		var tensors []safetensors.Tensor
		nn.Walk(c, w, func(p nn.Param, h *nn.HostTensor) {
			tensors = append(tensors, safetensors.FromFloat32s(strings.Join(p.Names, "+"), p.Shape, h.F32))
		})
		if err := safetensors.WriteFile(filepath.Join(dir, momentNames[part]), tensors, nil); err != nil {
			return err
		}
	}
	return nil
}

// Checkpoints lists a run's checkpoints, newest first, whole or not.
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
		if strings.HasPrefix(entry.Name(), stepPrefix) {
			paths = append(paths, filepath.Join(dir, checkpointsDir, entry.Name()))
		}
	}
	slices.Reverse(paths)
	return paths, nil
}

// Newest finds the newest whole checkpoint. Each newer one that is damaged is told to warn. Nil
// means that there is none at all; if all are damaged that is an error.
func Newest(dir string, warn func(error)) (*Checkpoint, error) {
	paths, err := Checkpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		c, err := openCheckpoint(path)
		if err == nil {
			return c, nil
		}
		warn(err)
	}
	if len(paths) > 0 {
		return nil, fmt.Errorf("train: %s: none of %d checkpoints is whole", filepath.Join(dir, checkpointsDir), len(paths))
	}
	return nil, nil
}

// openCheckpoint reads a checkpoint's state and verifies every file.
func openCheckpoint(path string) (*Checkpoint, error) {
	s, err := readState(path)
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s is damaged: %w", path, err)
	}
	for _, name := range []string{modeldir.ConfigName, modeldir.TensorsName, momentNames[FirstMoments], momentNames[SecondMoments]} {
		if s.Checksums[name] == "" {
			return nil, fmt.Errorf("checkpoint %s is damaged: %s has no checksum of %s", path, stateName, name)
		}
	}
	for name, want := range s.Checksums {
		got, err := checksum(filepath.Join(path, filepath.Base(name)))
		if err != nil {
			return nil, fmt.Errorf("checkpoint %s is damaged: %w", path, err)
		}
		if got != want {
			return nil, fmt.Errorf("checkpoint %s is damaged: %s: checksum %s wanted, %s found", path, name, want, got)
		}
	}
	return &Checkpoint{Path: path, State: s}, nil
}

func readState(path string) (State, error) {
	var s State
	data, err := os.ReadFile(filepath.Join(path, stateName))
	if err != nil {
		return s, fmt.Errorf("%s: %w", stateName, cause(err))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateName, err)
	}
	if s.FormatVersion != stateVersion {
		return s, fmt.Errorf("%s: format_version %d wanted, %d found", stateName, stateVersion, s.FormatVersion)
	}
	if s.Step < 1 {
		return s, fmt.Errorf("%s: a step above 0 wanted, %d found", stateName, s.Step)
	}
	return s, s.Options.Validate()
}

// Weights reads the checkpoint's model. Close gives its memory back.
func (c *Checkpoint) Weights() (*storage.Loaded, error) {
	return storage.Load(c.Path, storage.Options{Masters: true})
}

// RestoreMoments gives an engine that was made from Weights the rest: moments and step.
func (c *Checkpoint) RestoreMoments(e Engine) error {
	for _, part := range []Part{FirstMoments, SecondMoments} {
		if err := c.restore(e, part); err != nil {
			return fmt.Errorf("checkpoint %s: %w", c.Path, err)
		}
	}
	e.SetUpdates(c.State.Step)
	return nil
}

func (c *Checkpoint) restore(e Engine, part Part) error {
	file, err := safetensors.Open(filepath.Join(c.Path, momentNames[part]))
	if err != nil {
		return err
	}
	defer file.Close()
	w := new(nn.Weights[nn.HostTensor])
	var first error
	nn.Walk(e.Config(), w, func(p nn.Param, h *nn.HostTensor) {
		if first != nil {
			return
		}
		t, ok := file.Tensor(strings.Join(p.Names, "+"))
		if !ok || !slices.Equal(t.Shape, p.Shape) {
			first = fmt.Errorf("%s: %s: shape %s wanted, %s found", momentNames[part], p.Names[0],
				safetensors.FormatShape(p.Shape), safetensors.FormatShape(t.Shape))
			return
		}
		*h = nn.HostTensor{Format: nn.F32, Shape: p.Shape}
		h.F32, first = t.Float32s()
	})
	if first != nil {
		return first
	}
	return e.Restore(part, w)
}

// setAside renames the damaged checkpoints behind a step, so that they neither count nor come
// into the way of those that will be written again.
func setAside(dir string, step int) error {
	paths, err := Checkpoints(dir)
	if err != nil {
		return err
	}
	for _, path := range paths {
		if filepath.Base(path) <= checkpointName(step) {
			continue
		}
		damaged := filepath.Join(filepath.Dir(path), "damaged-"+filepath.Base(path))
		if err := os.RemoveAll(damaged); err != nil {
			return fmt.Errorf("train: %w", err)
		}
		if err := os.Rename(path, damaged); err != nil {
			return fmt.Errorf("train: %w", err)
		}
	}
	return nil
}

// Prune keeps the newest checkpoints and the best, and gives the best: the one with the least
// loss, of those that were validated if there are any. It also clears what a killed run left.
func Prune(dir string) (best *Checkpoint, err error) {
	root := filepath.Join(dir, checkpointsDir)
	leftovers, err := filepath.Glob(filepath.Join(root, hidden+"*"))
	if err != nil {
		return nil, err
	}
	for _, path := range leftovers {
		if err := os.RemoveAll(path); err != nil {
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
		if best == nil || s.Validated && !best.State.Validated ||
			s.Validated == best.State.Validated && s.Loss < best.State.Loss {
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

// remove hides a checkpoint before it takes it apart, so that none is ever half there.
func remove(path string) error {
	gone := filepath.Join(filepath.Dir(path), hidden+"removed-"+filepath.Base(path))
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(path, gone); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(gone)
}

// castagnoli has an instruction of its own on most processors.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), cause(err))
	}
	defer file.Close()
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, file); err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Base(path), cause(err))
	}
	return fmt.Sprintf("%08x", sum.Sum32()), nil
}

func cannotWrite(err error) error { return fmt.Errorf("cannot be written: %w", cause(err)) }
