// Gives node the WebGPU of Dawn, as a browser has it: node --import ./webgpu.mjs PROGRAM.
// DAWN is where npm has put its package; the environment is cut to what a test may look at, since Go's is bounded.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const { create, globals } = await import(pathToFileURL(createRequire(process.env.DAWN + "/").resolve("webgpu")));
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) }, configurable: true });
process.env.NODEVICE_SELECT ??= "1"; // or a layer of Mesa looks for a desktop and says that there is none
for (const name of Object.keys(process.env)) {
  if (!/^(BITGPU_.*|VK_.*|HOME|NODEVICE_SELECT|PATH|PWD|TMPDIR)$/.test(name)) delete process.env[name];
}
