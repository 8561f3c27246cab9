// The exported signature `step`, run by LiteRT.js: one step in, outputs and gates out; the states stay here.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

export class Stream {
  static async load(file, wasm) {
    await loadLiteRt(wasm);
    const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
    const model = await loadAndCompile(bytes, { accelerator: "wasm" });
    const step = model.signatures.step;
    if (!step) throw new Error(`expected a file with the signature step; received ${Object.keys(model.signatures)}`);
    return new Stream(step, bytes.length);
  }

  constructor(step, size) {
    this.step = step;
    this.size = size;
    this.inputs = Object.fromEntries(step.getInputDetails().map((one) => [one.name, [...one.shape]]));
    this.units = this.inputs.state_h.at(-1);
    this.reset();
  }

  // A new sequence: both states are zeros again.
  reset() {
    this.h = new Float32Array(this.units);
    this.c = new Float32Array(this.units);
  }

  // x: numbers of one step. Returns {output or gate name: Float32Array}.
  async push(x) {
    const values = { x: Float32Array.from(x), state_h: this.h, state_c: this.c };
    const tensors = Object.fromEntries(
      Object.entries(values).map(([name, numbers]) => [name, new Tensor(numbers, this.inputs[name])]));
    const results = await this.step.run(tensors);
    const outputs = {};
    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = Float32Array.from(await tensor.data());
      tensor.delete();
    }
    for (const tensor of Object.values(tensors)) tensor.delete();
    this.h = outputs.h;
    this.c = outputs.c;
    return outputs;
  }
}
