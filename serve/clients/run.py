"""Lets other people's clients and testers use a server, and prints one line for each.

    python3 serve/clients/run.py bin/bitgpu bin/clients [NAME ...]

The second argument is where they are installed: openai, langchain-openai, lm-eval, schemathesis and openapi-spec-validator by pip
into a virtual environment, openai by npm. promtool (prometheus) and hey are the system's; what is missing is named. The names
are of those that are wanted: all, where there are none. In the environment CASES is how many examples schemathesis draws for each
operation, of which 150 make some 5,000 cases in all, and SEED what they are drawn by."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

here = pathlib.Path(__file__).resolve().parent
program, where = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
wanted = sys.argv[3:]
failed = []


def install():
    python = where / "venv" / "bin" / "python"
    done = where / "installed"
    lists = [here / "requirements.txt", here / "package.json"]
    state = "".join(f.read_text() for f in lists)
    if done.exists() and done.read_text() == state:
        return python
    print(f"installing clients into {where}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", where / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", lists[0]], check=True)
    (where / "npm").mkdir(exist_ok=True)
    if shutil.which("npm"):
        shutil.copy(lists[1], where / "npm")
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=where / "npm", check=True)
    done.write_text(state)
    return python


class Server:
    """bitgpu serve with the demo at a free port."""

    def __init__(self, *flags):
        self.log = open(where / "server.log", "w+")
        self.process = subprocess.Popen([program, "serve", "--port", "0", "--backend", "cpu", *flags], stderr=self.log)
        for _ in range(600):
            found = re.search(r"serving \S+ at (\S+)", (where / "server.log").read_text())
            if found:
                self.address = found[1]
                return
            assert self.process.poll() is None, (where / "server.log").read_text()
            time.sleep(0.1)
        raise AssertionError("the server does not begin")

    def get(self, path):
        return urllib.request.urlopen(self.address + path).read()

    def gauge(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.get("/metrics").decode(), re.M)[1])

    def end(self):
        self.process.terminate()
        code = self.process.wait(60)
        assert code == 0, f"the server ended with {code}"
        return (where / "server.log").read_text()


def step(name, needs=None):
    def run(f):
        if wanted and name not in wanted:
            return
        if needs and not shutil.which(needs[0]):
            print(f"  not run  {name}: {needs[0]} is missing ({needs[1]})")
            return
        began = time.time()
        try:
            f()
            print(f"  passed   {name} ({time.time() - began:.0f} s)", flush=True)
        except Exception as e:
            failed.append(name)
            print(f"  FAILED   {name}: {e}", flush=True)

    return run


def output(*command, **options):
    r = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if r.returncode:
        raise AssertionError((r.stdout + r.stderr)[-6000:])
    return r.stdout.strip()


where.mkdir(parents=True, exist_ok=True)
python = install()
log = ""
server = Server("--chat-template", here / "chat.jinja", "--timeout", "1m")
for name in ("openai", "langchain", "lmeval"):
    extra = [program, here.parent.parent / "ARCHITECTURE.md"] if name == "lmeval" else []
    step(name)(lambda: print(" ", output(python, here / f"python_{name}.py", server.address, *extra).splitlines()[-1]))
step("openai-npm", ("npm", "nodejs, npm"))(lambda: print(" ", output("node", here / "node_openai.mjs", server.address, cwd=where / "npm")))


@step("openapi-spec-validator")
def _():
    (where / "openapi.json").write_bytes(server.get("/openapi.json"))
    output(python, "-m", "openapi_spec_validator", where / "openapi.json")


@step("promtool", ("promtool", "Debian: prometheus"))
def _():
    said = output("promtool", "check", "metrics", input=server.get("/metrics").decode())
    assert not said, said


@step("hey", ("hey", "Debian: hey"))
def _():
    body = json.dumps({"prompt": "ROMEO:", "max_tokens": 4, "seed": 7})
    load = ["hey", "-n", 20000, "-c", 200, "-m", "POST", "-T", "application/json", "-d", body, server.address + "/v1/completions"]
    output(*load[:1], "-n", 2000, *load[3:])
    memory, goroutines = server.gauge("process_resident_memory_bytes"), server.gauge("go_goroutines")
    said = output(*load)
    answers = dict(re.findall(r"\[(\d+)\]\s+(\d+) responses", said))
    assert "Error distribution" not in said and set(answers) <= {"200", "503"} and int(answers["200"]) > 0, said
    for _ in range(100):
        grown, left = server.gauge("process_resident_memory_bytes"), server.gauge("go_goroutines")
        if left <= goroutines:
            break
        time.sleep(0.2)
    print(f"  hey: 20,000 requests at 200 connections, {answers}; memory {memory / 1e6:.0f} MB before, {grown / 1e6:.0f} MB behind; goroutines {goroutines:.0f} and {left:.0f}")
    assert grown < 1.3 * memory + 32e6 and left <= goroutines + 8


@step("schemathesis")
def _():
    global server, log
    log += server.end()
    server = Server("--chat-template", here / "chat.jinja", "--timeout", "1s")  # who draws max_tokens at random may ask for days of text
    said = output(where / "venv" / "bin" / "schemathesis", "--config-file", here / "schemathesis.toml", "run", server.address + "/openapi.json",
                  "--max-examples", os.environ.get("CASES", "150"), "--seed", os.environ.get("SEED", "1"), cwd=where)
    print("  schemathesis:", " ".join(re.findall(r"\d+ generated[^\n]*|\d+ (?:test cases|passed)[^\n]*", said)))


log += server.end()
if "panic" in log:
    failed.append("the server's log")
sys.exit("failed: " + ", ".join(failed) if failed else None)
