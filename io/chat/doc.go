// Package chat turns a conversation into the text that a model reads, by the model's own chat template, and an answer
// back into what it says, what it thought and which tools it calls.
//
// A chat template is a Jinja2 template in tokenizer_config.json, chat_template.jinja or a GGUF file. It is rendered as
// Hugging Face's transformers renders it: jinja2 3.1.6 in a sandbox in which nothing can be changed, with trim_blocks
// and lstrip_blocks, {% break %} and {% continue %}, {% generation %}, raise_exception, strftime_now, and a tojson that
// writes what Python's json.dumps writes. Names, values, operators, methods and filters behave as they do in Python: a
// render is the same, byte for byte, and where Python raises an error, so does this package.
//
// Templates come with models and conversations from anybody, so both are untrusted: depth, steps, the length of range,
// strings and output have limits, other files cannot be read, and a template that uses what is not known here is
// refused as it is loaded, with the construct and the line.
package chat
