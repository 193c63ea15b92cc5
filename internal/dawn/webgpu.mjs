// Gives node the WebGPU of Dawn, as a browser has it: node --import ./webgpu.mjs PROGRAM.
// It is npm's package, in bin/dawn or where DAWN says, over the software driver of Debian's chromium, or what
// VK_ICD_FILENAMES names. The environment is cut to what a test may look at, since Go's is bounded.
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

const place = process.env.DAWN ?? fileURLToPath(new URL("../../bin/dawn", import.meta.url));
process.env.VK_ICD_FILENAMES ??= "/usr/lib/chromium/vk_swiftshader_icd.json";
process.env.NODEVICE_SELECT ??= "1"; // or a layer of Mesa looks for a desktop and says that there is none
for (const name of Object.keys(process.env)) {
  if (!/^(BITGPU_.*|VK_.*|HOME|NODEVICE_SELECT|PATH|PWD|TMPDIR)$/.test(name)) delete process.env[name];
}
const { create, globals } = await import(pathToFileURL(createRequire(place + "/").resolve("webgpu")));
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, "navigator", { value: { gpu: create([]) }, configurable: true, writable: true });
