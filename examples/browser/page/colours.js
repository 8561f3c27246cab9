// The package's two scales: both grow lighter with the value, so they keep their meaning in grey and for colour-blind
// readers. i, f and o run from 0 to 1; g, c and h around 0.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
const AROUND_ZERO = ["#0b1d51", "#3b5c9e", "#a3a3a3", "#f2b169", "#fff1d6"];
const parts = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
const SCALES = { positive: VIRIDIS.map(parts), signed: AROUND_ZERO.map(parts) };

export const GATES = ["f", "i", "g", "o", "c", "h"];
export const isSigned = (gate) => "gch".includes(gate);

export const MEANINGS = {
  f: "forget gate: how much of the memory is kept",
  i: "input gate: how much of the new value is let in",
  g: "input modulation: the new value",
  o: "output gate: how much of the memory is shown",
  c: "cell state: the memory itself",
  h: "hidden state: what the unit says",
};

// Red, green, blue of a value; `limit` is what the end of a signed scale stands for.
export function rgb(gate, value, limit = 1) {
  const scale = isSigned(gate) ? SCALES.signed : SCALES.positive;
  const share = isSigned(gate) ? (value / limit + 1) / 2 : value;
  const at = Math.max(0, Math.min(1, share)) * (scale.length - 1);
  const low = Math.min(Math.floor(at), scale.length - 2);
  return [0, 1, 2].map((k) => Math.round(scale[low][k] + (at - low) * (scale[low + 1][k] - scale[low][k])));
}

export const css = (gate, value, limit) => `rgb(${rgb(gate, value, limit)})`;

// Three digits that matter: a place less from 10 on.
export const digits = (value, places = 2) =>
  (Math.abs(value) < 0.5 * 10 ** -places ? 0 : value).toFixed(Math.abs(value) < 9.995 ? places : places - 1).replace("-", "−");
