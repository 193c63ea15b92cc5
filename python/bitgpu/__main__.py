"""``python -m bitgpu``: says what is installed, and lets a model write. The program ``bitgpu`` does much more."""

from __future__ import annotations

import argparse
import platform
import sys
from typing import List, Optional

import bitgpu
from bitgpu._library import library


def main(arguments: Optional[List[str]] = None) -> int:
    """Runs a command and returns the exit code: 0 done, 1 an error, 2 wrong usage, 130 stopped by Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bitgpu", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version", help="say what is installed")
    info = commands.add_parser("info", help="describe a model and what it runs on")
    run = commands.add_parser("run", help="write the text that follows a prompt")
    for command in (info, run):
        command.add_argument("-m", "--model", help="a .bitt file, a model directory, a .safetensors file or a public model; else the demo")
        command.add_argument("--device", default="auto", help="auto, gpu or cpu")
        command.add_argument("--adapter", help="a GPU adapter's number, a part of its name, or software")
    run.add_argument("-p", "--prompt", required=True, help="the text to go on from")
    run.add_argument("-n", "--max-tokens", type=int, default=100, help="write at most so many tokens")
    run.add_argument("--temp", type=float, default=0.8, help="temperature; 0 takes the most probable token each time")
    run.add_argument("--seed", type=int, help="the same seed gives the same text")
    options = parser.parse_args(arguments)
    try:
        if options.command == "version":
            print(f"bitgpu {bitgpu.__version__}, Python {platform.python_version()}, {library.path}")
            print(f"built from {library.version()}")
            return 0
        where = options.device, options.adapter
        with bitgpu.load(options.model, *where) if options.model else bitgpu.demo(*where) as model:
            if options.command == "info":
                print(f"model   {options.model or 'the demo'}, weights of {model.weight_bytes} bytes")
                about = model.description
                print(f"config  {about if 'family' in about else model.config}")
                print(f"device  {model.device}")
                return 0
            for piece in model.stream(options.prompt, options.max_tokens, options.temp, options.seed):
                print(piece, end="", flush=True)
            print()
            return 0
    except (bitgpu.Error, ImportError, OSError, ValueError) as error:
        print(f"bitgpu: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
