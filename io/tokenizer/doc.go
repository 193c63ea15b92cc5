// Package tokenizer reads tokenizer.json, the format of Hugging Face's tokenizers library, and turns text into ids and
// back exactly as that library does: byte pair encoding (over bytes, or over characters with bytes to fall back on) and
// Unigram models, with their normalizers, pre-tokenizers, post-processors, decoders and added tokens. It also trains
// byte-level BPE vocabularies and writes them in the same format.
//
// It is not for WordPiece and word-level models, for pairs of texts, truncation, padding or the places in the text that ids
// come from. What it does not support it refuses by name when the file is read, so that a tokenizer that loads is one whose ids
// can be trusted.
//
// # Why
//
// Why our own? No other Go module covers both byte-level and byte-fallback BPE. The nearest, sugarme/tokenizer v0.3.0,
// was measured against Hugging Face's ids on 241 strings: 221 right for GPT-2, 130 for TinyLlama; it panics while
// loading the files of Llama 3 and Qwen 2 and on 14 of 43 malformed files, takes 13.8 s for 16 KB on TinyLlama, trains
// nondeterministically and cannot save what it trained. Here dlclark/regexp2 reads the regular expressions and
// golang.org/x/text makes the normalization forms; the rest is a few short algorithms.
//
// Why scanners written by hand? Matching by backtracking reads a few MB/s. The patterns of GPT-2, Llama 3 and Qwen 2
// are recognised by their exact text and matched ten times as fast; a test holds the scanners against the patterns.
//
// Why a matcher of our own for the other patterns? They look ahead, so Go's regexp cannot take them, and backtracking
// may have no end, so it needs a limit. The one of dlclark/regexp2 is a clock: a program that was stopped for a while,
// or a busy machine, would give other tokens. So its parser reads the pattern, translated from Oniguruma's syntax, and a
// machine that counts its steps matches; a test holds it against regexp2. A pattern that takes too many is an error.
//
// Why may a long text be cut before it is merged? SentencePiece's models come without a pre-tokenizer: to them a whole
// text is one word. Where no merge joins a piece that ends in the one character to a piece that begins with the other,
// no order of merges can reach across, so the halves are words of their own, and the memory for short words serves
// these models too.
//
// Why does decoding work token by token only? A decoder passes on what nothing that follows can change, so that Decode
// and Stream are one code and always agree. The price is paid in one place: neighbouring byte tokens such as <0xE4>
// are UTF-8 together or not at all, in Hugging Face's library too, so they wait for the first token that is not one of them.
//
// Which Unicode? That of the Go release (15.0 in Go 1.26). Characters younger than it count as unassigned, while
// Hugging Face's library knows those of Unicode 16; its Punctuation pre-tokenizer still counts by Unicode 8.
package tokenizer
