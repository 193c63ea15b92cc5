package gpu

// table numbers objects of a driver from 1 on, and reuses the numbers of removed ones.
type table[ID ~uint32, T any] struct {
	objects []T
	free    []ID
}

func (t *table[ID, T]) add(object T) ID {
	if n := len(t.free); n > 0 {
		id := t.free[n-1]
		t.free = t.free[:n-1]
		t.objects[id-1] = object
		return id
	}
	t.objects = append(t.objects, object)
	return ID(len(t.objects))
}

func (t *table[ID, T]) at(id ID) T { return t.objects[id-1] }

// remove removes an object from the table and returns it.
func (t *table[ID, T]) remove(id ID) T {
	object := t.objects[id-1]
	t.objects[id-1] = *new(T)
	t.free = append(t.free, id)
	return object
}
