"""The environment in which Hugging Face's transformers renders chat templates, with jinja2 3.1.6."""
import datetime
import json

import jinja2
import jinja2.ext
import jinja2.sandbox

assert jinja2.__version__ == "3.1.6", jinja2.__version__

DAY = datetime.datetime(2026, 3, 5, 9, 7, 3)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def __init__(self, environment):
        super().__init__(environment)
        self.blocks, self.spans = [], []

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("mark"), [], [], body).set_lineno(line)

    @jinja2.pass_eval_context
    def mark(self, context, caller):
        text = caller()
        start = len("".join(self.blocks))
        self.spans.append((start, start + len(text)))
        return text


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: DAY.strftime(form)
    return env


def render(template, variables):
    """Returns [true, text] or [false, error], as the tests read it."""
    try:
        return [True, environment().from_string(template).render(**variables)]
    except RecursionError:
        return [False, "RecursionError"]
    except Exception as e:
        return [False, f"{type(e).__name__}: {e}"[:300]]


def render_spans(template, variables):
    """Returns the text, and the spans of {% generation %} in characters."""
    env = environment()
    tracker = next(e for e in env.extensions.values() if isinstance(e, Generation))
    for block in env.from_string(template).generate(**variables):
        tracker.blocks.append(block)
    return "".join(tracker.blocks), tracker.spans
