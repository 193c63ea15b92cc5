package op

// NewDocument is set on a token that begins a document, in rows that hold several.
const NewDocument uint32 = 1 << 31

// SplitDocuments takes rows of `time` tokens in which NewDocument marks the first token of each document; a row's first token
// begins one in any case. It writes the tokens without the mark to ids (n), which may be tokens itself, and the Documents
// tensor of the package comment to documents (n, 2).
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
