package train

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"bitgpu/io/modeldir"
	"bitgpu/io/regular"
)

// Newest finds the newest checkpoint that a training can continue from. It calls warn for each newer one that is damaged or
// has unusable weights. It returns nil if there are no checkpoints; if there are some but none is usable, that is an error.
func Newest(dir string, warn func(error)) (*Checkpoint, error) {
	paths, err := Checkpoints(dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		c, err := usable(path)
		if err == nil {
			return c, nil
		}
		warn(err)
	}
	if len(paths) > 0 {
		return nil, fmt.Errorf("train: %s: none of %d checkpoints can be used; another directory, or this one without them, begins anew",
			filepath.Join(dir, checkpointsDir), len(paths))
	}
	return nil, nil
}

// usable opens a checkpoint that a training can continue from.
func usable(path string) (*Checkpoint, error) {
	c, err := openCheckpoint(path)
	if err != nil {
		return nil, err
	}
	return c, c.tryOut()
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
			return nil, fmt.Errorf("checkpoint %s is damaged: %s: got checksum %s, want %s", path, name, got, want)
		}
	}
	return &Checkpoint{Path: path, State: s}, nil
}

func readState(path string) (State, error) {
	var s State
	data, err := regular.ReadFile(filepath.Join(path, stateName))
	if err != nil {
		return s, fmt.Errorf("%s: %w", stateName, regular.Cause(err))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", stateName, err)
	}
	if s.FormatVersion < 1 || s.FormatVersion > stateVersion {
		return s, fmt.Errorf("%s: got format_version %d, want 1 to %d", stateName, s.FormatVersion, stateVersion)
	}
	if err := checkState(data, s.FormatVersion); err != nil {
		return s, err
	}
	if s.Step < 1 {
		return s, fmt.Errorf("%s: got %d, want a step above 0", stateName, s.Step)
	}
	if stepOf(path) != s.Step {
		return s, fmt.Errorf("%s: got step %d, want that of the directory's name", stateName, s.Step)
	}
	return s, s.Options.Validate()
}

// tryOut refuses a checkpoint that is complete but cannot be loaded.
func (c *Checkpoint) tryOut() error {
	fail := func(err error) error { return fmt.Errorf("checkpoint %s cannot be used: %w", c.Path, err) }
	loaded, err := c.Weights()
	if err != nil {
		return fail(err)
	}
	defer loaded.Close()
	if err := sound(loaded.Config, Masters, loaded.Weights); err != nil {
		return fail(err)
	}
	for _, part := range []Part{FirstMoments, SecondMoments} {
		_, done, err := c.moments(part, loaded.Config)
		if err != nil {
			return fail(err)
		}
		done()
	}
	return nil
}
