"""Writes golden.jsonl.gz: small tokenizers and what Hugging Face's tokenizers 0.23.3 makes of texts and ids.

Needed only to make that file anew: python golden.py (with pip install tokenizers==0.23.3).
"""
import gzip, json, random
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

random.seed(1)
BYTES = ["<0x%02X>" % b for b in range(256)]
TEXTS = [
    "", " ", "a", "Hello, world!  How are you?", " leading and trailing ", "  two  spaces  ", "tab\tnew\nline\r\n\r\nend \n",
    "don't WON'T we'll I'VE they're 'S ''s 'ſ", "3.14159 12345678 ½ ² Ⅳ ٣٤", "naïve café e\u0301 ﬁ Å İstanbul ǅ ΑΣ", "日本語のテキスト、です。",
    "😀👩‍👩‍👧 emoji", "_under_score-dash--dash- a-b", "<s>text</s> <S> x<s>", "[tok] a [tok]b [tok]  [tok]", "wordtoken token tokens token",
    "▁already ▁▁meta▁", "a▁b", "\u00a0nbsp\u3000wide\u2028sep\u0085nel", "ＡＢＣ①㍿", "q\u0307\u0323 \u1e0b\u0323", "한글 각", "aaa aaaa aaaaa",
    "ab  ab   ab", "Hello hello HELLO hELLO", "x,y;z...!?", "-", "--", "a-", "-a", "a--b", "$1+2=3^4`~|<>", "\U0001D400\U0001F600\U0010FFFF",
    "the the The tHe", "<0x41><0x4", "  ", "\n\n\n x", "<s> <s>  <s>", "end<s>", "zz<m>  zz<m>zz  <m>", "a\u200db \u200c", "Ǆ ß ẞ ﬀ",
    "q" + "\u0301\u0323" * 40 + "e\u0301", "\u1100\u1161\u11a8 \u0958 \u2126 \u0344",
]
TRAINING = [t for t in TEXTS if t] * 3 + [
    "the quick brown fox jumps over the lazy dog", "she sells sea shells by the sea shore", "hello world, this is a text about words",
] * 8


def glass(**more):
    """A BPE model that shows every byte and every end of a word."""
    return {"type": "BPE", "vocab": {b: i for i, b in enumerate(BYTES)}, "merges": [], "byte_fallback": True,
            "end_of_word_suffix": "|", **more}


def build(model=None, normalizer=None, pre=None, post=None, decoder=None, added=()):
    size = len((model or glass())["vocab"])
    known = (model or glass())["vocab"]
    tokens = []
    for a in added:
        id = known.get(a["content"]) if isinstance(known, dict) else next((i for i, p in enumerate(known) if p[0] == a["content"]), None)
        if id is None:
            id, size = size, size + 1
        tokens.append({"id": id, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False, **a})
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": normalizer,
            "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model or glass()}


ALL = []


def add(name, spec, texts=TEXTS, sequences=0):
    tok = Tokenizer.from_str(json.dumps(spec))
    cases = []
    for text in texts:
        try:
            ids = tok.encode(text, add_special_tokens=False).ids
            special = tok.encode(text, add_special_tokens=True).ids
        except BaseException as e:  # what the library cannot do is no case
            print("left out:", name, repr(text), e)
            continue
        cases.append({"text": text, "ids": ids, "ids_special": special, "decoded": tok.decode(ids, skip_special_tokens=False),
                      "decoded_skip_special": tok.decode(special)})
    decodes = []
    size = tok.get_vocab_size()
    for n in range(sequences):
        ids = [random.randrange(size + 3) for _ in range(random.randrange(n + 2))]
        try:
            decodes.append({"ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False), "decoded_skip_special": tok.decode(ids)})
        except BaseException as e:
            print("left out:", name, ids, e)
    ALL.append({"name": name, "tokenizer": spec, "cases": cases, "decodes": decodes})


def of(type, **more):
    return {"type": type, **more}


def seq(member, *parts):
    return of("Sequence", **{member: list(parts)})


FALLBACK = seq("decoders", of("ByteFallback"), of("Fuse"))
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]

# Normalizers.
for n in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]:
    add(n, build(normalizer=of(n), decoder=FALLBACK))
add("Prepend", build(normalizer=of("Prepend", prepend="▁▁"), decoder=FALLBACK))
add("Replace string", build(normalizer=of("Replace", pattern={"String": "a"}, content="bc"), decoder=FALLBACK))
add("Replace dot", build(normalizer=of("Replace", pattern={"String": "."}, content=""), decoder=FALLBACK))
add("Replace empty", build(normalizer=of("Replace", pattern={"String": ""}, content="-"), decoder=FALLBACK))
for p in [" {2,}", r"\s+", r"(?i:h)[a-z]*", r"\w+", r"x*", r"^\S", r"\S$", r"\h", r"\R", r"\bt", r"[^\w\s]", r"\p{^L}", r"a{,2}b?", r"(?m:.)", r"[]a-]+"]:
    add("Replace " + p, build(normalizer=of("Replace", pattern={"Regex": p}, content="<>"), decoder=FALLBACK))
for left in [True, False]:
    for right in [True, False]:
        add(f"Strip {left} {right}", build(normalizer=of("Strip", strip_left=left, strip_right=right), decoder=FALLBACK))
add("Sequence of normalizers", build(normalizer=seq("normalizers", of("NFKD"), of("Lowercase"), seq("normalizers", of("Strip", strip_left=True, strip_right=False), of("Prepend", prepend="_")))))

# Pre-tokenizers.
for behavior in BEHAVIORS:
    for invert in [False, True]:
        for pattern in [{"String": "-"}, {"String": ".."}, {"Regex": r"\s+"}, {"Regex": r"\p{N}|-"}, {"Regex": r"\w+|[^\w\s]+"}]:
            add(f"Split {pattern} {behavior} {invert}", build(pre=of("Split", pattern=pattern, behavior=behavior, invert=invert)), TEXTS[:36])
    add("Punctuation " + behavior, build(pre=of("Punctuation", behavior=behavior)))
PATTERNS = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+?| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+".replace("}+?", "}"),
    r"[一-龥぀-ゟ゠-ヿ]+", r"(?<=[a-z])(?=[A-Z])|\d", r"\b", "", r"$", r"(?:'s)|(?<n>l)\k<n>",
]
for p in PATTERNS:
    add("Split " + p, build(pre=of("Split", pattern={"Regex": p}, behavior="Isolated", invert=False)))
    add("Split and remove " + p, build(pre=of("Split", pattern={"Regex": p}, behavior="Removed", invert=True)))
for individual in [True, False]:
    add(f"Digits {individual}", build(pre=of("Digits", individual_digits=individual)))
for kind in ["Whitespace", "WhitespaceSplit", "Punctuation"]:
    add(kind, build(pre=of(kind)))
for prefix in [True, False]:
    for regex in [True, False]:
        add(f"ByteLevel {prefix} {regex}", build(pre=of("ByteLevel", add_prefix_space=prefix, trim_offsets=True, use_regex=regex)))
SPECIAL = [{"content": "<s>", "special": True}]
for scheme in ["always", "first", "never"]:
    for split in [True, False]:
        meta = of("Metaspace", replacement="▁", prepend_scheme=scheme, split=split)
        add(f"Metaspace {scheme} {split}", build(pre=meta, added=SPECIAL, decoder=seq("decoders", of("ByteFallback"), meta)), sequences=20)
        add(f"Metaspace {scheme} {split} after a split", build(pre=seq("pretokenizers", of("Digits", individual_digits=True), meta), added=SPECIAL))
        add(f"Metaspace {scheme} {split} after WhitespaceSplit", build(pre=seq("pretokenizers", of("WhitespaceSplit"), meta), added=SPECIAL))
        add(f"Metaspace {scheme} {split} after Strip", build(normalizer=of("Strip", strip_left=True, strip_right=True), pre=meta, added=SPECIAL))
        add(f"Metaspace {scheme} {split} after NFKC", build(normalizer=of("NFKC"), pre=meta, added=SPECIAL))
add("Metaspace, old", build(pre=of("Metaspace", replacement="_", add_prefix_space=True)))
add("Sequence of pre-tokenizers", build(pre=seq("pretokenizers", of("Whitespace"), of("Punctuation", behavior="MergedWithPrevious"), of("Digits", individual_digits=True), of("ByteLevel", add_prefix_space=True, use_regex=False, trim_offsets=True))))

# Added tokens, with every flag.
for flags in range(32):
    f = {k: bool(flags >> i & 1) for i, k in enumerate(["single_word", "lstrip", "rstrip", "normalized", "special"])}
    added = [{"content": c, **f} for c in ["<s>", "token", "[tok]", "Hello", " ", "<s>text"]] + [{"content": "<m>", "rstrip": True}, {"content": "aa", "special": True}]
    add(f"added {f}", build(added=added, normalizer=of("Lowercase") if flags & 4 else None, decoder=FALLBACK), sequences=3)
add("added, before Prepend", build(added=[{"content": "<s>", "special": True}, {"content": "hello", "normalized": True}, {"content": "[tok]", "normalized": True, "special": True}],
                                  normalizer=seq("normalizers", of("Prepend", prepend="▁"), of("Replace", pattern={"String": " "}, content="▁")), decoder=FALLBACK), sequences=5)
add("added, of the vocabulary", build(added=[{"content": "<0x41>", "special": True}, {"content": "x", "special": False}, {"content": "", "special": False}, {"content": "y"}], decoder=FALLBACK), sequences=10)

# Decoders.
tokens = ["▁", "▁▁", "a▁b", "▁the", "Ġx", "é", "Ã©", "ĠÃ", "©", "</w>", "a</w>b</w>", "", " ", "  ", "  a  ", "<0x4", "日本", "-", "--", "a-", "¤½", "ð", "Ł", "ĺ", "Ģ", "bb", "b"]
vocab = {p: i for i, p in enumerate(tokens + BYTES)}
show = of("BPE", vocab=vocab, merges=[], byte_fallback=True)
rep = lambda a, b: of("Replace", pattern={"String": a}, content=b)
for name, d in {
    "none": None, "ByteLevel": of("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True), "ByteFallback": of("ByteFallback"), "Fuse": of("Fuse"),
    "Strip 1 0": of("Strip", content=" ", start=1, stop=0), "Strip 1 1": of("Strip", content="-", start=0, stop=1), "BPEDecoder": of("BPEDecoder", suffix="</w>"),
    "Metaspace": of("Metaspace", replacement="▁", prepend_scheme="always", split=True), "Metaspace never": of("Metaspace", replacement="▁", prepend_scheme="never", split=True),
    "Replace": rep("▁", " "), "Replace two": rep("bb", "c"), "Replace regex": of("Replace", pattern={"Regex": "[ab]+"}, content="X"),
    "Llama": seq("decoders", rep("▁", " "), of("ByteFallback"), of("Fuse"), of("Strip", content=" ", start=1, stop=0)),
    "fused, then the rest": seq("decoders", of("ByteFallback"), of("Fuse"), rep("bb", "c"), rep("▁▁", "_"), of("Strip", content="▁", start=1, stop=0)),
    "fused, then Metaspace": seq("decoders", of("Fuse"), of("Metaspace", replacement="▁", prepend_scheme="first", split=True)),
    "fused, then regex": seq("decoders", of("Fuse"), of("Replace", pattern={"Regex": "[ab]+"}, content="X")),
    "fused, then bytes": seq("decoders", of("Fuse"), of("ByteFallback"), of("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True)),
    "Strip of two": seq("decoders", of("Strip", content=" ", start=2, stop=0), of("Fuse")),
    "bytes, then Metaspace": seq("decoders", of("ByteFallback"), of("Metaspace", replacement="▁", prepend_scheme="always", split=True)),
    "bytes, then words": seq("decoders", of("ByteFallback"), of("BPEDecoder", suffix="</w>")),
    "ByteLevel, then Strip": seq("decoders", of("ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True), of("Strip", content=" ", start=1, stop=0)),
}.items():
    add("decoder " + name, build(show, decoder=d, added=[{"content": "<s>", "special": True}, {"content": "日本語"}]), [], sequences=60)

# Models.
def trained(trainer, pre, model):
    tok = Tokenizer(model)
    tok.pre_tokenizer = pre
    tok.train_from_iterator(TRAINING, trainer)
    return json.loads(tok.to_str())["model"]


bytelevel = trained(trainers.BpeTrainer(vocab_size=420, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()), pre_tokenizers.ByteLevel(add_prefix_space=False), models.BPE())
level = of("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
add("byte-level BPE", build(bytelevel, pre=level, decoder=level), sequences=30)
add("byte-level BPE without words", build(bytelevel, pre=of("ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False), decoder=level))
add("byte-level BPE, ignore_merges", build({**bytelevel, "merges": bytelevel["merges"][:60], "ignore_merges": True}, pre=level, decoder=level))
roberta = of("RobertaProcessing", cls=["the", 3], sep=["x", 5], trim_offsets=True, add_prefix_space=False)
add("RobertaProcessing", build(bytelevel, pre=level, decoder=level, post=roberta))
add("BertProcessing", build(bytelevel, pre=level, decoder=level, post=of("BertProcessing", cls=["a", 1], sep=["b", 2])))
template = of("TemplateProcessing", single=[{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "end", "type_id": 1}}],
              pair=[{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
              special_tokens={"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}, "end": {"id": "end", "ids": [8, 9], "tokens": ["e", "nd"]}})
add("post-processors", build(bytelevel, pre=level, decoder=level, post=seq("processors", level, seq("processors", template), level)))

meta = of("Metaspace", replacement="▁", prepend_scheme="always", split=True)
chars = trained(trainers.BpeTrainer(vocab_size=200, limit_alphabet=45, special_tokens=["<unk>"], show_progress=False), pre_tokenizers.Metaspace(), models.BPE(unk_token="<unk>"))
withbytes = {**chars, "vocab": {**chars["vocab"], **{b: len(chars["vocab"]) + i for i, b in enumerate(BYTES)}}, "byte_fallback": True}
somebytes = {**chars, "vocab": {**chars["vocab"], **{b: len(chars["vocab"]) + i for i, b in enumerate(BYTES[:0xE4])}}, "byte_fallback": True}
lone = {k: i for i, k in enumerate(["<unk>", "a", "b", "ab", "<unk>a", "aa", "aaaa", "<unk><unk>"])}
norm = seq("normalizers", of("Prepend", prepend="▁"), rep(" ", "▁"))
for fuse in [True, False]:
    for name, m in {"unknown": chars, "fallback": withbytes, "some bytes": somebytes, "no unknown": {**chars, "unk_token": None}, "unknown merged": {
            "type": "BPE", "vocab": lone, "unk_token": "<unk>", "merges": [["a", "a"], ["aa", "aa"], ["<unk>", "a"], ["<unk>", "<unk>"], ["a", "b"]]}}.items():
        m = {**m, "fuse_unk": fuse}
        add(f"BPE {name} fuse {fuse}", build(m, pre=meta, decoder=meta))
        add(f"BPE {name} fuse {fuse} without words", build(m, normalizer=norm, decoder=FALLBACK), TEXTS + [" ".join(TEXTS), "".join(TEXTS)], sequences=5)
for prefix, suffix in [("##", None), (None, "</w>"), ("##", "</w>")]:
    more = {k: v for k, v in {"continuing_subword_prefix": prefix, "end_of_word_suffix": suffix}.items() if v}
    m = trained(trainers.BpeTrainer(vocab_size=260, limit_alphabet=45, special_tokens=["<unk>"], show_progress=False, **more), pre_tokenizers.WhitespaceSplit(), models.BPE(unk_token="<unk>", **more))
    add(f"BPE {prefix} {suffix}", build(m, pre=of("WhitespaceSplit"), decoder=of("BPEDecoder", suffix=suffix or "</w>")), [t for t in TEXTS if t.strip()])
add("BPE, merges as text", build({**chars, "merges": ["#version: 0.2"] + [" ".join(p) for p in chars["merges"] if " " not in "".join(p)]}, pre=meta, decoder=meta))
old = {k: v for k, v in chars.items() if k != "type"}
add("BPE without type", build(old, pre=meta, decoder=meta))

unigram = trained(trainers.UnigramTrainer(vocab_size=160, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False), pre_tokenizers.Metaspace(), models.Unigram())
drop = {p for p, _ in unigram["vocab"] if len(p) == 1 and ord(p) > 0x2600}
few = {**unigram, "vocab": [p for p in unigram["vocab"] if p[0] not in drop]}
for name, m in {"": unigram, "few characters": few, "byte_fallback": {**few, "vocab": few["vocab"] + [[b, -20.0] for b in BYTES], "byte_fallback": True},
                "some bytes": {**few, "vocab": few["vocab"] + [[b, -20.0] for b in BYTES[:0xE6]], "byte_fallback": True}, "no unknown": {**few, "unk_id": None},
                "ties": of("Unigram", unk_id=0, vocab=[["<unk>", 0.0]] + [[p, -float(len(p))] for p in ["a", "aa", "aaa", "b", "ab", "▁", "▁a", "h", "e", "l", "he", "hel", "lo", "ello", "aa"]])}.items():
    add("Unigram " + name, build(m, pre=meta, decoder=meta), TEXTS + [" ".join(TEXTS[:12])], sequences=10)
    add("Unigram " + name + " without words", build(m, normalizer=norm, decoder=FALLBACK), TEXTS + ["".join(TEXTS)])

with gzip.GzipFile("golden.jsonl.gz", "wb", mtime=0) as out:
    for a in ALL:
        out.write((json.dumps(a, ensure_ascii=False) + "\n").encode())
print(len(ALL), "tokenizers,", sum(len(a["cases"]) for a in ALL), "texts,", sum(len(a["decodes"]) for a in ALL), "sequences of ids")

# The trainer.
docs = [d.lower() + "\n" for d in TRAINING] + ["aaaa aaaaa bbbb", "one more, abababab"]
tok = Tokenizer(models.BPE())
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
special = ["<|endoftext|>", "<|padding|>"]
tok.train_from_iterator(docs, trainers.BpeTrainer(vocab_size=600, min_frequency=2, special_tokens=special, show_progress=False,
                                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
model = json.loads(tok.to_str())["model"]
with open("trained.json", "w") as out:
    json.dump({"texts": docs, "vocab_size": 600, "min_frequency": 2, "vocab": model["vocab"], "merges": model["merges"]}, out, ensure_ascii=False)
    out.write("\n")
print(len(model["merges"]), "merges")
