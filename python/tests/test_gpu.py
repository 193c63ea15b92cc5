"""The same on a GPU adapter, software or hardware. Without one they are skipped; $BITGPU_REQUIRE_GPU forbids that."""

import os
import threading
import unittest
import warnings

from support import MODELS, NAMES, PATIENCE, TIED, bitgpu, run


def setUpModule():
    try:
        bitgpu.load(TIED, device="gpu").close()
    except bitgpu.NoGPUError as error:
        if os.environ.get("BITGPU_REQUIRE_GPU"):
            raise
        raise unittest.SkipTest(str(error))


class GPU(unittest.TestCase):
    def test_it_computes_what_the_cpu_does(self):
        for name in NAMES:
            with bitgpu.load(MODELS / name, device="cuda") as gpu, bitgpu.load(MODELS / name, device="cpu") as cpu:
                self.assertEqual((gpu.backend, cpu.backend), ("gpu", "cpu"))
                for got, want in zip(gpu.forward_all([1, 2, 3, 250]), cpu.forward_all([1, 2, 3, 250])):
                    for a, b in zip(got, want):
                        self.assertAlmostEqual(a, b, delta=2e-3)
                gpu.reset(), cpu.reset()
                self.assertEqual(gpu.generate("hello", 20, 0), cpu.generate("hello", 20, 0))

    def test_software_is_said(self):
        """Once, in words of Python, and at the line that asked for it."""
        for ask in (lambda: bitgpu.load(TIED, device="gpu", adapter=0), lambda: bitgpu.BitLlama(None, TIED, "gpu", 0), lambda: bitgpu.demo("gpu", 0)):
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                with ask() as model:
                    software = "software" in model.device
            self.assertEqual([(w.category, w.filename) for w in found], [(RuntimeWarning, __file__)] * software)
            for w in found:
                self.assertNotIn("--", str(w.message))

    def test_closing_a_model_that_streams(self):
        with bitgpu.load(TIED, device="gpu") as other:
            for _ in range(3):
                model = bitgpu.load(TIED, device="gpu")
                stream, begun = model.stream("hello", 2**31 - 1, 0), threading.Event()

                def work():
                    try:
                        for _ in stream:
                            begun.set()
                    except bitgpu.ClosedError:
                        closed.append(True)

                closed = []
                thread = threading.Thread(target=work, daemon=True)
                thread.start()
                self.assertTrue(begun.wait(PATIENCE))
                model.close()
                thread.join(PATIENCE)
                self.assertEqual(closed, [True])
                other.forward(1)

    def test_the_interpreter_ends_with_streams_open(self):
        outcome = run(
            "import sys, threading, warnings, bitgpu\n"
            "warnings.simplefilter('ignore')\n"  # that the adapter is software is another test's
            "models = [bitgpu.load(sys.argv[1], device='gpu') for _ in range(2)]\n"
            "streams = [model.session().stream('hello', 2**31-1, 0) for model in models for _ in range(2)]\n"
            "for stream in streams: next(stream)\n"
            "def work():\n"
            "    try:\n"
            "        for _ in streams[0]: pass\n"
            "    except bitgpu.ClosedError: pass\n"
            "threading.Thread(target=work, daemon=True).start()\n"
            "print('done')",
            TIED,
        )
        self.assertEqual((outcome.returncode, outcome.stdout, outcome.stderr), (0, "done\n", ""), outcome)


if __name__ == "__main__":
    unittest.main()
