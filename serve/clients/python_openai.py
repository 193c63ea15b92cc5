"""OpenAI's client for Python against a server: python_openai.py ADDRESS"""

import asyncio
import json
import re
import sys
from typing import Annotated

import openai
from pydantic import BaseModel, Field

address = sys.argv[1]
client = openai.OpenAI(base_url=address + "/v1", api_key="none", max_retries=0)
question = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who art thou?"}]

model = client.models.list().data[0].id
assert client.models.retrieve(model).id == model

whole = client.completions.create(model=model, prompt="ROMEO:", max_tokens=20, seed=7, temperature=0.8)
assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 20
pieces = list(client.completions.create(model=model, prompt="ROMEO:", max_tokens=20, seed=7, temperature=0.8, stream=True, stream_options={"include_usage": True}))
assert "".join(p.choices[0].text for p in pieces if p.choices) == whole.choices[0].text and pieces[-1].usage.completion_tokens == 20
logs = client.completions.create(model=model, prompt=["ROMEO:", "JULIET:"], n=2, max_tokens=3, logprobs=2, echo=True)
assert len(logs.choices) == 4 and len(logs.choices[0].logprobs.tokens) == len(logs.choices[0].logprobs.token_logprobs)

answer = client.chat.completions.create(model=model, messages=question, max_completion_tokens=12, seed=1, logprobs=True, top_logprobs=2)
assert answer.choices[0].message.role == "assistant" and len(answer.choices[0].logprobs.content) == 12
pieces = list(client.chat.completions.create(model=model, messages=question, max_tokens=12, seed=1, stream=True))
assert pieces[0].choices[0].delta.role == "assistant"
assert "".join(p.choices[0].delta.content or "" for p in pieces) == answer.choices[0].message.content


class Verse(BaseModel):
    speaker: str = Field(min_length=1, max_length=12)
    act: int = Field(ge=1, le=5)
    lines: list[Annotated[str, Field(max_length=20)]] = Field(min_length=1, max_length=2)


parsed = client.chat.completions.parse(model=model, messages=question, max_tokens=1500, seed=1, temperature=0.7, response_format=Verse)
assert isinstance(parsed.choices[0].message.parsed, Verse), parsed
free = client.chat.completions.create(model=model, messages=question, max_tokens=300, temperature=0, response_format={"type": "json_object"})
assert free.choices[0].message.content.startswith("{")

tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"place": {"type": "string"}}}}}]
client.chat.completions.create(model=model, messages=question, max_tokens=2, tools=tools, tool_choice="auto")
place = {"type": "string", "minLength": 1, "maxLength": 20, "pattern": "^[A-Z][a-z ]*$"}
tools[0]["function"]["parameters"] = {"type": "object", "properties": {"place": place}, "required": ["place"], "additionalProperties": False}
for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
    called = client.chat.completions.create(model=model, messages=question, max_tokens=200, tools=tools, tool_choice=choice).choices[0]
    call = called.message.tool_calls[0].function
    assert called.finish_reason == "tool_calls" and call.name == "weather" and re.fullmatch("[A-Z][a-z ]*", json.loads(call.arguments)["place"]), called

first = client.responses.create(model=model, input="Who art thou?", max_output_tokens=10)
second = client.responses.create(model=model, input="And then?", previous_response_id=first.id, max_output_tokens=10)
assert second.usage.input_tokens_details.cached_tokens > 0 and client.responses.retrieve(first.id).output_text == first.output_text
text = "".join(e.delta for e in client.responses.create(model=model, input="Who art thou?", max_output_tokens=10, stream=True) if e.type == "response.output_text.delta")
assert text
verse = client.responses.parse(model=model, input="A verse!", max_output_tokens=1500, text_format=Verse)
assert isinstance(verse.output_parsed, Verse), verse
client.responses.delete(first.id)

memory = client.post("/memories", cast_to=object, body={"name": "Rosalind"})["id"]
client.post(f"/memories/{memory}/learn", cast_to=object, body={"text": "My name is Rosalind."})
remembered = client.completions.create(model=model, prompt="\nROSALIND:", max_tokens=4, extra_body={"memory": memory})
assert remembered.usage.prompt_tokens < 12

for wrong, ask in {
    openai.NotFoundError: lambda: client.models.retrieve("nothing"),
    openai.BadRequestError: lambda: client.completions.create(model=model, prompt="a", best_of=2),
}.items():
    try:
        ask()
        raise AssertionError("no error")
    except wrong as e:
        assert e.body["message"], e
try:
    client.embeddings.create(model=model, input="a")
    raise AssertionError("embeddings were made")
except openai.BadRequestError as e:
    assert "embeddings" in str(e)


async def many():
    asynchronous = openai.AsyncOpenAI(base_url=address + "/v1", api_key="none", max_retries=0)
    texts = await asyncio.gather(*(asynchronous.completions.create(model=model, prompt="ROMEO:", max_tokens=20, seed=7, temperature=0.8) for _ in range(16)))
    assert {t.choices[0].text for t in texts} == {whole.choices[0].text}


asyncio.run(many())
print("openai", openai.__version__, "for Python: models, completions, chats, parsed schemas, tools, responses, memories, errors, 16 at once")
