package optest

import "bitgpu/nn"

// scope is a backend that gives back all that was made through it.
type scope[T any] struct {
	nn.Ops[T]
	made []T
}

func (s *scope[T]) keep(t T) T {
	s.made = append(s.made, t)
	return t
}

func (s *scope[T]) New(format nn.Format, shape ...int) T { return s.keep(s.Ops.New(format, shape...)) }

func (s *scope[T]) NewSet(n int, format nn.Format, shape ...int) []T {
	set := s.Ops.NewSet(n, format, shape...)
	s.made = append(s.made, set...)
	return set
}

func (s *scope[T]) NewTernary(rows, cols, blocks int, absmean bool) T {
	return s.keep(s.Ops.NewTernary(rows, cols, blocks, absmean))
}

func (s *scope[T]) Load(t nn.HostTensor) T { return s.keep(s.Ops.Load(t)) }

func (s *scope[T]) release() { s.Release(s.made...) }
