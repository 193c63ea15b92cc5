package serve

import (
	"container/list"
	"sync"

	"bitgpu"
	"bitgpu/io/chat"
)

// answers keep what /v1/responses can continue from: a conversation, the text that was read and written for it, and the
// model's memory after it, so that the next turn only reads what is new. They are in RAM; the least recently used go first.
type answers struct {
	model *bitgpu.Model
	most  int64 // bytes, not counting the newest

	mu    sync.Mutex
	held  int64 // bytes
	known map[string]*list.Element
	order *list.List // of *kept; the last used first
}

type kept struct {
	id, owner string
	body      map[string]any
	messages  []chat.Value // without instructions, which belong to one turn
	read      string       // as rendered, and as written
	state     *bitgpu.Snapshot
}

// bytes estimates the RAM that the answer takes.
func (k *kept) bytes() int64 { return k.state.Bytes() + 4*int64(len(k.read)) }

func newAnswers(model *bitgpu.Model, most int64) *answers {
	return &answers{model: model, most: most, known: map[string]*list.Element{}, order: list.New()}
}

func (a *answers) add(k *kept) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[k.id] = a.order.PushFront(k)
	for a.held += k.bytes(); a.held > a.most && a.order.Len() > 1; {
		a.drop(a.order.Back())
	}
}

func (a *answers) drop(e *list.Element) {
	k := a.order.Remove(e).(*kept)
	delete(a.known, k.id)
	a.held -= k.bytes()
}

// find returns an owner's answer and, with fork, a session of the caller's own that continues from it.
func (a *answers) find(owner, id string, fork bool) (*kept, *bitgpu.Session, error) {
	k, err := a.get(owner, id)
	if err != nil || !fork {
		return k, nil, err
	}
	session, err := restored(a.model, k.state)
	return k, session, err
}

func (a *answers) get(owner, id string) (*kept, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[id]
	if e == nil || e.Value.(*kept).owner != owner {
		return nil, notFound("response_not_found", "there is no response %.100q, or not any more", id)
	}
	a.order.MoveToFront(e)
	return e.Value.(*kept), nil
}

func (a *answers) delete(owner, id string) error {
	if _, _, err := a.find(owner, id, false); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.known[id]; e != nil {
		a.drop(e)
	}
	return nil
}
