// The exported signature `steer_step`, run by LiteRT.js: one step in, outputs and gates out; the states stay here, and a
// scale and a shift of every gate: value = scale * value + shift.

import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

const NAME = "steer_step";

export class Stream {
  static async load(file, wasm) {
    await loadLiteRt(wasm);
    const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
    const model = await loadAndCompile(bytes, { accelerator: "wasm" });
    const step = model.signatures[NAME];
    if (!step) throw new Error(`expected a file with the signature ${NAME}; received ${Object.keys(model.signatures)}`);
    return new Stream(step, bytes.length);
  }

  constructor(step, size) {
    this.step = step;
    this.size = size;
    this.inputs = Object.fromEntries(step.getInputDetails().map((one) => [one.name, [...one.shape]]));
    this.units = this.inputs.state_h.at(-1);
    this.reset();
    this.leave();
  }

  // A new sequence: both states are zeros again.
  reset() {
    this.h = new Float32Array(this.units);
    this.c = new Float32Array(this.units);
  }

  // Nothing acts on any gate: each scale is 1, each shift 0.
  leave() {
    const names = Object.keys(this.inputs).filter((name) => /\/(scale|shift)$/.test(name));
    this.numbers = Object.fromEntries(
      names.map((name) => [name, new Float32Array(this.units).fill(name.endsWith("/scale") ? 1 : 0)]));
  }

  // From the next step on, of the units `first` to `last`: gate = scale * gate + shift.
  act(gate, scale, shift, first, last) {
    for (const [kind, value] of Object.entries({ scale, shift }))
      this.numbersOf(gate, kind).fill(value, first, last + 1);
  }

  // The scales or the shifts of a gate, one a unit.
  numbersOf(gate, kind) {
    return this.numbers[Object.keys(this.numbers).find((name) => name.endsWith(`/${gate}/${kind}`))];
  }

  // x: numbers of one step. Returns {output or gate name: Float32Array}.
  async push(x) {
    const values = { x: Float32Array.from(x), state_h: this.h, state_c: this.c, ...this.numbers };
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
