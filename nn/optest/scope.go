package optest

import (
	"bitgpu/nn/op"
)

// scope is a backend that can release everything that was made through it.
type scope[T any] struct {
	op.Executor[T]
	made []T
}

func (s *scope[T]) keep(t T) T {
	s.made = append(s.made, t)
	return t
}

func (s *scope[T]) New(format op.Format, shape ...int) T {
	return s.keep(s.Executor.New(format, shape...))
}

func (s *scope[T]) NewSet(n int, format op.Format, shape ...int) []T {
	set := s.Executor.NewSet(n, format, shape...)
	s.made = append(s.made, set...)
	return set
}

func (s *scope[T]) NewGrowing(n int, format op.Format, shape ...int) []T {
	set := s.Executor.NewGrowing(n, format, shape...)
	s.made = append(s.made, set...)
	return set
}

func (s *scope[T]) NewTernary(rows, cols, blocks int, absmean bool) T {
	return s.keep(s.Executor.NewTernary(rows, cols, blocks, absmean))
}

func (s *scope[T]) NewGroups(rows, cols, group int) T {
	return s.keep(s.Executor.NewGroups(rows, cols, group))
}

func (s *scope[T]) Load(t op.HostTensor) T { return s.keep(s.Executor.Load(t)) }

func (s *scope[T]) release() { s.Release(s.made...) }
