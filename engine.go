package bitgpu

import (
	"bitgpu/nn"
	"bitgpu/nn/op"
)

// engine is a model on a backend, with the tensor type hidden. It is for one goroutine at a time.
type engine interface {
	newSession(scan op.Scan) (runner, error)
	newBatch(n int) (room, error)
	// raise is [nn.Model.Raise].
	raise(tokens int) error
	// ahead reports whether Generate gains by drawing tokens before the earlier ones have been looked at.
	ahead() bool
	// readDrawn is [nn.Model.ForwardDrawn].
	readDrawn(runs []runner) error
	// peakBytes returns the maximum of the device memory in use so far: 0 on the CPU.
	peakBytes() int64
	close() error
}

// room is an [nn.Batch] with the tensor type hidden.
type room interface {
	newSession() (runner, error)
	Close()
}

// runner is an [nn.Session] of one sequence with the tensor type hidden.
type runner interface {
	Forward(tokens []uint32) error
	ForwardAll(tokens []uint32, visit func(from int, logits []float32) error) error
	Continue(limit int, accept func(ids []uint32) bool) error
	Start(p op.Sampling) error
	Draw() ([]uint32, error)
	Take(ids ...uint32)
	Logits(dst []float32) error
	Memory() ([]nn.LayerMemory, error)
	SetMemory(layers []nn.LayerMemory, position int64) error
	States() ([]nn.StateTensor, error)
	SetStates(states []nn.StateTensor, position int64) error
	Left() int64
	Recent() []uint32
	SetPrediction(logits []float32, recent []uint32) error
	Position() int64
	Reset()
	Close()
	fork() (runner, error)
	mark() (mark, error)
	markOf(states []nn.StateTensor, position int64, recent []uint32) (mark, error)
	goBack(m mark)
	Cuts() bool
	Cut(tokens int64, recent []uint32)
}

// mark is an [nn.Mark] with the tensor type hidden.
type mark interface {
	States() ([]nn.StateTensor, error)
	Release()
}

// typedEngine is the only engine, generic over a backend's tensor type.
type typedEngine[T any] struct {
	model *nn.Model[T]
	pool  *nn.Batch[T] // for sessions that read by the default rule
	end   func() error // releases what the model was made from
}

func newEngine[T any](ops op.Executor[T], c Config, w *nn.Weights[op.HostTensor], end func() error) (engine, error) {
	m, err := nn.NewModel(ops, c, w)
	if err != nil {
		return nil, err
	}
	pool, err := m.NewBatch(0, c.DefaultScan())
	if err != nil {
		return nil, err
	}
	return &typedEngine[T]{m, pool, end}, nil
}

func (e *typedEngine[T]) newSession(scan op.Scan) (runner, error) {
	if scan == e.model.Config.DefaultScan() {
		return typedRoom[T]{e.pool}.newSession()
	}
	s, err := e.model.NewSession(1, scan)
	if err != nil {
		return nil, err
	}
	return typedRunner[T]{s}, nil
}

func (e *typedEngine[T]) newBatch(n int) (room, error) {
	b, err := e.model.NewBatch(n, e.model.Config.DefaultScan())
	if err != nil {
		return nil, err
	}
	return typedRoom[T]{b}, nil
}

func (e *typedEngine[T]) raise(tokens int) error { return e.model.Raise(tokens) }

func (e *typedEngine[T]) ahead() bool { return e.model.Backend.Lookahead() > 1 }

func (e *typedEngine[T]) readDrawn(runs []runner) error {
	sessions := make([]*nn.Session[T], len(runs))
	for i, r := range runs {
		sessions[i] = r.(typedRunner[T]).Session
	}
	return e.model.ForwardDrawn(sessions)
}

func (e *typedEngine[T]) peakBytes() int64 {
	if device, ok := e.model.Backend.(interface{ PeakBytes() int }); ok {
		return int64(device.PeakBytes())
	}
	return 0
}

func (e *typedEngine[T]) close() error {
	e.pool.Close()
	e.model.Release()
	return e.end()
}

type typedRoom[T any] struct{ *nn.Batch[T] }

func (r typedRoom[T]) newSession() (runner, error) {
	s, err := r.NewSession()
	if err != nil {
		return nil, err
	}
	return typedRunner[T]{s}, nil
}

type typedRunner[T any] struct{ *nn.Session[T] }

func (r typedRunner[T]) fork() (runner, error) {
	f, err := r.Fork()
	if err != nil {
		return nil, err
	}
	return typedRunner[T]{f}, nil
}

func (r typedRunner[T]) mark() (mark, error) {
	m, err := r.Mark()
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (r typedRunner[T]) markOf(states []nn.StateTensor, position int64, recent []uint32) (mark, error) {
	m, err := r.MarkOf(states, position, recent)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (r typedRunner[T]) goBack(m mark) { r.GoBack(m.(*nn.Mark[T])) }
