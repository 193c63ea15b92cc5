// Package tokenizer reads tokenizer.json, the format of Hugging Face's tokenizers library, and turns text into ids and
// back exactly as that library does: byte pair encoding (over bytes, or over characters with bytes to fall back on) and
// Unigram models, with their normalizers, pre-tokenizers, post-processors, decoders and added tokens. It also trains
// byte-level BPE vocabularies and writes them in the same format.
//
// WordPiece and word-level models, pairs of texts, truncation, padding and offsets are not supported. What is not supported
// is refused by name when the file is read, so that the ids of a tokenizer that loads can be trusted.
//
// # Why
//
// Why our own? No other Go module covers both byte-level and byte-fallback BPE. The nearest, sugarme/tokenizer v0.3.0,
// was measured against Hugging Face's ids on 241 strings: 221 right for GPT-2, 130 for TinyLlama; it panics while
// loading the files of Llama 3 and Qwen 2 and on 14 of 43 malformed files, takes 13.8 s for 16 KB on TinyLlama, trains
// nondeterministically and cannot save what it trained. Here dlclark/regexp2 reads the regular expressions and
// golang.org/x/text makes the normalization forms; the rest is a few short algorithms.
//
// Why handwritten scanners? Matching by backtracking processes a few MB/s. The patterns of GPT-2, Llama 3 and Qwen 2 are
// recognised by their exact text and matched ten times as fast; a test compares the scanners with the patterns.
//
// Why a matcher of our own for other patterns? They look ahead, so Go's regexp cannot handle them, and backtracking may take
// forever, so it needs a limit. The limit of dlclark/regexp2 is a clock: on a busy machine, or after a program was stopped
// for a while, the same text would give other tokens. So its parser reads the pattern, translated from Oniguruma's syntax,
// and a machine that counts its steps does the matching; a test compares it with regexp2. A pattern that takes too many steps
// is an error.
//
// Why may a long text be cut before it is merged? SentencePiece's models have no pre-tokenizer: to them a whole text is one
// word. If no merge joins a piece that ends in one character with a piece that begins with the next, no order of merges can
// reach across, so the two sides can be separate words, and the cache for short words works for these models too.
//
// Why does decoding work token by token? A decoder passes on whatever later tokens cannot change, so that Decode and Stream
// share their code and always agree. Only neighbouring byte tokens such as <0xE4> need more: together they are UTF-8 or not,
// in Hugging Face's library too, so they are held back until another kind of token follows.
//
// Which Unicode? That of the Go release (15.0 in Go 1.26). Newer characters count as unassigned, while Hugging Face's library
// knows those of Unicode 16; its Punctuation pre-tokenizer still uses Unicode 8.
package tokenizer
