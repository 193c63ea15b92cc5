package tokenizer

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
)

// TrainOptions says what vocabulary to make.
type TrainOptions struct {
	// VocabSize is the wanted number of ids: special tokens, 256 bytes, and merges. The result is smaller if the text runs out
	// of pairs to merge.
	VocabSize int
	// MinFrequency is how often a pair must occur in the text to be merged; 0 counts as 1.
	MinFrequency int
	// SpecialTokens get the first ids; nil means <|endoftext|> and <|padding|>.
	SpecialTokens []string
	// Progress, if given, is called with the number of merges made, and the number wanted.
	Progress func(merges, total int)
	// Stop, if given, is called before each merge; if it returns an error, training ends with it.
	Stop func() error
}

// LeastVocab is the smallest vocabulary with the usual special tokens: those two and 256 bytes.
const LeastVocab = 2 + 256

// Train learns a byte-level BPE vocabulary from texts, the way Hugging Face's BpeTrainer does, and returns it as a
// tokenizer.json. Words are GPT-2's. Special tokens come first, then the 256 bytes, then the merges: the most frequent pair
// first, of equally frequent ones that with the smaller ids. The same texts in any order give the same file. Special tokens
// within the texts are skipped. An error among the texts ends the training.
func Train(texts iter.Seq2[string, error], opt TrainOptions) ([]byte, error) {
	specials := opt.SpecialTokens
	if specials == nil {
		specials = []string{"<|endoftext|>", "<|padding|>"}
	}
	v, err := newTrainVocab(specials)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	if opt.VocabSize < len(v.pieces) {
		return nil, fmt.Errorf("tokenizer: vocabulary size is %d, want at least %d: %d special tokens and 256 bytes",
			opt.VocabSize, len(v.pieces), len(specials))
	}
	words, err := countWords(texts, specials)
	if err != nil {
		return nil, err
	}
	c, err := newTrainCorpus(words, v)
	if err != nil {
		return nil, err
	}
	total := opt.VocabSize - len(v.pieces)
	for len(v.pieces) < opt.VocabSize {
		if opt.Stop != nil {
			if err := opt.Stop(); err != nil {
				return nil, err
			}
		}
		p, ok := c.best(max(1, opt.MinFrequency))
		if !ok {
			break
		}
		c.merge(p, v.merge(p))
		if opt.Progress != nil {
			opt.Progress(total-(opt.VocabSize-len(v.pieces)), total)
		}
	}
	return v.file(len(specials))
}

// idPair is two neighbouring symbols.
type idPair struct{ left, right uint32 }

// trainVocab is the growing vocabulary.
type trainVocab struct {
	pieces []string
	ids    map[string]uint32
	merges []idPair
	bytes  [256]uint32 // id of each byte
}

func newTrainVocab(specials []string) (*trainVocab, error) {
	v := &trainVocab{ids: map[string]uint32{}}
	alphabet := slices.Sorted(slices.Values(byteChars[:]))
	for _, piece := range slices.Concat(specials, alphabet) {
		if _, ok := v.ids[piece]; ok || piece == "" || piece != validUTF8(piece) {
			return nil, fmt.Errorf("the special tokens %q cannot be used, want different texts that are not one of the 256 byte symbols", specials)
		}
		v.add(piece)
	}
	for b, piece := range byteChars {
		v.bytes[b] = v.ids[piece]
	}
	return v, nil
}

func (v *trainVocab) add(piece string) uint32 {
	id := uint32(len(v.pieces))
	v.pieces = append(v.pieces, piece)
	v.ids[piece] = id
	return id
}

// merge records a merge and returns the id of the joined piece, which other pairs may also form.
func (v *trainVocab) merge(p idPair) uint32 {
	v.merges = append(v.merges, p)
	piece := v.pieces[p.left] + v.pieces[p.right]
	if id, ok := v.ids[piece]; ok {
		return id
	}
	return v.add(piece)
}

// countWords counts the words of the texts.
func countWords(texts iter.Seq2[string, error], specials []string) (map[string]*int, error) {
	tokens := make([]addedToken, len(specials))
	set := newAddedSet(tokens, specials)
	words := map[string]*int{}
	var spans []span
	for text, err := range texts {
		if err != nil {
			return nil, err
		}
		text = validUTF8(text)
		var long error
		set.split(text, nil, func(uint32) {}, func(start, end int) {
			part := text[start:end]
			spans = scanners[gpt2Pattern].find(part, spans[:0], nil)
			for _, s := range spans {
				word := part[s.start:s.end]
				if len(word) > maxJoined {
					long = tooLong(word, maxJoined)
					continue
				}
				if n, ok := words[word]; ok {
					*n++
				} else {
					words[strings.Clone(word)] = new(1)
				}
			}
		})
		if long != nil {
			return nil, fmt.Errorf("tokenizer: %w", long)
		}
	}
	return words, nil
}

// trainCorpus has every distinct word once, as a linked list of symbols, with an index of the positions of each pair, so that
// a merge only touches the places that it changes.
type trainCorpus struct {
	symbols []trainSymbol
	counts  []int // of each word
	pairs   map[idPair]*pairUse
	queue   []pairCount // a heap; entries may be out of date
}

type trainSymbol struct {
	id         uint32
	prev, next int32
	word       int32 // index into counts
}

// pairUse is how often a pair occurs in the text, and the positions of its left symbol, some of which may be outdated.
type pairUse struct {
	count     int
	positions []int32
}

type pairCount struct {
	count int
	idPair
}

// before orders the queue.
func (a pairCount) before(b pairCount) bool {
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) < 0
}

func newTrainCorpus(words map[string]*int, v *trainVocab) (*trainCorpus, error) {
	c := &trainCorpus{pairs: map[idPair]*pairUse{}}
	order := make([]string, 0, len(words))
	size := 0
	places := map[idPair]int{} // number of places of each pair, to allocate lists of exactly that length
	for w := range words {
		order = append(order, w)
		size += len(w)
		for i := range len(w) - 1 {
			places[idPair{v.bytes[w[i]], v.bytes[w[i+1]]}]++
		}
	}
	if size > math.MaxInt32 {
		return nil, fmt.Errorf("tokenizer: the different words of the text have %d bytes, want fewer than 2³¹", size)
	}
	slices.Sort(order)
	c.symbols, c.counts = make([]trainSymbol, 0, size), make([]int, 0, len(order))
	for p, n := range places {
		c.pairs[p] = &pairUse{positions: make([]int32, 0, n)}
	}
	for _, w := range order {
		word := int32(len(c.counts))
		c.counts = append(c.counts, *words[w])
		for i := range len(w) {
			pos := int32(len(c.symbols))
			s := trainSymbol{v.bytes[w[i]], pos - 1, pos + 1, word}
			if i == 0 {
				s.prev = none
			}
			if i == len(w)-1 {
				s.next = none
			}
			c.symbols = append(c.symbols, s)
			if i > 0 {
				c.change(pos-1, 1)
			}
		}
	}
	for p, use := range c.pairs {
		c.queue = append(c.queue, pairCount{use.count, p})
	}
	for i := len(c.queue)/2 - 1; i >= 0; i-- {
		c.down(i)
	}
	return c, nil
}

// change counts the pair at pos once more (sign 1) or once less (sign -1), and returns it.
func (c *trainCorpus) change(pos int32, sign int) idPair {
	left := c.symbols[pos]
	p := idPair{left.id, c.symbols[left.next].id}
	use := c.pairs[p]
	if use == nil {
		use = &pairUse{}
		c.pairs[p] = use
	}
	use.count += sign * c.counts[left.word]
	if sign > 0 {
		use.positions = append(use.positions, pos)
	}
	return p
}

// best removes the most frequent pair from the queue, unless it is rarer than minimum.
func (c *trainCorpus) best(minimum int) (idPair, bool) {
	for len(c.queue) > 0 {
		top := c.queue[0]
		now := 0
		if use := c.pairs[top.idPair]; use != nil {
			now = use.count
		}
		if now == top.count && now >= minimum {
			return top.idPair, true
		}
		if now < minimum || now > top.count { // too rare, or queued again when its count grew
			last := len(c.queue) - 1
			c.queue[0] = c.queue[last]
			c.queue = c.queue[:last]
		} else {
			c.queue[0].count = now
		}
		c.down(0)
	}
	return idPair{}, false
}

// merge joins the pair into id everywhere.
func (c *trainCorpus) merge(p idPair, id uint32) {
	positions := c.pairs[p].positions
	slices.Sort(positions) // of overlapping places the leftmost is joined
	grown := map[idPair]bool{}
	for _, pos := range positions {
		left := &c.symbols[pos]
		if left.id != p.left || left.next == none || c.symbols[left.next].id != p.right {
			continue
		}
		right := &c.symbols[left.next]
		if left.prev != none {
			c.change(left.prev, -1)
		}
		if right.next != none {
			c.change(left.next, -1)
		}
		left.id, left.next, right.id = id, right.next, dead
		if left.prev != none {
			grown[c.change(left.prev, 1)] = true
		}
		if left.next != none {
			c.symbols[left.next].prev = pos
			grown[c.change(pos, 1)] = true
		}
	}
	delete(c.pairs, p)
	for p := range grown {
		if use := c.pairs[p]; use != nil && use.count > 0 {
			c.queue = append(c.queue, pairCount{use.count, p})
			c.up(len(c.queue) - 1)
		}
	}
}

func (c *trainCorpus) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !c.queue[i].before(c.queue[parent]) {
			return
		}
		c.queue[i], c.queue[parent] = c.queue[parent], c.queue[i]
		i = parent
	}
}

func (c *trainCorpus) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(c.queue) {
			return
		}
		if child+1 < len(c.queue) && c.queue[child+1].before(c.queue[child]) {
			child++
		}
		if !c.queue[child].before(c.queue[i]) {
			return
		}
		c.queue[i], c.queue[child] = c.queue[child], c.queue[i]
		i = child
	}
}
