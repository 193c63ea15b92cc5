package op

// NewDocument is the bit of a token that is the first of its document, in rows that hold several.
const NewDocument uint32 = 1 << 31

// SplitDocuments reads rows of so many tokens, of which those that begin a document have the bit NewDocument; the first of a row
// begins one anyway. It writes the tokens without the bit into ids (n), which may be tokens, and what Documents holds into
// documents (n, 2).
func SplitDocuments(ids, documents, tokens []uint32, time int) {
	first := 0
	end := func(last int) { // of the document before last
		for i := first; i < last; i++ {
			documents[2*i], documents[2*i+1] = uint32(i-first), uint32(last-1-i)
		}
		first = last
	}
	for i, id := range tokens {
		if i%time == 0 || id&NewDocument != 0 {
			end(i)
		}
		ids[i] = id &^ NewDocument
	}
	end(len(tokens))
}

// documentsArg shows the optional documents of n rows.
func documentsArg[T any](v Visitor[T], documents *T, n int) {
	v.Arg("documents", Reads|Optional, documents, n, 2)
}
