package simd

// freeList keeps records and their buffers between calls. Unlike sync.Pool, it does
// not lose them to the garbage collector, so nothing is allocated in steady state.
type freeList[T any] struct{ free chan *T }

// concurrent is how many records of one kind are kept: that many goroutines can be
// inside such a call before one of them allocates.
const concurrent = 64

func newFreeList[T any]() freeList[T] { return freeList[T]{make(chan *T, concurrent)} }

func (l *freeList[T]) get() *T {
	select {
	case t := <-l.free:
		return t
	default:
		return new(T)
	}
}

func (l *freeList[T]) put(t *T) {
	select {
	case l.free <- t:
	default:
	}
}
