// SPDX-License-Identifier: Apache-2.0
// A real embedding host: loads a GGUF model with node-llama-cpp and generates tokens.
//   node npm_generate.mjs ROOT MODEL [N_TOKENS [THREADS [PROMPT_TOKENS]]]
// ROOT is what get-npm-llama --node printed. Prints one JSON object with the counts.
import {createRequire} from "node:module";
import path from "node:path";
import {pathToFileURL} from "node:url";

const [root, modelPath, tokens = "16", threads = "2", prompt = "8"] = process.argv.slice(2);
if (!modelPath) {
	console.error("usage: npm_generate.mjs ROOT MODEL [N_TOKENS [THREADS [PROMPT_TOKENS]]]");
	process.exit(2);
}

const entry = path.join(root, "node_modules", "node-llama-cpp", "dist", "index.js");
const {getLlama} = await import(pathToFileURL(entry).href);
const llama = await getLlama({
	gpu: false, build: "never", usePrebuiltBinaries: true, skipDownload: true,
	progressLogs: false, logLevel: "error", maxThreads: Number(threads)
});
const model = await llama.loadModel({modelPath, useMmap: true, gpuLayers: 0});
const context = await model.createContext({
	contextSize: 512, batchSize: 512, threads: Number(threads), flashAttention: false
});
const sequence = context.getSequence();

// Fixed tokens in, the model's own choice after that; a control token does not end it.
const input = Array.from({length: Number(prompt)}, (_, i) => 300 + i % 100);
let generated = 0;
for await (const token of sequence.evaluate(input, {temperature: 0, yieldEogToken: true})) {
	if (++generated >= Number(tokens))
		break;
}
const version = createRequire(import.meta.url)(path.join(root, "node_modules", "node-llama-cpp", "package.json")).version;
console.log(JSON.stringify({version, prompt: input.length, generated, pid: process.pid}));
await context.dispose();
await model.dispose();
