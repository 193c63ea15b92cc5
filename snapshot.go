package bitgpu

import "bitgpu/io/memory"

// Snapshot is what a session has read, in the host's memory and for as many sessions as want to go on from it. It takes what is
// in it and no more: of a model with attention the keys and values of the tokens that were read, where a session has room for
// those of the whole context. It does not change.
type Snapshot struct{ file *memory.Memory }

// Snapshot copies what the session has read and what it predicts. The error is [ErrNotFinite], [ErrBusy] or [ErrClosed].
func (s *Session) Snapshot() (*Snapshot, error) {
	file, err := s.memoryFile()
	if err != nil {
		return nil, err
	}
	return &Snapshot{file}, nil
}

// Restore makes the session one that has read what the snapshot has. The error is [ErrOtherModel] for a snapshot of another model,
// [ErrContext] for more tokens than the session has room for, [ErrBusy] or [ErrClosed].
func (s *Session) Restore(p *Snapshot) error { return s.takeMemory("snapshot", p.file) }

// WriteFile writes the snapshot as [Session.SaveMemory] does, which refuses numbers that are not finite.
func (p *Snapshot) WriteFile(path string) error { return memory.WriteFile(path, p.file) }

// Tokens is how many tokens the session had read.
func (p *Snapshot) Tokens() int64 { return p.file.Tokens }

// Bytes is how much of the host's memory the snapshot takes.
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
