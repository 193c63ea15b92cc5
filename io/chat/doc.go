// Package chat turns a conversation into the text that a model reads, using the model's own chat template, and splits an
// answer into what it says, what it thought and which tools it calls.
//
// A chat template is a Jinja2 template in tokenizer_config.json, chat_template.jinja or a GGUF file. It is rendered as
// Hugging Face's transformers does it: jinja2 3.1.6 in an immutable sandbox, with trim_blocks and lstrip_blocks, {% break %}
// and {% continue %}, {% generation %}, raise_exception, strftime_now, and a tojson that writes what Python's json.dumps
// writes. Names, values, operators, methods and filters behave as in Python: the rendering is the same, byte for byte, and
// where Python raises an error, so does this package.
//
// Templates come with models, and conversations from anybody, so neither is trusted: depth, steps, the length of range,
// strings and output are limited, other files cannot be read, and a template that uses something unknown is refused when it
// is loaded, with the construct and the line.
package chat
