// The controls, the plots and the table.

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const still = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = () => innerWidth < 600;
let playing = null, order = { column: "half_life", down: true };

function fill(select, options) {
  select.replaceChildren(...options.map(([value, text]) => {
    const option = document.createElement("option");
    option.value = value; option.textContent = text;
    return option;
  }));
}

// Change the selection, and redraw only what depends on it.
function show(change) {
  const before = { ...view };
  Object.assign(view, change);
  const layer = layerNow();
  if (!layer.gates.includes(view.gate)) view.gate = layer.memory;
  view.sample = Math.max(0, Math.min(view.sample, layer.shape[0] - 1));
  view.unit = Math.max(0, Math.min(view.unit || 0, layer.shape[2] - 1));
  const real = realSteps();
  if (!real.includes(view.step))
    view.step = real.reduce((best, one) => (Math.abs(one - view.step) < Math.abs(best - view.step) ? one : best), real[0] ?? 0);
  const all = change.all || before.layer !== view.layer;
  const sample = all || before.sample !== view.sample, unit = sample || before.unit !== view.unit;
  const gate = sample || before.gate !== view.gate, step = unit || before.step !== view.step;
  if (all) { fillGates(); fillSamples(); drawCards(); drawTable(); drawPlot("saturation"); }
  byId("layer").value = view.layer; byId("sample").value = view.sample; byId("gate").value = view.gate;
  byId("unit-number").value = view.unit; byId("unit-number").max = layer.shape[2] - 1;
  byId("step-number").value = view.step; byId("step-number").max = layer.shape[1] - 1;
  if (unit || gate) drawText();
  if (sample || gate) drawPlot("map");
  if (unit) drawPlot("curves");
  if (step) drawStep();
  markRow();
  tellAddress();
}

function drawStep() {
  const real = realSteps(), at = real.indexOf(view.step), slider = byId("slider");
  slider.max = real.length - 1; slider.value = at;
  slider.setAttribute("aria-valuetext", `step ${view.step}`);
  const when = content.when?.[view.sample]?.[view.step];
  byId("place").textContent = `step ${view.step}${when ? `, ${when},` : ""} of ${real[0] ?? 0} to ${real.at(-1) ?? 0}, unit ${view.unit}`;
  if (!real.length) { byId("said").textContent = "This sample has no real step: all is masked."; return; }
  asItWas();
  byId("text").querySelector(".now")?.classList.remove("now");
  const token = byId("text").querySelector(`[data-step="${view.step}"]`);
  if (token) {
    token.classList.add("now");
    const box = byId("text");
    if (token.offsetTop - box.offsetTop < box.scrollTop || token.offsetTop - box.offsetTop > box.scrollTop + box.clientHeight - 30)
      box.scrollTop = token.offsetTop - box.offsetTop - 40;
  }
  markStep("curves", "x"); markStep("map", "x");
}

function drawText() {
  const limit = limitOf(view.gate);
  byId("text").className = ofWords() ? "words" : "";
  byId("text").replaceChildren(...(content.tokens ? realSteps() : []).filter((step) => tokenAt(step) !== null).map((step) => {
    const token = document.createElement("button"), value = valueAt(view.gate, step), colour = colourOf(view.gate, value, limit);
    token.textContent = shown(tokenAt(step));
    token.tabIndex = -1;
    token.dataset.step = step;
    token.title = `step ${step}: ${view.gate} = ${digits(value)}`;
    token.style.background = colour.background; token.style.color = colour.ink;
    token.onclick = () => show({ step });
    if (step === view.step) token.className = "now";
    return token;
  }));
}

function layout(extra) {
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true };
  const styled = Object.fromEntries(Object.entries(extra).map(([key, value]) => [key, /axis/.test(key) ? { ...axis, ...value } : value]));
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 46, r: 10, t: 24, b: 40 }, showlegend: false, dragmode: narrow() ? false : "zoom", ...styled,
  };
}
const OPTIONS = { responsive: true, displayModeBar: false, scrollZoom: false };

function plot(id, traces, extra, clicked) {
  const element = byId(id);
  Plotly.react(element, traces, layout(extra), OPTIONS);
  element.removeAllListeners?.("plotly_click");
  element.on("plotly_click", (event) => clicked(event.points[0]));
}

const stepLine = () => [{
  type: "line", xref: "x", yref: "paper", x0: view.step, x1: view.step, y0: 0, y1: 1, line: { color: css("--up"), width: 1.5, dash: "dot" },
}];

// A plot is drawn when it is near the window, with the library that the first of them loads.
const PLOTS = { curves: drawCurves, map: drawMap, saturation: drawSaturation };
const near = new Set(), stale = new Set();
let library = null;

function drawPlot(id) {
  stale.add(id);
  if (near.has(id)) drawStale();
}

async function drawStale() {
  library ??= unpacked("library").then((bytes) => {
    const script = document.createElement("script");
    script.id = content.stylesOfMaps;
    script.textContent = new TextDecoder().decode(bytes);
    document.head.append(script);
  });
  if (!window.Plotly) await library;
  for (const id of [...stale].filter((one) => near.has(one))) { stale.delete(id); PLOTS[id](); }
}

function watchPlots() {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) near[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    if ([...stale].some((id) => near.has(id))) drawStale();
  }, { rootMargin: "200px" });
  for (const id of Object.keys(PLOTS)) watcher.observe(byId(id));
  // On paper everything is in view.
  addEventListener("beforeprint", () => {
    watcher.disconnect();
    for (const id of Object.keys(PLOTS)) near.add(id);
    drawStale();
  });
}

function markStep(id) {
  if (!near.has(id)) stale.add(id);
  else if (!stale.has(id)) Plotly.relayout(id, { shapes: stepLine() });
}

function byMemory() {
  const units = layerNow().shape[2], lives = layerNow().statistics.units.half_life, all = [...Array(units).keys()];
  return byId("sorted").checked ? all.sort((a, b) => (lives[a] ?? Infinity) - (lives[b] ?? Infinity)) : all.reverse();
}

function drawMap() {
  const { shape } = layerNow(), real = new Set(realSteps()), units = byMemory(), limit = limitOf(view.gate);
  const times = [...Array(shape[1]).keys()];
  const z = units.map((unit) => times.map((step) => (real.has(step) ? valueAt(view.gate, step, unit) : null)));
  plot("map", [{
    type: "heatmap", z, x: times, colorscale: plotlyScale(view.gate), zmin: SIGNED.has(view.gate) ? -limit : 0, zmax: limit,
    customdata: units.map((unit) => times.map(() => unit)), hovertemplate: `step %{x}, unit %{customdata}<br>${view.gate} = %{z:.3f}<extra></extra>`,
    colorbar: { thickness: 10, outlinewidth: 0, title: { text: view.gate } },
  }], {
    xaxis: { title: { text: "step" }, showgrid: false },
    yaxis: { title: { text: byId("sorted").checked ? "unit, longest memory on top" : "unit" }, showticklabels: false, ticks: "", showgrid: false },
    shapes: stepLine(),
  }, (point) => show({ step: point.x, unit: units[point.pointIndex[0]] }));
}

function drawCurves() {
  const times = realSteps(), rows = [...gates()], traces = [], axes = {}, names = [];
  const input = inputAt(0), tokens = content.tokens?.[view.sample];
  const band = 1 / (rows.length + (input ? 1.4 : 0));
  rows.forEach((name, place) => {
    const axis = place ? `y${place + 1}` : "y", limit = limitOfUnit(name);
    axes[axis.replace("y", "yaxis")] = {
      domain: [1 - (place + 0.82 + (input ? 1.4 : 0)) * band, 1 - (place + (input ? 1.4 : 0)) * band], range: SIGNED.has(name) ? [-limit, limit] : [-0.03, 1.03],
      tickvals: SIGNED.has(name) ? [-rounded(limit), 0, rounded(limit)] : [0, 0.5, 1], fixedrange: true,
    };
    names.push([name, axes[axis.replace("y", "yaxis")].domain]);
    traces.push({
      x: times, y: times.map((step) => valueAt(name, step)), yaxis: axis, mode: "lines", line: { color: css(SIGNED.has(name) ? "--up" : "--accent"), width: 1.8 },
      fill: "tozeroy", fillcolor: (SIGNED.has(name) ? css("--up") : css("--accent")) + "22", connectgaps: false,
      text: times.map((step) => (tokens ? plain(tokens[step] ?? "") : "")),
      hovertemplate: `step %{x} %{text}<br>${name} = %{y:.3f}<extra></extra>`,
    });
  });
  if (input) {
    axes.yaxis7 = { domain: [1 - 1.2 * band, 1], nticks: 4, fixedrange: true };
    names.push(["x", axes.yaxis7.domain]);
    // Channels of very different sizes would hide one another on one scale.
    const spans = spansOfChannels(), sizes = spans.map(([low, high]) => high - low).filter((size) => size > 0);
    const own = Math.max(...sizes) > 10 * Math.min(...sizes);
    const placed = (value, [low, high]) => (own && value !== undefined ? (high > low ? (value - low) / (high - low) : 0.5) : value);
    if (own) Object.assign(axes.yaxis7, { tickvals: [0, 1], ticktext: ["least", "most"], range: [-0.05, 1.05] });
    for (let channel = 0; channel < input.length; channel++)
      traces.push({
        x: times, y: times.map((step) => placed(inputAt(step)?.[channel], spans[channel])), customdata: times.map((step) => inputAt(step)?.[channel]), yaxis: "y7", mode: "lines", opacity: 0.75,
        line: { width: 1.2, color: colourOfChannel(channel) }, hovertemplate: `${plain(nameOfChannel(channel))}: %{customdata:.4g}<extra></extra>`,
      });
  }
  drawLegend(input);
  const ticks = tokens && times.length <= (narrow() ? 30 : 100) ? { tickvals: times, ticktext: times.map((step) => plain(tokens[step] ?? "")), tickangle: ofWords() ? -90 : 0 } : {};
  plot("curves", traces, {
    ...axes, xaxis: { title: { text: ticks.ticktext ? "what is read" : "step" }, anchor: `y${rows.length}`, range: [times[0] - 0.5, times[times.length - 1] + 0.5], ...ticks }, shapes: stepLine(),
    annotations: names.map(([name, [low, high]]) => ({
      text: `<b>${name === "candidate" ? "cand." : name}</b>`, font: { size: 14 }, xref: "paper", x: 0, xanchor: "right", xshift: -34, yref: "paper", y: (low + high) / 2, yanchor: "middle", showarrow: false,
    })), margin: { l: 58, r: 10, t: 24, b: 40 },
  }, (point) => show({ step: point.x }));
}

// Of a few channels colours that are far apart, for colour-blind readers too (Okabe & Ito 2008).
const APART = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6D00", "#888888"];

function colourOfChannel(channel) {
  if (inputAt(0).length <= APART.length) return APART[channel];
  const colours = matchMedia("(prefers-color-scheme: dark)").matches ? VIRIDIS.slice(4) : VIRIDIS.slice(0, 8);
  return colours[Math.floor((channel * colours.length) / inputAt(0).length)];
}

function drawLegend(input) {
  byId("legend").replaceChildren(...[...(input ?? [])].map((_, channel) => {
    const entry = document.createElement("span"), line = document.createElement("i");
    line.style.background = colourOfChannel(channel);
    entry.append(line, nameOfChannel(channel));
    return entry;
  }));
}

// The largest of 1, 2, 5, 10, ... within a limit: a readable tick.
function rounded(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return power * [5, 2, 1].find((one) => one * power <= limit);
}

function limitOfUnit(name) {
  return Math.max(1, ...realSteps().map((step) => Math.abs(valueAt(name, step)))) * 1.05;
}

function drawSaturation() {
  const units = layerNow().statistics.units, traces = [], axes = {};
  layerNow().saturating.forEach((name, place, all) => {
    const end = place ? place + 1 : "", gap = narrow() ? 0.06 : 0.04, width = (1 - (all.length - 1) * gap) / all.length;
    axes[`xaxis${end}`] = { domain: [place * (width + gap), place * (width + gap) + width], range: [-0.05, 1.05], title: { text: `<b>${SIGNED.has(name) ? `|${name}|` : name}</b> &lt; 0.1` }, tickvals: [0, 1] };
    axes[`yaxis${end}`] = { range: [-0.05, 1.05], anchor: `x${end}`, tickvals: [0, 0.5, 1], title: place ? undefined : { text: "share of steps > 0.9".replace(">", "&gt;") }, showticklabels: !place };
    traces.push({
      x: units[`${name} < 0.1`], y: units[`${name} > 0.9`], xaxis: `x${end}`, yaxis: `y${end}`, mode: "markers",
      marker: { color: css("--accent"), size: 8, opacity: 0.65 }, hovertemplate: "unit %{pointNumber}<br>shut %{x:.0%}, open %{y:.0%}<extra></extra>",
    });
  });
  plot("saturation", traces, { ...axes, margin: { l: 50, r: 10, t: 10, b: 44 } }, (point) => show({ unit: point.pointNumber }));
}

function drawCards() {
  const { statistics, shape, total, path, memory, kind } = layerNow(), lives = statistics.units.half_life;
  const longest = lives.reduce((best, life, unit) => ((life ?? Infinity) > (lives[best] ?? Infinity) ? unit : best), 0);
  const mean = (name) => statistics.units[name].reduce((sum, one) => sum + one, 0) / shape[2];
  const cards = [
    [`${steps(statistics.effective_memory)} steps`, "the layer's memory: after so many, half is left on average"],
    [`unit ${longest}`, `remembers longest: half-life ${steps(lives[longest])} steps`],
    [`${Math.round(100 * mean(`${memory} mean`))} %`, "of the memory is kept from step to step, on average"],
    kind === "GRU" ? [`${Math.round(100 * mean("r mean"))} %`, "open stands the reset gate, on average"]
      : [`${Math.round(100 * mean("i mean"))} %`, "open stands the input gate, on average"],
    [`${statistics.always_open} / ${statistics.always_closed}`, `units of ${shape[2]} that never forget / that never remember`],
    [`${statistics.steps.toLocaleString("en")}`, `steps of ${total.toLocaleString("en")} sequences are counted here`],
  ];
  byId("cards").replaceChildren(...cards.map(([number, meaning]) => {
    const card = document.createElement("div"), big = document.createElement("b"), small = document.createElement("span");
    big.textContent = number; small.textContent = meaning;
    card.append(big, small);
    return card;
  }));
  byId("lead").textContent = `Layer ${path}: ${shape[2]} units, up to ${shape[1]} steps` +
    (layerNow().backwards ? ", read from the end" : "") + (total > shape[0] ? `; ${shape[0]} of ${total} sequences are shown.` : `; ${total} sequences.`);
}

function drawTable() {
  const units = layerNow().statistics.units, columns = Object.keys(units), table = byId("table");
  const value = (unit, column) => (column === "unit" ? unit : units[column][unit] ?? Infinity);
  const sorted = [...Array(layerNow().shape[2]).keys()].sort((a, b) => (value(a, order.column) - value(b, order.column) || b - a) * (order.down ? -1 : 1));
  const names = { half_life: "half-life", time_constant: "time constant" };
  const head = document.createElement("tr");
  for (const column of ["unit", ...columns]) {
    const cell = document.createElement("th"), button = document.createElement("button");
    button.textContent = (names[column] ?? column.replace(/^(g|candidate) (?=[<>])/, "|$1| ")) + (order.column === column ? (order.down ? " ▾" : " ▴") : "");
    cell.setAttribute("aria-sort", order.column === column ? (order.down ? "descending" : "ascending") : "none");
    button.onclick = () => {
      order = { column, down: order.column === column ? !order.down : column !== "unit" };
      drawTable(); markRow();
      [...byId("table").querySelectorAll("th button")][["unit", ...columns].indexOf(column)].focus();
    };
    cell.append(button); head.append(cell);
  }
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...sorted.map((unit) => {
    const row = document.createElement("tr");
    row.dataset.unit = unit;
    row.onclick = () => show({ unit });
    for (const column of ["unit", ...columns]) {
      const cell = document.createElement("td");
      cell.textContent = column === "unit" ? unit : names[column] ? steps(units[column][unit]) : digits(units[column][unit], 2);
      row.append(cell);
    }
    return row;
  }));
}

function markRow() {
  byId("table").querySelector(".now")?.classList.remove("now");
  byId("table").querySelector(`[data-unit="${view.unit}"]`)?.classList.add("now");
}

function fillSamples() {
  fill(byId("sample"), [...Array(layerNow().shape[0]).keys()].map((sample) => {
    const text = content.tokens?.[sample]?.slice(0, 14).join(ofWords() ? " " : "");
    return [sample, text ? `${sample}: ${text.replace(/\s/g, " ").slice(0, 22)}…` : `${sample}`];
  }));
}

function move(by) {
  const real = realSteps(), at = real.indexOf(view.step) + by;
  if (at >= 0 && at < real.length) show({ step: real[at] });
  return at > 0 && at < real.length - 1;
}

// Playing follows the layer: a backward direction starts at the end.
function play(on = playing === null) {
  clearInterval(playing); playing = null;
  if (on) {
    const real = realSteps(), back = layerNow().backwards, end = back ? 0 : real.length - 1;
    if (real.indexOf(view.step) === end) show({ step: real[back ? real.length - 1 : 0] });
    playing = setInterval(() => { if (!move(back ? -1 : 1)) play(false); }, still.matches ? 1500 : 700);
  }
  byId("play").textContent = on ? "❚❚ Pause" : "▶ Play";
  byId("play").setAttribute("aria-label", on ? "Pause" : "Play");
}

function onKey(event) {
  const typing = event.target.matches("input[type=number], select, input[type=range]");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const actions = {
    ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowUp: () => show({ unit: view.unit + 1 }), ArrowDown: () => show({ unit: view.unit - 1 }),
    Home: () => show({ step: realSteps()[0] }), End: () => show({ step: realSteps().at(-1) }),
    "[": () => show({ sample: view.sample - 1 }), "]": () => show({ sample: view.sample + 1 }),
    ...(event.target.matches("button, a, .scroll, .picture, input") ? {} : { " ": () => play() }),
    // Of a GRU c is the candidate.
    ...Object.fromEntries(gates().map((name) => [name[0], () => show({ gate: name })])),
  };
  // In the table the arrows scroll.
  if (event.target.matches(".scroll, .picture") && event.key.startsWith("Arrow")) return;
  if (actions[event.key]) { event.preventDefault(); actions[event.key](); }
}

function fillGates() {
  fill(byId("gate"), gates().map((name) => [name, `${name}  ${content.descriptions[name]}`]));
}

function connect() {
  byId("title").textContent = content.title;
  fill(byId("layer"), content.layers.map((layer, place) => [place, layer.path + (layer.backwards ? " (from the end)" : "")]));
  for (const [id, key] of [["layer", "layer"], ["sample", "sample"], ["unit-number", "unit"], ["step-number", "step"]])
    byId(id).addEventListener("change", (event) => show({ [key]: Math.round(Number(event.target.value)) || 0 }));
  byId("gate").addEventListener("change", (event) => show({ gate: event.target.value }));
  byId("slider").addEventListener("input", (event) => show({ step: realSteps()[Number(event.target.value)] }));
  byId("sorted").addEventListener("change", () => drawPlot("map"));
  byId("next").onclick = () => move(1);
  byId("previous").onclick = () => move(-1);
  byId("first").onclick = () => show({ step: realSteps()[0] });
  byId("play").onclick = () => play();
  byId("as-it-was").onclick = asItWas;
  document.addEventListener("keydown", onKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show({ all: true }));
  for (const [name, value] of Object.entries(content.made)) {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name.replaceAll("_", " "); text.textContent = value;
    byId("made").append(term, text);
  }
  byId("precision").textContent = content.exact ? "Numbers on this page have float32 precision." : "Numbers on this page are kept to three digits (float16).";
}

async function start() {
  connect();
  connectPhrases();
  const lives = layerNow().statistics.units.half_life;
  fillLayers(await unpacked("numbers"));
  const longest = lives.reduce((best, life, unit) => ((life ?? Infinity) > (lives[best] ?? Infinity) ? unit : best), 0);
  // For text the memory is the most telling; for numbers, the gate that keeps it.
  const { remembered, memory } = layerNow();
  show({ all: true, gate: content.tokens ? remembered : memory, unit: longest, step: realSteps()[Math.min(2, realSteps().length - 1)] ?? 0, ...asked() });
  addEventListener("hashchange", () => show(asked()));
  watchPlots();
  document.documentElement.dataset.ready = "yes";
}
start();
