package bitgpu

import (
	"fmt"
	"slices"

	"bitgpu/io/memory"
	"bitgpu/nn"
)

// Memory returns what the session has learned, layer by layer: W (d, d) for the tied mixer, W (h, c, c) and the last inputs
// of its convolutions (3, 3, d) for the delta mixer. A model of a public family has [Session.States] instead, and the error
// is [ErrOption]; other errors are [ErrBusy] and [ErrClosed].
func (s *Session) Memory() (layers []nn.LayerMemory, err error) {
	err = s.work(func() error {
		if d := s.model.config.Decoder; d != nil {
			return fmt.Errorf("%w: memory: got a model of the family %s, want one of our own: this one has states", ErrOption, d.Family)
		}
		layers, err = s.run.Memory()
		return err
	})
	return layers, err
}

// SaveMemory writes what the session has learned, and its prediction, to a file, which it replaces as a whole. Numbers that
// are not finite are not saved: the error is [ErrNotFinite]. Other errors are [ErrBusy], [ErrClosed], and file errors.
func (s *Session) SaveMemory(path string) error {
	file, err := s.memoryFile()
	if err != nil {
		return err
	}
	return memory.WriteFile(path, file)
}

// memoryFile returns what SaveMemory writes.
func (s *Session) memoryFile() (*memory.Memory, error) {
	var file *memory.Memory
	err := s.predict(func() (err error) {
		file, err = s.remembered()
		return err
	})
	return file, err
}

// remembered is memoryFile for callers that hold the engine.
func (s *Session) remembered() (*memory.Memory, error) {
	file := &memory.Memory{Model: s.model.id}
	if s.ready {
		if err := s.run.Logits(s.logits); err != nil {
			return nil, err
		}
		file.Logits, file.Recent = slices.Clone(s.logits), s.run.Recent()
	}
	file.Tokens = s.run.Position()
	if s.model.config.Decoder != nil {
		states, err := s.run.States()
		for _, t := range states {
			file.States = append(file.States, memory.State(t))
		}
		return file, err
	}
	layers, err := s.run.Memory()
	for _, l := range layers {
		file.Layers = append(file.Layers, memory.Layer{Shape: l.Shape, W: l.W, ConvShape: l.TailShape, Conv: l.Tail})
	}
	return file, err
}

// LoadMemory replaces what the session has learned by the contents of a file, and continues from there. Files written by
// other programs name no model and have no prediction: after such a file the session has to read before it can write. If the
// file is refused the session does not change. Apart from errors in the file, the error is [ErrOtherModel] for a memory that
// names another model, [ErrContext] for more tokens than the session has room for, [ErrBusy] or [ErrClosed].
func (s *Session) LoadMemory(path string) error {
	file, err := memory.Read(path)
	if err != nil {
		return err
	}
	return s.takeMemory(path, file)
}

// takeMemory does for an opened file what LoadMemory does.
func (s *Session) takeMemory(path string, file *memory.Memory) error {
	return s.work(func() error { return s.take(path, file) })
}

// take is takeMemory for callers that hold the engine.
func (s *Session) take(path string, file *memory.Memory) error {
	if err := s.checkModel(path, file); err != nil {
		return err
	}
	var layers []nn.LayerMemory
	for _, l := range file.Layers {
		layers = append(layers, nn.LayerMemory{Shape: l.Shape, W: l.W, TailShape: l.ConvShape, Tail: l.Conv})
	}
	if n := len(file.Logits); n > 0 && n != len(s.logits) {
		return fmt.Errorf("memory: %s: got the logits of %d tokens, want those of the model's %d", path, n, len(s.logits))
	}
	if err := s.setMemory(layers, file); err != nil {
		return fmt.Errorf("memory: %s: %w", path, err)
	}
	s.ready, s.text, s.broken = len(file.Logits) > 0, nil, nil
	if s.ready {
		return s.run.SetPrediction(file.Logits, file.Recent)
	}
	return nil
}

// checkModel refuses the memory of another model.
func (s *Session) checkModel(path string, file *memory.Memory) error {
	if file.Model != "" && file.Model != s.model.id {
		return fmt.Errorf("memory: %s: %w: got %s, want %s", path, ErrOtherModel, file.Model, s.model.id)
	}
	return nil
}

// setMemory replaces the memory by layers, or by the states of a public family.
func (s *Session) setMemory(layers []nn.LayerMemory, file *memory.Memory) error {
	if s.model.config.Decoder == nil {
		return s.run.SetMemory(layers, file.Tokens)
	}
	var states []nn.StateTensor
	for _, t := range file.States {
		states = append(states, nn.StateTensor(t))
	}
	return s.run.SetStates(states, file.Tokens)
}
