package serve

import (
	"container/list"
	"sync"

	"bitgpu"
	"bitgpu/io/chat"
)

// answers keep what /v1/responses can go on from: a conversation, the text that was read and written of it, and the session
// that read it, so that the next turn reads what is new only. They are in RAM; the longest unused go first.
type answers struct {
	most int

	mu    sync.Mutex
	known map[string]*list.Element
	order *list.List // of *kept; the last used first
}

type kept struct {
	id, owner string
	body      map[string]any
	messages  []chat.Value // without instructions, which belong to one turn
	read      string       // as it was rendered, and written
	session   *bitgpu.Session
}

func newAnswers(most int64) *answers {
	return &answers{most: int(min(most, 1<<16)), known: map[string]*list.Element{}, order: list.New()}
}

func (a *answers) add(k *kept) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[k.id] = a.order.PushFront(k)
	for a.order.Len() > a.most {
		a.drop(a.order.Back())
	}
}

func (a *answers) drop(e *list.Element) {
	k := a.order.Remove(e).(*kept)
	delete(a.known, k.id)
	k.session.Close()
}

// find gives an owner's answer; fork also a session of the caller's own that goes on from it.
func (a *answers) find(owner, id string, fork bool) (*kept, *bitgpu.Session, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.known[id]
	if e == nil || e.Value.(*kept).owner != owner {
		return nil, nil, notFound("response_not_found", "there is no response %.100q, or not any more", id)
	}
	a.order.MoveToFront(e)
	k := e.Value.(*kept)
	if !fork {
		return k, nil, nil
	}
	session, err := k.session.Fork()
	return k, session, err
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

func (a *answers) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.order.Len() > 0 {
		a.drop(a.order.Back())
	}
}
