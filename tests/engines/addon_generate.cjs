// SPDX-License-Identifier: Apache-2.0
// Hosts of 2023: drives the add-on of node-llama-cpp 2.x, one file with all of llama.cpp linked in.
//   node addon_generate.cjs ADDON MODEL [N_TOKENS [THREADS [PROMPT_TOKENS]]]
// ADDON may be several, separated by commas: each has an engine of its own in this process.
// Prints one JSON object with the counts for each.
"use strict";
const [addon, modelPath, tokens = "16", threads = "2", prompt = "8"] = process.argv.slice(2);
if (!modelPath) {
	console.error("usage: addon_generate.cjs ADDON MODEL [N_TOKENS [THREADS [PROMPT_TOKENS]]]");
	process.exit(2);
}

async function run({LLAMAModel, LLAMAContext}) {
	const model = new LLAMAModel(modelPath, {gpuLayers: 0, contextSize: 512, threads: Number(threads)});
	const context = new LLAMAContext(model, {contextSize: 512, batchSize: 512, threads: Number(threads)});
	// Fixed tokens in, the model's own choice after that.
	let input = Uint32Array.from({length: Number(prompt)}, (_, i) => 300 + i % 100);
	let calls = 0;
	for (; calls <= Number(tokens); calls++)
		input = Uint32Array.from([await context.eval(input, {temperature: 0})]);
	console.log(JSON.stringify({calls, prompt: Number(prompt), last: input[0], pid: process.pid}));
}

async function main() {
	for (const engine of addon.split(",").map(require))
		await run(engine);
}
main();
