"""lm-eval against a server, and against "bitgpu eval": python_lmeval.py ADDRESS BITGPU TEXT"""

import array
import importlib.metadata
import json
import math
import subprocess
import sys
import tempfile
import urllib.request

from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

address, program, file = sys.argv[1:]
lm = LocalCompletionsAPI(base_url=address + "/v1/completions", model="demo", num_concurrent=4, max_retries=1, max_length=4096, batch_size=1)
assert lm.tokenizer_backend == "remote", lm.tokenizer_backend


def tokens(text):
    data = json.dumps({"prompt": text, "add_special_tokens": False}).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(address + "/tokenize", data, {"Content-Type": "application/json"})))["tokens"]


with open(file) as f:
    paragraphs = [p for p in f.read().split("\n\n") if len(p) > 100][:8]
requests = []
for p in paragraphs:
    begin = p[: p.index(" ")]
    requests.append(Instance("loglikelihood", {}, (begin, p[len(begin) :]), 0))
found = lm.loglikelihood(requests, disable_tqdm=True)
worst = 0.0
for p, (loglikelihood, greedy) in zip(paragraphs, found):
    ids = tokens(p)
    begin = tokens(p[: p.index(" ")])
    assert ids[: len(begin)] == begin, "the beginning of this paragraph is encoded in another way alone"

    def loss(ids):
        with tempfile.NamedTemporaryFile(suffix=".u32") as u32:
            u32.write(array.array("I", ids).tobytes())
            u32.flush()
            out = subprocess.run([program, "eval", "--data", u32.name, "--context-len", str(len(ids)), "--json"], check=True, capture_output=True)
            report = json.loads(out.stdout)
            assert report["tokens"] == len(ids) - 1, report
            return report["loss"] * report["tokens"]

    ours = -(loss(ids) - (loss(begin) if len(begin) > 1 else 0.0))
    worst = max(worst, abs(loglikelihood - ours) / abs(ours))
assert worst < 1e-5, worst

texts = lm.generate_until([Instance("generate_until", {}, ("ROMEO:", {"until": ["\n\n"], "max_gen_toks": 20}), 0)] * 2, disable_tqdm=True)
assert texts[0] and texts[0] == texts[1]
rolling = lm.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (paragraphs[0],), 0)], disable_tqdm=True)
assert math.isfinite(rolling[0]) and rolling[0] < 0
chat = LocalChatCompletion(base_url=address + "/v1/chat/completions", model="demo", max_retries=1)
said = chat.apply_chat_template([{"role": "user", "content": "Who art thou?"}])
answers = chat.generate_until([Instance("generate_until", {}, (said, {"until": ["\n\n"], "max_gen_toks": 20}), 0)], disable_tqdm=True)
assert answers[0]
print(f"lm-eval {importlib.metadata.version('lm-eval')}: loglikelihood of {len(paragraphs)} paragraphs equals that of bitgpu eval to {worst:.1e}; rolling, until, chats")
