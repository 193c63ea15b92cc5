package bitgpu

import "bitgpu/io/memory"

// Snapshot is what a session has read, in host memory, from which any number of sessions can continue. It takes only as much
// memory as its contents: for a model with attention the keys and values of the tokens read, whereas a session reserves room
// for the whole context. It is immutable.
type Snapshot struct{ file *memory.Memory }

// Snapshot copies what the session has read and its prediction. The error is [ErrNotFinite], [ErrBusy] or [ErrClosed].
func (s *Session) Snapshot() (*Snapshot, error) {
	file, err := s.memoryFile()
	if err != nil {
		return nil, err
	}
	return &Snapshot{file}, nil
}

// Restore gives the session the contents of a snapshot. The error is [ErrOtherModel] for a snapshot of another model,
// [ErrContext] for more tokens than the session has room for, [ErrBusy] or [ErrClosed].
func (s *Session) Restore(p *Snapshot) error { return s.takeMemory("snapshot", p.file) }

// WriteFile writes the snapshot like [Session.SaveMemory], which refuses numbers that are not finite.
func (p *Snapshot) WriteFile(path string) error { return memory.WriteFile(path, p.file) }

// Tokens returns how many tokens the session had read.
func (p *Snapshot) Tokens() int64 { return p.file.Tokens }

// Bytes returns the host memory of the snapshot.
func (p *Snapshot) Bytes() int64 {
	n := len(p.file.Logits) + len(p.file.Recent)
	for _, l := range p.file.Layers {
		n += len(l.W) + len(l.Conv)
	}
	for _, t := range p.file.States {
		n += len(t.Values)
	}
	return 4 * int64(n)
}
