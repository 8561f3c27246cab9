// The recurrent unit as in textbooks, with the numbers of one step.

function draw(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const signOf = (value) => (value === null || Math.abs(value) < 0.005 ? "" : value > 0 ? "up" : "down");

// An activation, as short as a box needs it.
const short = (name) => (name === "sigmoid" ? "σ" : name.length > 8 ? `${name.slice(0, 7)}…` : name);

// What both drawings are made with.
function brush() {
  const svg = byId("drawing"), title = byId("drawing-title");
  svg.replaceChildren(title);
  const put = (name, attributes, text) => svg.append(draw(name, attributes, text));
  // On a phone the drawing shrinks: larger letters and one digit fewer.
  const small = narrow(), places = small ? 2 : 3;
  const words = (x, y, text, size = 15, kind = "ink", anchor = "middle", weight = 400) =>
    put("text", { x, y, "font-size": small && size < 16 ? size + 4 : size, class: kind, "text-anchor": anchor, "font-weight": weight }, text);
  // A wire's thickness is the magnitude of its value, its colour the sign.
  const wire = (path, value) => put("path", {
    d: path, class: `wire ${signOf(value)}`, "stroke-linejoin": "round",
    "stroke-width": 1.5 + 6 * Math.min(1, Math.abs(value ?? 0)),
  });
  const bus = (path) => put("path", { d: path, class: "wire", "stroke-width": 1.5, "stroke-linejoin": "round" });
  const pill = (x, y, value, width = 64) => {
    put("rect", { x: x - width / 2, y: y - 13, width, height: 26, rx: 13, class: `pill ${signOf(value)}` });
    words(x, y + 5.5, digits(value, places), 15, "ink", "middle", 600);
  };
  const operation = (x, y, sign) => {
    put("circle", { cx: x, cy: y, r: 16, class: "op" });
    words(x, y + 7, sign, 22);
  };
  // A gate is a glass, filled as far as it is open; what is signed fills from its middle, up or down.
  const glass = (name, x, squash, value, shownAs = name) => {
    const wide = squash.length > 1, half = wide ? 37 : 31;
    put("rect", { x: x - half, y: 270, width: 2 * half, height: 52, rx: 8, class: "gate-box" });
    const signed = SIGNED.has(name), size = 49 * Math.min(1, Math.abs(value)) * (signed ? 0.5 : 1);
    const y = !signed ? 320.5 - size : value > 0 ? 296 - size : 296;
    put("rect", { x: x - half + 1.5, y, width: 2 * half - 3, height: size, rx: 4, class: "gate-fill" });
    words(x - (wide ? 22 : 9), 303, shownAs, 22, "gate-ink", "middle", 700);
    words(x + (wide ? 11 : 13), 302, squash, wide ? 17 - squash.length : 17, "gate-ink");
    pill(x, 244, value);
  };
  const side = (y, first, second, value, left) => {
    const x = left ? 50 : 650;
    pill(x, y, value, 72);
    put("text", { x, y: y - 22, "font-size": 17, class: "ink", "text-anchor": "middle", "font-weight": 700 }, first);
    words(x, y + 32, second, 12.5, "quiet");
  };
  return { put, words, wire, bus, pill, operation, glass, side };
}

function drawUnit(now, step) {
  const tools = brush();
  (layerNow().kind === "GRU" ? drawGRU : drawLSTM)(now, tools);
  drawInput(tools.put, tools.words, step);
  byId("drawing-title").textContent = `Unit ${view.unit} at step ${step}: ` +
    [...("c" in now ? ["c"] : []), "h"].map((name) => `${name} ${digits(now[name])}`).join(", ");
}

function drawGRU(now, { put, words, wire, bus, pill, operation, glass, side }) {
  const { activation, recurrent_activation: squash, backwards } = layerNow();
  put("rect", { x: 110, y: 22, width: 494, height: 376, rx: 24, class: "body" });
  bus("M 60 358 H 500"); bus("M 160 440 V 358");
  for (const x of [200, 380, 500]) bus(`M ${x} 358 V 322`);
  // The state runs along the top; z divides between it and the candidate, whose view of it r narrows.
  wire("M 60 80 H 184", now.hBefore); wire("M 216 80 H 364", now.kept); wire("M 396 80 H 640", now.h);
  wire("M 200 270 V 96", now.z); wire("M 200 206 H 300 V 170 H 364", 1 - now.z);
  wire("M 380 270 V 186", now.candidate); wire("M 380 154 V 96", now.written);
  wire("M 469 296 H 417", now.r);
  operation(200, 80, "×"); operation(380, 80, "+"); operation(380, 170, "×");
  glass("z", 200, short(squash), now.z); glass("r", 500, short(squash), now.r);
  glass("candidate", 380, short(activation), now.candidate, "c̃");
  const before = backwards ? "ₜ₊₁" : "ₜ₋₁";
  side(80, `h${before}`, "memory before", now.hBefore, true); side(358, `h${before}`, "said before", now.hBefore, true);
  side(80, "hₜ", "memory now", now.h, false);
  pill(282, 80, now.kept); pill(380, 125, now.written); pill(300, 190, 1 - now.z);
  words(200, 52, "keep", 13, "quiet"); words(282, 56, "z · h", 13, "quiet"); words(380, 52, "add", 13, "quiet");
  words(408, 162, "(1 − z) · candidate", 13, "quiet", "start"); words(300, 220, "1 − z", 13, "quiet");
  for (const [x, meaning] of [[200, "update"], [380, "candidate"], [500, "reset"]]) words(x, 375, meaning, 13, "quiet");
}

function drawLSTM(now, { put, words, wire, bus, pill, operation, glass, side }) {
  const { activation, recurrent_activation: squash } = layerNow();
  put("rect", { x: 110, y: 22, width: 494, height: 376, rx: 24, class: "body" });

  // x_t and h_{t-1} meet, and go to all four gates.
  bus("M 60 358 H 500"); bus("M 160 440 V 358");
  for (const x of [200, 300, 380, 500]) bus(`M ${x} 358 V 322`);

  // The cell state runs along the top.
  wire("M 60 80 H 184", now.cBefore); wire("M 216 80 H 364", now.kept);
  wire("M 396 80 H 640", now.c);
  wire("M 200 270 V 96", now.f);
  wire("M 300 270 V 170 H 364", now.i); wire("M 380 270 V 186", now.g);
  wire("M 380 154 V 96", now.written);
  wire("M 560 80 V 126", now.c); wire("M 560 158 V 214", now.squashed);
  wire("M 500 270 V 230 H 544", now.o);
  wire("M 560 246 V 330 H 640", now.h);

  operation(200, 80, "×"); operation(380, 80, "+"); operation(380, 170, "×"); operation(560, 230, "×");
  put("rect", { x: 530, y: 126, width: 60, height: 32, rx: 16, class: "op" });
  words(560, 147, short(activation), activation.length > 4 ? 12 : 15);

  for (const [name, x, function_] of [["f", 200, squash], ["i", 300, squash], ["g", 380, activation], ["o", 500, squash]])
    glass(name, x, short(function_), now[name]);
  for (const [name, x] of [["f", 200], ["i", 300], ["g", 380], ["o", 500]])
    if (preactivation(name, now[name]) !== null) words(x + 6, 344, `z ${preactivation(name, now[name])}`, 12, "quiet", "start");

  const before = layerNow().backwards ? "ₜ₊₁" : "ₜ₋₁";
  side(80, `c${before}`, "memory before", now.cBefore, true);
  side(358, `h${before}`, "said before", now.hBefore, true);
  if (layerNow().shape[2] > 1) words(50, 407, `with ${layerNow().shape[2] - 1} others`, 12.5, "quiet");
  side(80, "cₜ", "memory now", now.c, false);
  side(330, "hₜ", "says now", now.h, false);
  pill(282, 80, now.kept); pill(380, 125, now.written); pill(560, 187, now.squashed);
  words(200, 52, "keep", 13, "quiet"); words(282, 56, "f · c", 13, "quiet");
  words(380, 52, "add", 13, "quiet"); words(408, 162, "i · g", 13, "quiet", "start");
  words(344, 200, "write", 13, "quiet"); words(610, 236, "show", 13, "quiet", "start");
  for (const [x, meaning] of [[200, "forget"], [300, "input"], [380, "modulation"], [500, "output"]])
    words(x, 343 + 32, meaning, 13, "quiet");
}

// The unit's input: a token, or a small bar per channel.
function drawInput(put, words, step) {
  const reads = layerNow().readsInput, token = reads ? tokenAt(step) : null, values = reads ? inputAt(step) : null;
  words(114, 446, "xₜ", 17, "ink", "middle", 700);
  if (token !== null) {
    const text = shown(token).slice(0, 18), width = Math.max(54, 11.5 * text.length + 24);
    put("rect", { x: 160 - 27, y: 424, width, height: 38, rx: 9, class: "pill" });
    put("text", {
      x: 133 + width / 2, y: 450, "font-size": 19, class: "ink", "text-anchor": "middle", "font-family": "monospace",
    }, text);
  } else if (values) {
    const width = 24 + values.length * 14, spans = spansOfChannels();
    put("rect", { x: 133, y: 420, width, height: 52, rx: 9, class: "pill" });
    values.forEach((value, at) => {
      const size = 20 * Math.min(1, Math.abs(value) / Math.max(1e-9, ...spans[at].map(Math.abs)));
      put("rect", {
        x: 146 + 14 * at, y: value > 0 ? 446 - size : 446, width: 10, height: Math.max(1, size),
        class: `bar ${value > 0 ? "up" : "down"}`,
      });
    });
    words(145 + width, 451, saidInput(values), 13, "quiet", "start");
  } else {
    const at = tokenAt(step);
    words(172, 446, `what the layer below says${at === null ? "" : `, at ${shown(at).slice(0, 18)}`}`, 13, "quiet", "start");
  }
}

// The values of a few channels with their names, of many their number.
function saidInput(values) {
  if (values.length > 4) return `${values.length < content.channels ? `${values.length} of ` : ""}${content.channels} channels`;
  const named = content.names && !narrow();
  return [...values].map((one, channel) => (named ? `${nameOfChannel(channel)} ${digits(one)}` : digits(one))).join("  ");
}

function sayStep(now) {
  const percent = (value) => `${Math.round(100 * value)} %`;
  const factor = (value) => (digits(value).startsWith("−") ? `(${digits(value)})` : digits(value));
  if (layerNow().kind === "GRU") {
    byId("said").textContent =
      `It keeps ${percent(now.z)} of its memory of ${digits(now.hBefore)}, and takes ${percent(1 - now.z)} of the candidate ` +
      `${digits(now.candidate)}, which saw ${percent(now.r)} of what the layer had said: now ${digits(now.h)}.`;
    sayEquations([
      `h = z · h′ + (1 − z) · candidate = ${digits(now.z)} · ${factor(now.hBefore)} + ${digits(1 - now.z)} · ${factor(now.candidate)} = ${digits(now.h)}`,
    ]);
    return;
  }
  const direction = Math.abs(now.written) < 0.005 ? "writes nothing" : `writes ${now.written > 0 ? "+" : ""}${digits(now.written)}`;
  byId("said").textContent =
    `It keeps ${percent(now.f)} of its memory of ${digits(now.cBefore)}, admits ${percent(now.i)} of the input modulation ` +
    `${digits(now.g)} and so ${direction}. Of its new memory ${digits(now.c)} it shows ${percent(now.o)}.`;
  const before = layerNow().backwards ? "ₜ₊₁" : "ₜ₋₁";
  sayEquations([
    `z = xₜ W + h${before} R + b, from all ${layerNow().shape[2]} of h${before}`,
    ["f", "i", "g", "o"].map((name) => sayGate(name, now[name])).join(",\u2003"),
    `c = f · c′ + i · g = ${digits(now.f)} · ${factor(now.cBefore)} + ${digits(now.i)} · ${factor(now.g)} = ${digits(now.c)}`,
    `h = o · ${layerNow().activation}(c) = ${digits(now.o)} · ${factor(now.squashed)} = ${digits(now.h)}`,
  ]);
}

// A gate as the activation of its z, on one line.
function sayGate(name, value) {
  const z = preactivation(name, value), squash = short(name === "g" ? layerNow().activation : layerNow().recurrent_activation);
  const set = layerNow().steered.includes(name) ? " (acted on)" : "";
  return `${name} = ${z === null ? "" : `${squash}(${z}) = `}${digits(value)}${set}`.replace(/ /g, "\u00a0");
}

function sayEquations(lines) {
  byId("equations").replaceChildren(...lines.map((line) => {
    const span = document.createElement("span");
    span.textContent = line;
    return span;
  }));
}
