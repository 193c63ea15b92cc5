"""The Python examples of both READMEs, in their order, as they stand."""

import contextlib
import io
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from support import PYTHON, TIED, bitgpu, write_zeros


class Readme(unittest.TestCase):
    def test_examples(self):
        examples = []
        for readme in (PYTHON.parent / "README.md", PYTHON / "README.md"):
            found = re.findall(r"^```python\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.M | re.S)
            examples += [(f"{readme}: example {number}", text) for number, text in enumerate(found, 1)]
        self.assertGreater(len(examples), 6)
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(TIED / "model.bitt", folder)
            write_zeros(pathlib.Path(folder, "model.safetensors"), bitgpu.BitLlamaConfig(16384, 256, 8, 0.1))
            os.chdir(folder)
            self.addCleanup(os.chdir, before)
            names = {}
            for name, example in examples:
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(example, name, "exec"), names)
            for name in ("model", "another"):
                names[name].close()
            os.chdir(before)


if __name__ == "__main__":
    unittest.main()
