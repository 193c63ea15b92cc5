/* Uses every function of bitgpu.h once, and each handle once more after it is closed. argv[1] is a model of 300 tokens. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitgpu.h"

#define CHECK(condition)                                                                                               \
	do {                                                                                                               \
		if (!(condition)) {                                                                                            \
			fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, error ? error : "no message");                  \
			return 1;                                                                                                  \
		}                                                                                                              \
	} while (0)

/* Checks for a failure of one kind that has a message. */
#define REFUSED(call, kind)                                                                                            \
	do {                                                                                                               \
		error = NULL;                                                                                                  \
		CHECK((call) == (kind));                                                                                       \
		CHECK(error != NULL && strlen(error) > 0);                                                                     \
		bitgpu_free(error);                                                                                            \
		error = NULL;                                                                                                  \
	} while (0)

enum { VOCAB = 300 };

int main(int argc, char **argv)
{
	char *error = NULL, *text = NULL;
	size_t length = 0, count = 0;
	bitgpu_model model = 0;
	bitgpu_session session = 0, fork = 0;
	bitgpu_stream stream = 0;
	int64_t number = 0;
	uint32_t *ids = NULL;
	static float logits[3 * VOCAB], again[VOCAB];
	const uint32_t tokens[] = {1, 2, 3};

	CHECK(argc == 3);
	CHECK(bitgpu_abi() == BITGPU_ABI);
	text = bitgpu_version();
	CHECK(text != NULL && strncmp(text, "bitgpu ", 7) == 0);
	bitgpu_free(text);
	bitgpu_free(NULL);

	REFUSED(bitgpu_model_load("no such file", NULL, NULL, NULL, &model, &error), BITGPU_NO_FILE);
	REFUSED(bitgpu_model_load(NULL, NULL, NULL, NULL, &model, &error), BITGPU_INVALID);
	REFUSED(bitgpu_model_load(argv[1], NULL, "abacus", NULL, &model, &error), BITGPU_INVALID);
	REFUSED(bitgpu_model_load(argv[1], "{\"vocab_size\": \"many\"}", NULL, NULL, &model, &error), BITGPU_INVALID);
	REFUSED(bitgpu_model_load(argv[1], "nonsense", NULL, NULL, &model, &error), BITGPU_INVALID);
	REFUSED(bitgpu_model_load(argv[1], NULL, "gpu", "no such adapter", &model, &error), BITGPU_NO_GPU);
	CHECK(bitgpu_model_load(argv[1], NULL, "abacus", NULL, &model, NULL) == BITGPU_INVALID);
	CHECK(bitgpu_model_load(argv[1], NULL, "cpu", NULL, &model, &error) == BITGPU_OK);

	CHECK(bitgpu_model_describe(model, &text, &error) == BITGPU_OK);
	CHECK(strstr(text, "\"vocab_size\":300") != NULL && strstr(text, "\"backend\":\"cpu\"") != NULL);
	bitgpu_free(text);

	CHECK(bitgpu_model_raise_context(model, 100, &error) == BITGPU_OK);
	REFUSED(bitgpu_model_raise_context(model, 0, &error), BITGPU_INVALID);

	CHECK(bitgpu_model_encode(model, "a\0b", 3, 0, &ids, &count, &error) == BITGPU_OK);
	CHECK(count == 3);
	CHECK(bitgpu_model_decode(model, ids, count, &text, &length, &error) == BITGPU_OK);
	CHECK(length == 3 && memcmp(text, "a\0b", 4) == 0);
	bitgpu_free(ids);
	bitgpu_free(text);
	CHECK(bitgpu_model_encode(model, NULL, 0, 0, &ids, &count, &error) == BITGPU_OK);
	CHECK(count == 0);
	bitgpu_free(ids);

	CHECK(bitgpu_session_open(model, &session, &error) == BITGPU_OK);

	/* NULL where a pointer is wanted, and lengths that no array has. */
	{
		bitgpu_options options = {0};
		const char *const none[] = {NULL};

		REFUSED(bitgpu_model_load(argv[1], NULL, "cpu", NULL, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_describe(model, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_encode(model, "a", 1, 0, NULL, &count, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_encode(model, "a", 1, 0, &ids, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_encode(model, NULL, 1, 0, &ids, &count, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_encode(model, "a", (size_t)-1, 0, &ids, &count, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_decode(model, NULL, 1, &text, &length, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_decode(model, tokens, (size_t)-1, &text, &length, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_decode(model, tokens, 1, NULL, &length, &error), BITGPU_INVALID);
		REFUSED(bitgpu_model_decode(model, tokens, 1, &text, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_open(model, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_fork(session, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_forward(session, NULL, 1, logits, VOCAB, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_forward(session, tokens, 1, NULL, VOCAB, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_forward_all(session, tokens, 1, NULL, VOCAB, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_learn(session, NULL, 1, &number, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_learn(session, "a", 1, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_position(session, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_save_memory(session, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_session_load_memory(session, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_stream_open(session, "a", 1, NULL, &stream, &error), BITGPU_INVALID);
		REFUSED(bitgpu_stream_open(session, "a", 1, &options, NULL, &error), BITGPU_INVALID);
		REFUSED(bitgpu_stream_open(session, NULL, 1, &options, &stream, &error), BITGPU_INVALID);
		options.stop_count = 1;
		REFUSED(bitgpu_stream_open(session, "a", 1, &options, &stream, &error), BITGPU_INVALID);
		options.stop = none;
		REFUSED(bitgpu_stream_open(session, "a", 1, &options, &stream, &error), BITGPU_INVALID);
		options.stop_count = 0;
		CHECK(bitgpu_stream_open(session, "a", 1, &options, &stream, &error) == BITGPU_OK);
		REFUSED(bitgpu_stream_next(stream, NULL, &length, &error), BITGPU_INVALID);
		REFUSED(bitgpu_stream_next(stream, &text, NULL, &error), BITGPU_INVALID);
		CHECK(bitgpu_stream_close(stream, &error) == BITGPU_OK);
	}
	REFUSED(bitgpu_session_forward(model, tokens, 3, logits, VOCAB, &error), BITGPU_CLOSED); /* not a session */
	REFUSED(bitgpu_session_forward(session, tokens, 3, logits, VOCAB - 1, &error), BITGPU_INVALID);
	REFUSED(bitgpu_session_forward_all(session, tokens, 3, logits, 3 * VOCAB - 1, &error), BITGPU_INVALID);
	REFUSED(bitgpu_session_forward_all(session, tokens, (size_t)-1 / VOCAB, logits, 3 * VOCAB, &error), BITGPU_INVALID);
	REFUSED(bitgpu_session_forward(session, NULL, 0, logits, VOCAB, &error), BITGPU_INVALID);
	CHECK(bitgpu_session_forward_all(session, tokens, 3, logits, 3 * VOCAB, &error) == BITGPU_OK);
	CHECK(bitgpu_session_forward(session, NULL, 0, again, VOCAB, &error) == BITGPU_OK);
	CHECK(memcmp(logits + 2 * VOCAB, again, sizeof again) == 0);
	CHECK(bitgpu_session_learn(session, "to be", 5, &number, &error) == BITGPU_OK);
	CHECK(number > 0);
	number += 3;
	{
		int64_t position = 0;
		CHECK(bitgpu_session_position(session, &position, &error) == BITGPU_OK);
		CHECK(position == number);
	}
	CHECK(bitgpu_session_save_memory(session, argv[2], &error) == BITGPU_OK);
	CHECK(bitgpu_session_fork(session, &fork, &error) == BITGPU_OK);
	CHECK(bitgpu_session_reset(session, &error) == BITGPU_OK);
	CHECK(bitgpu_session_load_memory(session, argv[2], &error) == BITGPU_OK);
	CHECK(bitgpu_session_forward(session, tokens, 1, logits, VOCAB, &error) == BITGPU_OK);
	CHECK(bitgpu_session_forward(fork, tokens, 1, again, VOCAB, &error) == BITGPU_OK);
	CHECK(memcmp(logits, again, sizeof again) == 0);

	{
		const char *const stops[] = {"never", "ever"};
		bitgpu_options options = {0};
		bitgpu_status status;
		size_t written = 0;

		options.temperature = -1;
		REFUSED(bitgpu_stream_open(session, "to", 2, &options, &stream, &error), BITGPU_INVALID);
		options.temperature = 0;
		options.max_tokens = 5;
		options.stop = stops;
		options.stop_count = 2;
		CHECK(bitgpu_stream_open(session, "to", 2, &options, &stream, &error) == BITGPU_OK);
		while ((status = bitgpu_stream_next(stream, &text, &length, &error)) == BITGPU_OK) {
			CHECK(strlen(text) <= length);
			written += length;
			bitgpu_free(text);
		}
		CHECK(status == BITGPU_END && written > 0);
		CHECK(bitgpu_stream_next(stream, &text, &length, &error) == BITGPU_END);
		CHECK(bitgpu_stream_close(stream, &error) == BITGPU_OK);
		REFUSED(bitgpu_stream_next(stream, &text, &length, &error), BITGPU_CLOSED);
		REFUSED(bitgpu_stream_close(stream, &error), BITGPU_CLOSED);

		options.max_tokens = 1000000;
		CHECK(bitgpu_stream_open(session, "to", 2, &options, &stream, &error) == BITGPU_OK);
		CHECK(bitgpu_stream_next(stream, &text, &length, &error) == BITGPU_OK);
		bitgpu_free(text);
		REFUSED(bitgpu_session_reset(session, &error), BITGPU_BUSY);
	}

	CHECK(bitgpu_session_close(fork, &error) == BITGPU_OK);
	REFUSED(bitgpu_session_close(fork, &error), BITGPU_CLOSED);
	CHECK(bitgpu_model_close(model, &error) == BITGPU_OK);
	REFUSED(bitgpu_stream_next(stream, &text, &length, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_session_reset(session, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_model_close(model, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_session_open(model, &session, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_model_demo("cpu", NULL, NULL, &error), BITGPU_INVALID);
	REFUSED(bitgpu_model_demo("abacus", NULL, &model, &error), BITGPU_INVALID);
	CHECK(bitgpu_model_demo("cpu", NULL, &model, &error) == BITGPU_OK);
	CHECK(bitgpu_model_close(model, &error) == BITGPU_OK);
	REFUSED(bitgpu_model_describe(-1, &text, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_stream_close(stream, &error), BITGPU_CLOSED);
	REFUSED(bitgpu_session_close(session, &error), BITGPU_CLOSED);
	puts("done");
	return 0;
}
