// Package serve answers HTTP requests with a model: as OpenAI's API has them, as ollama has them, and with memories, which
// neither has. A memory is what the model has learned from what it read; it is a few hundred kilobytes or megabytes however
// long the text was, so it can be named in a request, forked, taught, given back as a file and found again after a restart.
//
//	server, err := serve.New(model, serve.Options{Name: "demo"})
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	return http.ListenAndServe("127.0.0.1:8080", server)
//
// A request without a memory begins with an empty one, always, and one key's memories do not exist for another key.
//
// It is not for encryption, sockets and signals, which belong to the program that listens, such as "bitgpu serve".
//
// # Why
//
// Why is the number of requests at work bounded? Each has a session with a state of its own. The model reads the tokens that
// they have drawn in one pass where its device can, each to the bit as alone, and their prompts by turns, one piece at a time
// for all of them, so that texts being written get a step between two pieces, and a short prompt waits for one piece of each
// long one.
//
// Why is every field that has no effect refused? A client that sets a field expects it to work. Only fields that change
// nothing, such as the name of a user, are ignored.
//
// Why does a request learn on a copy? A copy takes the place of the memory when the request has ended, so that one that fails
// leaves the memory as it was, and others can read it meanwhile. If the client disconnects during an answer, the memory keeps
// what was sent, since the client has read it.
package serve
