/*
 * bitgpu.h: the C interface of bitgpu, which runs ternary language models whose memory learns while they read.
 *
 *   go build -buildmode=c-shared -o libbitgpu.so ./cmd/libbitgpu
 *
 * A model holds weights. A session is one text with the memory that the model has of it. A stream is a text being
 * written. All three are numbers, never 0 and never used twice: a number that has been closed, or never was one, gives
 * BITGPU_CLOSED and does no harm.
 *
 * Every function may be called from any thread. Calls on one session wait for each other; while a stream of a session
 * is open and has been asked for text, other calls on the session give BITGPU_BUSY.
 *
 * Functions return a bitgpu_status. If it is not BITGPU_OK or BITGPU_END and error is not NULL, *error becomes a
 * sentence in UTF-8. That, and everything else that comes through a char ** or uint32_t **, the caller gives back with
 * bitgpu_free. Texts are UTF-8 and have a length in bytes, as they may hold zeros; those that come back end with a zero
 * beyond their length too. Paths and names end with a zero. A pointer for a result, a path or options that is NULL is
 * BITGPU_INVALID, and nothing that the caller passes is kept after the call.
 *
 * The library runs threads of its own, which fork() does not copy: use it in the parent or the child, not in both.
 */
#ifndef BITGPU_H
#define BITGPU_H

#include <stddef.h>
#include <stdint.h>

/* Changes whenever something below does that would make a program built before fail. */
#define BITGPU_ABI 1

typedef int64_t bitgpu_model;
typedef int64_t bitgpu_session;
typedef int64_t bitgpu_stream;

typedef int32_t bitgpu_status;
enum {
	BITGPU_OK = 0,
	BITGPU_END = 1,     /* the stream has ended */
	BITGPU_FAILED = 2,  /* what has no number of its own: a file that is broken, no tokenizer, a device that failed */
	BITGPU_INVALID = 3, /* an argument out of range, a config or a memory that does not belong to the model, no room in its context */
	BITGPU_CLOSED = 4,  /* the model, session or stream is closed */
	BITGPU_BUSY = 5,    /* the session is writing a stream */
	BITGPU_NO_FILE = 6, /* there is no such file */
	BITGPU_NO_GPU = 7,  /* a GPU is asked for and none may be used */
	BITGPU_NOT_FINITE = 8 /* the model's numbers are NaN or infinite; a session helps only reset, or another memory */
};

/* The generated header declares functions without const; these names let it. */
typedef const char bitgpu_text;
typedef const uint32_t bitgpu_token;

/* How text is written. Zero leaves every limit but max_tokens away. */
typedef struct {
	int64_t max_tokens;     /* 0 reads the prompt only */
	double temperature;     /* 0 takes the most probable token each time */
	int64_t top_k;          /* only the k most probable, 0 for all */
	double top_p;           /* only the most probable that together reach p, 0 or 1 for all */
	double min_p;           /* only those at least p times as probable as the most probable, 0 for all */
	double repeat_penalty;  /* lowers what was among the last 64 tokens, 0 or 1 for not */
	uint64_t seed;          /* the same seed, the same text */
	bitgpu_text *const *stop; /* stop_count texts, each ending with a zero; the text ends before the first of them */
	size_t stop_count;
} bitgpu_options;
typedef const bitgpu_options bitgpu_const_options;

#ifdef __cplusplus
extern "C" {
#endif

/* The BITGPU_ABI that the library was built with. */
int32_t bitgpu_abi(void);

/* The release, the commit, Go, the platform, and what the library computes on, in one line. Give it back with bitgpu_free. */
char *bitgpu_version(void);

/* Gives back what the library allocated. NULL is allowed. */
void bitgpu_free(void *memory);

/*
 * Reads a .bitt file, a model directory, or a .safetensors file. config is NULL or a JSON object with keys of
 * config.json: then a file that contradicts it is BITGPU_INVALID with a sentence that names the key, and it describes a
 * .safetensors file that has no config.json beside it. device is "cpu", "gpu" or "auto"; NULL means "auto". adapter is
 * a number, a part of a name, "software", or NULL for any. Empty words are BITGPU_INVALID.
 */
bitgpu_status bitgpu_model_load(bitgpu_text *path, bitgpu_text *config, bitgpu_text *device, bitgpu_text *adapter,
	bitgpu_model *model, char **error);

/*
 * Reads any of these, or a public model: a GGUF file, or a directory as Hugging Face has them. options is NULL or a JSON
 * object, with "config", an object as above, "device" and "adapter", and of public models alone "context", for how many
 * tokens a session has room (0: as many as the model was made for and half of the free memory holds), and "masters",
 * "half-up" or "half-even", by which float masters are rounded that the files do not say to be such. "lora" is an array of
 * adapters to apply, {"path": …, "weight": …} each, PEFT's or those of bitgpu learn.
 */
bitgpu_status bitgpu_model_open(bitgpu_text *path, bitgpu_text *options, bitgpu_model *model, char **error);

/* The same with the model that is inside the library. */
bitgpu_status bitgpu_model_demo(bitgpu_text *device, bitgpu_text *adapter, bitgpu_model *model, char **error);

/*
 * A JSON object: "config" as in config.json, "backend" ("cpu" or "gpu"), "device" in words, "id", "weight_bytes". The
 * config of a public model is an object with "family", "vocab_size" and its other sizes; "context" is for how many tokens
 * a session has room and "trained_context" for how many the model was made, both 0 where there is no limit;
 * "chat_template" says whether bitgpu_model_render can be used.
 */
bitgpu_status bitgpu_model_describe(bitgpu_model model, char **json, char **error);

/*
 * Makes room for tokens in all in every session of a public model, those that are open, too: they keep what they have read,
 * and a text that is being written ends where it would have ended. For no more than there is room for, and for a model
 * without a limit, it does nothing. More than "trained_context" is BITGPU_INVALID. While keys and values are copied the old
 * ones and the new ones take memory: where that lacks it is BITGPU_FAILED, and nothing has changed.
 */
bitgpu_status bitgpu_model_raise_context(bitgpu_model model, int64_t tokens, char **error);

/*
 * Writes a conversation as the model's own template has it. conversation is a JSON object: "messages", an array of
 * objects with "role" and "content", and if wanted "tools", an array, "add_generation_prompt" and "enable_thinking",
 * true or false. A model without a template is BITGPU_FAILED.
 */
bitgpu_status bitgpu_model_render(bitgpu_model model, bitgpu_text *conversation, char **text, size_t *length,
	char **error);

/* Turns text into token ids, with special not 0 among those that the tokenizer puts around a text. */
bitgpu_status bitgpu_model_encode(bitgpu_model model, bitgpu_text *text, size_t length, int32_t special,
	uint32_t **tokens, size_t *count, char **error);

/* Turns token ids into text, without special tokens. */
bitgpu_status bitgpu_model_decode(bitgpu_model model, bitgpu_token *tokens, size_t count, char **text, size_t *length,
	char **error);

/* Closes the model and all its sessions and streams. Calls under way end first. */
bitgpu_status bitgpu_model_close(bitgpu_model model, char **error);

/* Begins a text with an empty memory. */
bitgpu_status bitgpu_session_open(bitgpu_model model, bitgpu_session *session, char **error);

/* Makes a session that goes on from where this one is, independently. */
bitgpu_status bitgpu_session_fork(bitgpu_session session, bitgpu_session *fork, char **error);

/*
 * Reads count tokens. logits (V floats) become those of the token after the last; V is the config's vocab_size, and
 * size says how many floats there is room for.
 */
bitgpu_status bitgpu_session_forward(bitgpu_session session, bitgpu_token *tokens, size_t count, float *logits,
	size_t size, char **error);

/* Reads count tokens. logits (count, V floats) become those after each. */
bitgpu_status bitgpu_session_forward_all(bitgpu_session session, bitgpu_token *tokens, size_t count, float *logits,
	size_t size, char **error);

/* Reads text into the memory without answering; tokens becomes how many it was. */
bitgpu_status bitgpu_session_learn(bitgpu_session session, bitgpu_text *text, size_t length, int64_t *tokens,
	char **error);

/* How many tokens have been read and written since the memory was empty. */
bitgpu_status bitgpu_session_position(bitgpu_session session, int64_t *position, char **error);

bitgpu_status bitgpu_session_save_memory(bitgpu_session session, bitgpu_text *path, char **error);
bitgpu_status bitgpu_session_load_memory(bitgpu_session session, bitgpu_text *path, char **error);

/* Forgets everything that was read. */
bitgpu_status bitgpu_session_reset(bitgpu_session session, char **error);

/* Closes the session and all its streams. Calls under way end first. */
bitgpu_status bitgpu_session_close(bitgpu_session session, char **error);

/* Makes a stream that reads prompt when it is first asked, and then writes what follows. */
bitgpu_status bitgpu_stream_open(bitgpu_session session, bitgpu_text *prompt, size_t length,
	bitgpu_const_options *options, bitgpu_stream *stream, char **error);

/*
 * Waits for the next piece of text, in whole characters. BITGPU_END says that there is none. Until it is asked again
 * the stream does not go on, so that a stream closed here has read nothing further.
 */
bitgpu_status bitgpu_stream_next(bitgpu_stream stream, char **text, size_t *length, char **error);

/* Ends the stream, within a token. */
bitgpu_status bitgpu_stream_close(bitgpu_stream stream, char **error);

#ifdef __cplusplus
}
#endif

#endif
