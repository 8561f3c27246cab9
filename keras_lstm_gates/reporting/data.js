// The page's data: unpacking, and the queries of the views.

const byId = (id) => document.getElementById(id);
const content = JSON.parse(byId("content").textContent);
const SIGNED = new Set(["g", "c", "h", "candidate"]);

async function unpacked(id) {
  const element = byId(id);
  const letters = atob(element.textContent), bytes = new Uint8Array(letters.length);
  // A plain loop: `Uint8Array.from` takes seconds for a page's data.
  for (let place = 0; place < letters.length; place++) bytes[place] = letters.charCodeAt(place);
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// IEEE half precision to number, for every pattern of 16 bits.
function halves() {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, fraction = bits & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24
      : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15);
    table[bits] = bits & 32768 ? -size : size;
  }
  return table;
}

// Bytes are stored plane by plane: all first bytes of the numbers, then all second ones. A block is read a row at a time,
// on demand; a row is a sample of a gate.
function reader(buffer) {
  const bytes = new Uint8Array(buffer), width = content.exact ? 4 : 2, table = content.exact ? null : halves();
  let next = 0;
  return (rows, size) => {
    const start = next, count = rows * size, known = [];
    next += count * width;
    return (row) => {
      if (known[row]) return known[row];
      const joined = new Uint8Array(size * width);
      for (let plane = 0; plane < width; plane++)
        for (let place = 0, from = start + plane * count + row * size; place < size; place++) joined[place * width + plane] = bytes[from + place];
      if (content.exact) return (known[row] = new Float32Array(joined.buffer));
      const patterns = new Uint16Array(joined.buffer), numbers = new Float32Array(size);
      for (let place = 0; place < size; place++) numbers[place] = table[patterns[place]];
      return (known[row] = numbers);
    };
  };
}

function fillLayers(buffer) {
  const read = reader(buffer);
  for (const layer of content.layers) {
    const values = (layer.values = {}), [samples, steps, units] = layer.shape, derived = [];
    for (const name of layer.kept) values[name] = read(samples, steps * units);
    // Only of an LSTM with tanh.
    values.h ??= (sample) => (derived[sample] ??= values.o(sample).map((o, at) => o * Math.tanh(values.c(sample)[at])));
  }
  if (content.input) content.inputValues = read(content.input[0], content.input[1] * content.input[2]);
}

const view = { layer: 0, sample: 0, unit: 0, step: 0, gate: "f" };
const layerNow = () => content.layers[view.layer];
const gates = () => layerNow().gates;
const realSteps = () => layerNow().real[view.sample];

function valueAt(name, step, unit = view.unit) {
  const { shape, values } = layerNow();
  return values[name](view.sample)[step * shape[2] + unit];
}

// The real step that the layer read before this one, or null.
function stepBefore(step) {
  const steps = realSteps(), at = steps.indexOf(step), before = layerNow().backwards ? at + 1 : at - 1;
  return before < 0 || before >= steps.length ? null : steps[before];
}

// All values of one step of one unit. Before the first step, the memory follows from the equation.
function meeting(step) {
  const now = Object.fromEntries(gates().map((name) => [name, valueAt(name, step)]));
  const before = stepBefore(step);
  if (layerNow().kind === "GRU") {
    now.written = (1 - now.z) * now.candidate;
    const implied = now.z > 0.01 ? (now.h - now.written) / now.z : 0;
    now.hBefore = before !== null ? valueAt("h", before) : Math.abs(implied) < 0.005 ? 0 : implied;
    now.kept = now.z * now.hBefore;
    return now;
  }
  const implied = now.f > 0.01 ? (now.c - now.i * now.g) / now.f : 0;
  const first = Math.abs(implied) < 0.005;
  now.cBefore = before === null ? (first ? 0 : implied) : valueAt("c", before);
  now.hBefore = before === null ? (first ? 0 : null) : valueAt("h", before);
  now.kept = now.f * now.cBefore;
  now.written = now.i * now.g;
  // Of another activation than tanh the page knows what o shows of it.
  now.squashed = layerNow().activation === "tanh" ? Math.tanh(now.c) : Math.abs(now.o) > 0.01 ? now.h / now.o : null;
  return now;
}

function tokenAt(step) {
  const tokens = content.tokens?.[view.sample];
  return tokens && step < tokens.length ? tokens[step] : null;
}

function inputAt(step) {
  if (!content.inputValues || view.sample >= content.input[0] || step >= content.input[1]) return null;
  const width = content.input[2];
  return content.inputValues(view.sample).subarray(step * width, (step + 1) * width);
}

// The least and the greatest value of each channel over the sample's real steps.
function spansOfChannels() {
  const rows = realSteps().map(inputAt).filter((row) => row !== null);
  return [...(rows[0] ?? [])].map((_, channel) => {
    const values = rows.map((row) => row[channel]);
    return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
  });
}

const nameOfChannel = (channel) => content.names?.[channel] ?? `channel ${channel}`;

// Whether the tokens are words, which need a gap between them, rather than characters.
const ofWords = () => content.ids || Boolean(content.tokens?.[view.sample]?.some((token) => token.length > 2));
const shown = (token) => token.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/^ $/, "␣");
// Plotly interprets some HTML in its labels: the data must stay text.
const plain = (text) => shown(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const digits = (value, places = 3) => value === null ? "?" : (Math.abs(value) < 0.5 * 10 ** -places ? 0 : value).toFixed(places).replace("-", "−");
const steps = (value) => value === null ? "∞" : value >= 100 ? Math.round(value).toString() : value.toPrecision(3);

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"];
// Lighter with the value, so it also works in grey and for colour-blind readers.
const AROUND_ZERO = ["#0b1d51", "#3b5c9e", "#a3a3a3", "#f2b169", "#fff1d6"];
const scaleOf = (name) => (SIGNED.has(name) ? AROUND_ZERO : VIRIDIS);
const plotlyScale = (name) => scaleOf(name).map((colour, at, all) => [at / (all.length - 1), colour]);

function limitOf(name) {
  if (!SIGNED.has(name)) return 1;
  let most = 1;
  for (const step of realSteps())
    for (let unit = 0; unit < layerNow().shape[2]; unit++) most = Math.max(most, Math.abs(valueAt(name, step, unit)));
  return most;
}

function colourOf(name, value, limit) {
  const scale = scaleOf(name), share = SIGNED.has(name) ? (value / limit + 1) / 2 : value;
  const at = Math.max(0, Math.min(1, share)) * (scale.length - 1), low = Math.min(Math.floor(at), scale.length - 2);
  const part = (colour, place) => parseInt(colour.slice(1 + 2 * place, 3 + 2 * place), 16);
  const mixed = [0, 1, 2].map((k) => Math.round(part(scale[low], k) + (at - low) * (part(scale[low + 1], k) - part(scale[low], k))));
  const light = 0.2126 * mixed[0] + 0.7152 * mixed[1] + 0.0722 * mixed[2];
  return { background: `rgb(${mixed})`, ink: light > 120 ? "#000" : "#fff" };
}
