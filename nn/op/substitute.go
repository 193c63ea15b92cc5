package op

import "reflect"

// Substitute returns a copy of a program in which replace has mapped every tensor.
func Substitute[T any](p Program[T], replace func(T) T) Program[T] {
	copied := make(Program[T], len(p))
	for i, o := range p {
		value := reflect.New(reflect.TypeOf(o).Elem())
		value.Elem().Set(reflect.ValueOf(o).Elem())
		copied[i] = value.Interface().(Op[T])
		copied[i].Args(substituter[T]{replace})
	}
	return copied
}

type substituter[T any] struct{ replace func(T) T }

func (substituter[T]) Shape(T) []int { return nil }

func (s substituter[T]) Arg(_ string, _ Access, t *T, _ ...int) { *t = s.replace(*t) }
