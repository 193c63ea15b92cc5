"""LangChain's client against a server: python_langchain.py ADDRESS"""

import importlib.metadata
import sys

from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import BaseModel, Field

address = sys.argv[1]
chat = ChatOpenAI(base_url=address + "/v1", api_key="none", model="demo", max_tokens=12, seed=1, temperature=0.7, max_retries=0)
said = [SystemMessage("Be brief."), HumanMessage("Who art thou?")]
whole = chat.invoke(said)
assert whole.content and whole.usage_metadata["output_tokens"] == 12
assert "".join(p.content for p in chat.stream(said)) == whole.content
assert [a.content for a in chat.batch([said] * 4)] == [whole.content] * 4


class Verse(BaseModel):
    speaker: str = Field(max_length=12)
    act: int = Field(ge=1, le=5)


roomy = ChatOpenAI(base_url=address + "/v1", api_key="none", model="demo", max_tokens=500, max_retries=0)
assert isinstance(roomy.with_structured_output(Verse, method="json_schema").invoke(said), Verse)
assert OpenAI(base_url=address + "/v1", api_key="none", model="demo", max_tokens=9, max_retries=0).invoke("ROMEO:")
print("langchain-openai", importlib.metadata.version("langchain-openai") + ": invoke, stream, batch, structured output, completions")
