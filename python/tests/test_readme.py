"""The README's examples, in their order, as they stand."""

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
        readme = PYTHON / "README.md"
        examples = re.findall(r"^```python\n(.*?)^```$", readme.read_text(encoding="utf-8"), re.M | re.S)
        self.assertGreater(len(examples), 5)
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(TIED / "model.bitt", folder)
            write_zeros(pathlib.Path(folder, "model.safetensors"), bitgpu.BitLlamaConfig(16384, 256, 8, 0.1))
            os.chdir(folder)
            self.addCleanup(os.chdir, before)
            names = {}
            for number, example in enumerate(examples, 1):
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(compile(example, f"{readme}: example {number}", "exec"), names)
            for name in ("model", "another"):
                names[name].close()
            os.chdir(before)


if __name__ == "__main__":
    unittest.main()
