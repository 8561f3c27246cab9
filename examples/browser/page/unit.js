// The recurrent unit as text books draw it, its gates as valves in the pipes that they open and close.

import { css, digits } from "./colours.js";

const WIDE = {
  box: [760, 470], body: [140, 22, 524, 436], radius: 34, pipe: 24, y: 128, left: 20, right: 740,
  f: [222, 128], plus: [392, 128], i: [392, 232], g: [392, 350], tanh: [580, 196], o: [580, 276], h: 366, bus: 424,
  iWire: 306, oWire: 490, x: [100, 424], tight: false,
};
const NARROW = {
  box: [400, 486], body: [30, 22, 340, 452], radius: 30, pipe: 20, y: 122, left: 4, right: 396,
  f: [96, 122], plus: [206, 122], i: [206, 226], g: [206, 342], tanh: [314, 190], o: [314, 270], h: 356, bus: 438,
  iWire: 146, oWire: 268, x: [58, 438], tight: true,
};

const SPAN = 270;
const turn = (share) => -135 + SPAN * share;
const polar = (x, y, radius, degrees) => {
  const angle = (degrees - 90) * Math.PI / 180;
  return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
};
function arc(x, y, radius, from, to) {
  const [low, high] = from < to ? [from, to] : [to, from];
  const [a, b] = [polar(x, y, radius, low), polar(x, y, radius, high)].map((one) => one.map((n) => n.toFixed(2)));
  return `M ${a} A ${radius} ${radius} 0 ${high - low > 180 ? 1 : 0} 1 ${b}`;
}

function element(parent, name, attributes = {}, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// Draws once and returns update(values, words): values move the valves, words are what is written beside them.
export function drawUnit(svg, narrow) {
  const at = narrow ? NARROW : WIDE;
  svg.replaceChildren(svg.querySelector("title"));
  svg.setAttribute("viewBox", `0 0 ${at.box.join(" ")}`);
  const put = (name, attributes, text) => element(svg, name, attributes, text);
  const size = at.tight ? { name: 24, number: 17, word: 14 } : { name: 25, number: 19, word: 14 };

  const [bx, by, bw, bh] = at.body;
  put("rect", { x: bx, y: by, width: bw, height: bh, rx: 26, class: "body" });

  // What all four gates listen to.
  for (const path of [
    `M ${at.left} ${at.bus} H ${at.oWire}`, `M ${at.f[0]} ${at.bus} V ${at.f[1] + at.radius}`,
    `M ${at.iWire} ${at.bus} V ${at.i[1]} H ${at.i[0] - at.radius}`, `M ${at.g[0]} ${at.bus} V ${at.g[1] + at.radius}`,
    `M ${at.oWire} ${at.bus} V ${at.o[1]} H ${at.o[0] - at.radius}`,
  ]) put("path", { d: path, class: "wire" });
  for (const x of [at.f[0], at.iWire, at.g[0]]) put("circle", { cx: x, cy: at.bus, r: 3.5, class: "joint" });

  const pipes = [
    ["cBefore", `M ${at.left} ${at.y} H ${at.f[0]}`], ["kept", `M ${at.f[0]} ${at.y} H ${at.plus[0]}`],
    ["c", `M ${at.plus[0]} ${at.y} H ${at.right}`], ["g", `M ${at.g[0]} ${at.g[1]} V ${at.i[1]}`],
    ["written", `M ${at.i[0]} ${at.i[1]} V ${at.y}`], ["c", `M ${at.tanh[0]} ${at.y} V ${at.tanh[1]}`],
    ["squashed", `M ${at.tanh[0]} ${at.tanh[1]} V ${at.o[1]}`], ["h", `M ${at.o[0]} ${at.o[1]} V ${at.h} H ${at.right}`],
  ];
  for (const [, d] of pipes) put("path", { d, class: "pipe-wall", "stroke-width": at.pipe + 3 });
  for (const [, d] of pipes) put("path", { d, class: "pipe", "stroke-width": at.pipe });
  const flows = pipes.map(([name, d]) => [name, put("path", { d, class: "flow" }), put("path", { d, class: "drops" })]);

  const [px, py] = at.plus;
  put("circle", { cx: px, cy: py, r: 18, class: "operation" });
  put("path", { d: `M ${px - 8} ${py} H ${px + 8} M ${px} ${py - 8} V ${py + 8}`, class: "sign" });
  put("rect", { x: at.tanh[0] - 28, y: at.tanh[1] - 15, width: 56, height: 30, rx: 15, class: "operation" });
  put("text", { x: at.tanh[0], y: at.tanh[1] + 5, class: "ink middle", "font-size": 15 }, "tanh");

  // A valve: its blade stands across the pipe at 0 and along it at 1; the ring tells how far.
  const valve = ([x, y], alongX) => {
    put("circle", { cx: x, cy: y, r: at.radius + 6, class: "valve" });
    put("path", { d: arc(x, y, at.radius, -135, 135), class: "track" });
    const ring = put("path", { class: "ring" });
    put("circle", { cx: x, cy: y, r: at.radius - 8, class: "bore" });
    const blade = put("line", { x1: x - at.radius + 10, x2: x + at.radius - 10, y1: y, y2: y, class: "blade" });
    put("circle", { cx: x, cy: y, r: 4, class: "axle" });
    return (gate, value) => {
      ring.setAttribute("d", arc(x, y, at.radius, -135, turn(Math.max(0.004, value))));
      ring.style.stroke = css(gate, value);
      blade.setAttribute("transform", `rotate(${(alongX ? 90 : 0) + (alongX ? -90 : 90) * value} ${x} ${y})`);
    };
  };
  const valves = { f: valve(at.f, true), i: valve(at.i, false), o: valve(at.o, false) };

  // g is a source: its ring fills from the top, to the right above 0 and to the left below.
  const [gx, gy] = at.g;
  put("circle", { cx: gx, cy: gy, r: at.radius + 6, class: "valve" });
  put("path", { d: arc(gx, gy, at.radius, -135, 135), class: "track" });
  const source = put("path", { class: "ring" });
  put("line", { x1: gx, x2: gx, y1: gy - at.radius - 4, y2: gy - at.radius + 4, class: "zero" });

  const name = (x, y, letter, sub, anchor = "start") => {
    const text = put("text", { x, y, class: `name ${anchor}`, "font-size": size.name });
    element(text, "tspan", {}, letter);
    if (sub) element(text, "tspan", { dy: 5, "font-size": size.name * 0.58 }, sub);
    return text;
  };
  const number = (x, y, anchor = "start", kind = "ink", font = size.number) =>
    put("text", { x, y, class: `${kind} numbers ${anchor}`, "font-size": font });
  const word = (x, y, text, anchor = "start") =>
    put("text", { x, y, class: `quiet-ink ${anchor}`, "font-size": size.word }, text);

  const r = at.radius, beside = r + 13, numbers = {};
  if (at.tight) {
    name(at.f[0] - 26, at.y - r - 16, "f"); numbers.f = number(at.f[0] - 8, at.y - r - 16);
    word(at.f[0] + 43, at.y - r - 16, "keep");
    name(at.i[0] + beside - 2, at.i[1] - 18, "i"); numbers.i = number(at.i[0] + beside - 3, at.i[1] + 4);
    name(at.g[0] - beside + 2, at.g[1] - 10, "g", "", "end");
    name(at.o[0] + beside - 2, at.o[1] - 10, "o"); numbers.o = number(at.o[0] + beside - 4, at.o[1] + 12);
    name(at.left + 2, at.y + 36, "c", "t−1"); numbers.cBefore = number(at.left + 2, at.y + 58);
    name(at.right - 2, at.y + 36, "c", "t", "end"); numbers.c = number(at.right - 2, at.y + 58, "end");
    name(at.right - 2, at.h + 34, "h", "t", "end"); numbers.h = number(at.right - 2, at.h + 56, "end");
    numbers.kept = number((at.f[0] + px) / 2 + 6, at.y - 17, "middle", "quiet-ink", 15);
    numbers.written = number(px - 18, at.y + 46, "end", "quiet-ink", 15);
  } else {
    name(at.f[0] - 36, at.y - r - 16, "f"); numbers.f = number(at.f[0] - 16, at.y - r - 16);
    word(at.f[0] + 40, at.y - r - 16, "keep");
    name(at.i[0] + beside, at.i[1] - 2, "i"); numbers.i = number(at.i[0] + beside + 16, at.i[1] - 2);
    word(at.i[0] + beside, at.i[1] + 19, "let in");
    name(at.g[0] + beside, at.g[1] + 2, "g"); word(at.g[0] + beside, at.g[1] + 23, "new");
    name(at.o[0] + beside, at.o[1] - 2, "o"); numbers.o = number(at.o[0] + beside + 20, at.o[1] - 2);
    word(at.o[0] + beside, at.o[1] + 19, "show");
    name(at.left + 2, at.y - 30, "c", "t−1"); numbers.cBefore = number(at.left + 50, at.y - 30);
    word(at.left + 2, at.y + 36, "memory before");
    name(at.right - 74, at.y - 30, "c", "t", "end"); numbers.c = number(at.right - 2, at.y - 30, "end");
    word(at.right - 2, at.y + 36, "memory now", "end");
    name(at.right - 74, at.h - 24, "h", "t", "end"); numbers.h = number(at.right - 2, at.h - 24, "end");
    word(at.right - 2, at.h + 34, "what it says", "end");
    numbers.kept = number((at.f[0] + px) / 2 + 8, at.y - 20, "middle", "quiet-ink", 15);
    numbers.written = number(px + 21, at.y + 52, "start", "quiet-ink", 15);
  }
  numbers.g = number(gx, gy + 6, "middle", "ink", at.tight ? 16 : 17);

  // x is the way the hand goes: a needle.
  const [xx, xy] = at.x, needleSize = at.tight ? 20 : 24;
  name(at.left + 2, at.bus - (at.tight ? 28 : 14), "h", "t−1");
  put("circle", { cx: xx, cy: xy, r: needleSize, class: "valve" });
  const needle = put("path", {
    d: `M ${-needleSize * 0.6} 0 H ${needleSize * 0.6} M ${needleSize * 0.15} ${-needleSize * 0.38} L ${needleSize * 0.62} 0 L ${needleSize * 0.15} ${needleSize * 0.38}`,
    class: "needle",
  });
  if (at.tight) name(xx + needleSize + 4, xy + 26, "x", "t"); else name(xx - 9, xy + needleSize + 20, "x", "t");

  return (values, words, limit) => {
    for (const [what, flow, drops] of flows) {
      const value = values[what], scale = "cBefore kept c written".includes(what) ? limit : 1;
      const share = Math.sqrt(Math.min(1, Math.abs(value) / scale));
      const width = Math.max(0, (at.pipe - 6) * share);
      flow.setAttribute("stroke-width", width < 0.6 ? 0 : width + 2);
      drops.setAttribute("stroke-width", Math.max(0, width * 0.4));
      flow.setAttribute("class", `flow ${value >= 0 ? "up" : "down"}`);
    }
    for (const gate of "fio") valves[gate](gate, values[gate]);
    source.setAttribute("d", arc(gx, gy, at.radius, 0, (SPAN / 2) * (Math.abs(values.g) < 0.01 ? 0.01 : values.g)));
    source.style.stroke = css("g", values.g);
    for (const [what, text] of Object.entries(numbers)) text.textContent = digits(words[what]);
    needle.setAttribute("transform", `translate(${xx} ${xy}) rotate(${Math.atan2(words.x[1], words.x[0]) * 180 / Math.PI})`);
    needle.style.opacity = words.x[0] || words.x[1] ? 1 : 0;
  };
}
