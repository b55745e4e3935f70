"use strict";
// The page of `drpnet report`: what the slider moves. Everything comes from the JSON and the pictures in this file.

const data = JSON.parse(document.getElementById("data").textContent);
const pickers = data.pickers, micrographs = data.micrographs;
document.body.className = pickers.length > 1 ? "double" : "single";
const state = {
  at: pickers.map((one) => one.start), open: 0, which: 0, rejected: false, plain: false,
  view: null, chosen: null, sort: "doubt", falling: true,
};
const $ = (id) => document.getElementById(id);
const text = (value, digits = 3) => (value === null || Number.isNaN(value) ? "–" : value.toFixed(digits));
const count = (value, word) => `${value} ${word}${value === 1 ? "" : "s"}`;

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "image", "line", "text", "rect", "circle", "polyline"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// ---------------------------------------------------------------------------------------------- numbers

/* Candidates stand best first, so the picks of any threshold are the first ones, and counts are running sums. */
for (const picker of pickers) {
  for (const found of picker.found) {
    if (!found) continue;
    found.n = found.x.length;
    found.hits = new Int32Array(found.n + 1);
    found.counted = new Int32Array(found.n + 1);
    found.sums = new Float64Array(found.n + 1);
    for (let i = 0; i < found.n; i++) {
      found.hits[i + 1] = found.hits[i] + (found.m !== null && found.m[i] === "t");
      found.counted[i + 1] = found.counted[i] + (found.m !== null && found.m[i] !== "-");
      found.sums[i + 1] = found.sums[i] + (found.s ? found.s[i] : 0);
    }
  }
}

/* How many candidates reach a threshold. */
function reaching(found, at) {
  if (!found.s) return found.n;
  let low = 0, high = found.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (found.s[middle] >= at) low = middle + 1; else high = middle;
  }
  return low;
}

/* Precision, recall and F as `drpnet evaluate` defines them for empty sides, too. */
function rates(hits, picks, truth) {
  if (!picks && !truth) return [1, 1, 1];
  const precision = picks ? hits / picks : 0, recall = truth ? hits / truth : 0;
  return [precision, recall, precision + recall ? (2 * precision * recall) / (precision + recall) : 0];
}

function reach(picker) {
  const values = picker.values;
  return (values[values.length - 1] - values[0]) / 10;
}

function numbersOf(which, index, at = state.at[which]) {
  const picker = pickers[which], found = picker.found[index];
  if (!found) return null;
  const k = reaching(found, at), labelled = found.m !== null;
  const row = { candidates: found.n, picks: k, mean: k && found.s ? found.sums[k] / k : null, doubt: null, labelled };
  if (found.s) {
    const below = reaching(found, at - reach(picker)), above = reaching(found, at + reach(picker));
    row.doubt = below ? (below - above) / below : null;
  }
  if (labelled) {
    const truth = micrographs[index].truth.x.length;
    row.counted = found.counted[k];
    row.hits = found.hits[k];
    row.wrong = row.counted - row.hits;
    row.truth = truth;
    row.missed = truth - row.hits;
    [row.precision, row.recall, row.f] = rates(row.hits, row.counted, truth);
  }
  return row;
}

/* Two pickers are compared where both picked and labels are. */
const compared = micrographs.map((one, index) => one.truth !== null && pickers.every((picker) => picker.found[index]));

function totals(which, at = state.at[which]) {
  const sum = { candidates: 0, picks: 0, counted: 0, edge: 0, hits: 0, truth: 0, labelled: 0, shown: 0 };
  micrographs.forEach((_, index) => {
    const row = numbersOf(which, index, at);
    if (!row) return;
    sum.shown += 1;
    sum.candidates += row.candidates;
    sum.picks += row.picks;
    if (compared[index]) {
      sum.labelled += 1;
      sum.edge += row.picks - row.counted;
      sum.counted += row.counted;
      sum.hits += row.hits;
      sum.truth += row.truth;
    }
  });
  sum.wrong = sum.counted - sum.hits;
  sum.missed = sum.truth - sum.hits;
  [sum.precision, sum.recall, sum.f] = rates(sum.hits, sum.counted, sum.truth);
  return sum;
}

/* The precision-recall curve of a picker over all labelled micrographs, its area and its best point. */
const curves = pickers.map((picker) => {
  if (!data.labels || !picker.values) return null;
  const scores = [];
  let truth = 0;
  picker.found.forEach((found, index) => {
    if (!compared[index]) return;
    truth += micrographs[index].truth.x.length;
    for (let i = 0; i < found.n; i++) if (found.m[i] !== "-") scores.push([found.s[i], found.m[i] === "t"]);
  });
  scores.sort((a, b) => b[0] - a[0]);
  const points = [];
  let hits = 0, area = 0, best = null;
  scores.forEach(([score, hit], i) => {
    hits += hit;
    if (i + 1 < scores.length && scores[i + 1][0] === score) return;
    const [precision, recall, f] = rates(hits, i + 1, truth);
    area += precision * (recall - (points.length ? points[points.length - 1].recall : 0));
    points.push({ score, precision, recall, f });
    if (!best || f > best.f) best = points[points.length - 1];
  });
  return truth && points.length ? { points, area, best } : null;
});

// ---------------------------------------------------------------------------------------------- marks

const number = (value) => Math.round(value * 100) / 100;
const shapes = {
  circle: (x, y, r) => `M${number(x - r)} ${number(y)}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  cross: (x, y, r) => `M${number(x - r)} ${number(y - r)}l${2 * r} ${2 * r}m0 ${-2 * r}l${-2 * r} ${2 * r}`,
  square: (x, y, r) => `M${number(x - r)} ${number(y - r)}h${2 * r}v${2 * r}h${-2 * r}z`,
  diamond: (x, y, r) => `M${number(x)} ${number(y - r)}l${r} ${r}l${-r} ${r}l${-r} ${-r}z`,
};
/* Every kind has its own shape beside its colour; `size` is in particle radii. */
const kinds = {
  pick: { shape: "circle", size: 1, words: "pick, no labels there" },
  true: { shape: "circle", size: 1, words: "true pick" },
  false: { shape: "cross", size: 0.7, words: "false pick" },
  missed: { shape: "square", size: 0.95, words: "missed particle" },
  uncounted: { shape: "circle", size: 0.8, words: "pick at the edge, not counted" },
  rejected: { shape: "diamond", size: 0.5, words: "rejected candidate" },
};

function kindOf(found, i, k) {
  if (i >= k) return "rejected";
  if (found.m === null) return "pick";
  return { t: "true", f: "false", "-": "uncounted" }[found.m[i]];
}

function isMissed(found, row, k) {
  return found.w[row] < 0 || found.w[row] >= k;
}

function marks(which, index, rejected) {
  const found = pickers[which].found[index], paths = {};
  if (!found) return paths;
  const radius = number(micrographs[index].d / 2), k = reaching(found, state.at[which]);
  const add = (kind, x, y) => {
    const { shape, size } = kinds[kind];
    (paths[kind] ||= []).push(shapes[shape](x, y, number(radius * size)));
  };
  for (let i = rejected ? found.n - 1 : k - 1; i >= 0; i--) add(kindOf(found, i, k), found.x[i], found.y[i]);
  if (found.m !== null) {
    const truth = micrographs[index].truth;
    for (let row = 0; row < truth.x.length; row++) if (isMissed(found, row, k)) add("missed", truth.x[row], truth.y[row]);
  }
  return paths;
}

function drawMarks(group, which, index, rejected) {
  group.replaceChildren();
  if (state.plain) return;
  for (const [kind, parts] of Object.entries(marks(which, index, rejected))) {
    const d = parts.join("");
    if (kind !== "rejected" && kind !== "uncounted") group.append(element("path", { class: `halo ${kind}-halo`, d }));
    group.append(element("path", { class: kind, d }));
  }
}

function picture(index) {
  const { w, h } = micrographs[index], jpeg = $(`picture-${index}`).textContent;
  if (!jpeg) return element("text", { x: w / 2, y: h / 2, "text-anchor": "middle", "font-size": h / 20 }, "no picture");
  // pixel centres are at integers, so the first pixel begins at -0.5
  return element("image", {
    href: `data:image/jpeg;base64,${jpeg}`, x: -0.5, y: -0.5, width: w, height: h, preserveAspectRatio: "none",
  });
}

function swatch(kind) {
  const { shape, size } = kinds[kind], svg = element("svg", { class: "swatch overlay", viewBox: "-10 -10 20 20", "aria-hidden": "true" });
  svg.append(element("rect", { x: -10, y: -10, width: 20, height: 20, fill: "#666", rx: 3 }));
  svg.append(element("path", { class: kind, d: shapes[shape](0, 0, 8 * size) }));
  return svg;
}

// ---------------------------------------------------------------------------------------------- controls

const controls = pickers.map((picker, which) => {
  const slider = element("input", {
    type: "range", min: 0, max: picker.values ? picker.values.length - 1 : 0, step: 1, disabled: !picker.values,
    "aria-label": `Threshold of ${picker.name}`, id: `slider-${which}`,
    oninput: (event) => setThreshold(which, picker.values[event.target.valueAsNumber], false),
    onchange: () => refreshSlow(),
  });
  const exact = element("input", {
    type: "number", step: "any", disabled: !picker.values, "aria-label": `Threshold of ${picker.name} as a number`, id: `at-${which}`,
    onchange: (event) => { if (Number.isFinite(event.target.valueAsNumber)) setThreshold(which, event.target.valueAsNumber, true); },
  });
  const save = element("button", { type: "button", class: "main", id: `save-${which}`, onclick: () => saveStar(which) }, "Save .star");
  const best = curves[which] ? element("button", {
    type: "button", id: `best-${which}`, title: "the threshold with the greatest F on these very labels",
    onclick: () => setThreshold(which, curves[which].best.score, true),
  }, "best F") : null;
  const numbers = element("div", { class: "numbers", id: `numbers-${which}`, role: "status" });
  const words = picker.values ? `${picker.merit} at least` : "no scores, no threshold";
  $("controls").append(element("div", { class: "picker" },
    element("div", { class: "row" }, element("span", { class: "name" }, picker.name), element("span", {}, words), slider, exact, best, save),
    numbers));
  return { slider, exact, numbers };
});

function setThreshold(which, value, slow) {
  state.at[which] = value;
  refreshFast();
  if (slow) refreshSlow();
}

function nearest(values, at) {
  let place = 0;
  values.forEach((value, i) => { if (Math.abs(value - at) < Math.abs(values[place] - at)) place = i; });
  return place;
}

function step(which, by) {
  const values = pickers[which].values;
  if (!values) return;
  const place = Math.max(0, Math.min(values.length - 1, nearest(values, state.at[which]) + by));
  setThreshold(which, values[place], true);
}

function showNumbers(which) {
  const sum = totals(which), picker = pickers[which], { slider, exact, numbers } = controls[which];
  if (picker.values) {
    const place = nearest(picker.values, state.at[which]);
    slider.value = place;
    const words = state.at[which].toFixed(picker.decimals);
    exact.value = Number(words) === state.at[which] ? words : state.at[which];
    slider.setAttribute("aria-valuetext", `${exact.value}, ${count(sum.picks, "pick")}`);
  }
  const part = (label, value, kind = null) =>
    element("span", {}, ...(kind ? [swatch(kind)] : []), `${label} `, element("b", { "data-number": label }, value));
  numbers.replaceChildren(part("picks", `${sum.picks}`), element("span", {}, `of ${sum.candidates} candidates`));
  if (data.labels && sum.labelled) {
    numbers.append(
      part("true", `${sum.hits}`, "true"), part("false", `${sum.wrong}`, "false"), part("missed", `${sum.missed}`, "missed"),
      part("precision", text(sum.precision)), part("recall", text(sum.recall)), part("F", text(sum.f)));
    if (sum.edge) numbers.append(element("span", {}, `${sum.edge} at an edge, not counted`));
    if (sum.labelled < micrographs.length) numbers.append(element("span", {}, `on ${sum.labelled} of ${micrographs.length} micrographs`));
  }
}

// ---------------------------------------------------------------------------------------------- saving

const nine = (value) => String(Number(value.toPrecision(9)));

/* The particles .star of a picker at its threshold. */
function starText(which) {
  const picker = pickers[which], rows = [picker.star.head];
  picker.found.forEach((found, index) => {
    if (!found) return;
    const k = reaching(found, state.at[which]), before = picker.star.before[index], behind = picker.star.behind[index];
    for (let i = 0; i < k; i++) {
      const score = found.s ? `\t${nine(found.s[i])}` : "";
      rows.push(`${before}\t${nine(found.x[i])}\t${nine(found.y[i])}${score}${behind}\n`);
    }
  });
  return rows.join("") + picker.star.foot;
}

function saveStar(which) {
  const picker = pickers[which], address = URL.createObjectURL(new Blob([starText(which)], { type: "text/plain" }));
  const at = picker.values ? `_at_${controls[which].exact.value}` : "";
  element("a", { href: address, download: `${picker.name.replace(/[^\w.-]+/g, "_")}${at}.star` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

// ---------------------------------------------------------------------------------------------- the large view

let views = [];
const hint = $("particle").textContent;

function openMicrograph(index, centre = null) {
  state.open = (index + micrographs.length) % micrographs.length;
  state.chosen = null;
  const { w, h, name, d } = micrographs[state.open];
  state.view = { x: -0.5, y: -0.5, w, h };
  if (centre) {
    const width = Math.min(w, 8 * d), height = (width * h) / w;
    state.view = { x: centre[0] - width / 2, y: centre[1] - height / 2, w: width, h: height };
  }
  $("choose").value = String(state.open);
  $("viewer-title").textContent = name;
  views = pickers.map((picker, which) => {
    const group = element("g", { class: "marks" }), ring = element("g");
    const svg = element("svg", {
      class: "micrograph overlay", role: "img", preserveAspectRatio: "xMidYMid meet", tabindex: 0,
      "aria-label": `${name} with the picks of ${picker.name}`, id: `view-${which}`,
    }, picture(state.open), group, ring);
    svg.style.aspectRatio = `${w} / ${h}`;
    svg.addEventListener("wheel", wheel, { passive: false });
    svg.addEventListener("pointerdown", (event) => grab(event, which));
    return { svg, group, ring, caption: element("figcaption") };
  });
  $("views").replaceChildren(...views.map((view) => element("figure", {}, view.caption, view.svg)));
  moveView();
  drawViews();
  markOpen();
  $("particle").textContent = hint;
}

function moveView() {
  const { x, y, w, h } = state.view;
  for (const view of views) view.svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
}

function zoom(factor, x = state.view.x + state.view.w / 2, y = state.view.y + state.view.h / 2) {
  const full = micrographs[state.open], view = state.view;
  const width = Math.min(full.w, Math.max(full.d, view.w * factor)), used = width / view.w;
  state.view = { x: x - (x - view.x) * used, y: y - (y - view.y) * used, w: width, h: view.h * used };
  if (width === full.w) state.view = { x: -0.5, y: -0.5, w: full.w, h: full.h };
  moveView();
}

function pan(dx, dy) {
  const full = micrographs[state.open], view = state.view;
  view.x = Math.max(-view.w / 2, Math.min(full.w - view.w / 2, view.x + dx));
  view.y = Math.max(-view.h / 2, Math.min(full.h - view.h / 2, view.y + dy));
  moveView();
}

function toImage(svg, event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [point.x, point.y];
}

function wheel(event) {
  if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
  event.preventDefault();
  zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, ...toImage(event.currentTarget, event));
}

function grab(event, which) {
  if (event.button !== 0) return;
  const svg = event.currentTarget, scale = svg.getScreenCTM().a;
  const from = [event.clientX, event.clientY];
  let last = from, moved = false;
  const move = (next) => {
    moved ||= Math.hypot(next.clientX - from[0], next.clientY - from[1]) > 4;
    if (moved) pan((last[0] - next.clientX) / scale, (last[1] - next.clientY) / scale);
    last = [next.clientX, next.clientY];
  };
  const release = (next) => {
    svg.removeEventListener("pointermove", move);
    svg.removeEventListener("pointerup", release);
    svg.removeEventListener("pointercancel", release);
    if (!moved && next.type === "pointerup") ask(which, ...toImage(svg, next));
  };
  svg.setPointerCapture(event.pointerId);
  svg.addEventListener("pointermove", move);
  svg.addEventListener("pointerup", release);
  svg.addEventListener("pointercancel", release);
}

/* The mark nearest to a place, in words. */
function ask(which, x, y) {
  const found = pickers[which].found[state.open], { d, truth, name } = micrographs[state.open];
  state.chosen = null;
  if (found) {
    const k = reaching(found, state.at[which]);
    let closest = d / 2;
    const offer = (px, py, words) => {
      const distance = Math.hypot(px - x, py - y);
      if (distance <= closest) { closest = distance; state.chosen = { which, x: px, y: py, words }; }
    };
    for (let i = 0; i < (state.rejected ? found.n : k); i++) offer(found.x[i], found.y[i], () => {
      const scores = [[pickers[which].merit, found.s], ["detection score", found.d], ["classifier score", found.c]]
        .filter(([, values]) => values).map(([label, values]) => `${label} ${values[i].toPrecision(3)}`);
      return [kinds[kindOf(found, i, k)].words, ...scores].join(", ");
    });
    if (found.m !== null) truth.x.forEach((px, row) => { if (isMissed(found, row, k)) offer(px, truth.y[row], () => kinds.missed.words); });
  }
  $("particle").textContent = state.chosen
    ? `${name}, x ${state.chosen.x.toFixed(1)}, y ${state.chosen.y.toFixed(1)} px: ${state.chosen.words()}.` : "No mark there.";
  drawRing();
}

function drawRing() {
  views.forEach((view, which) => {
    view.ring.replaceChildren();
    const one = state.chosen, d = micrographs[state.open].d;
    if (one && one.which === which) view.ring.append(element("path", { class: "here", d: shapes.circle(one.x, one.y, number(d * 0.62)) }));
  });
}

function drawViews() {
  views.forEach((view, which) => {
    drawMarks(view.group, which, state.open, state.rejected);
    const row = numbersOf(which, state.open), head = pickers.length > 1 ? `${pickers[which].name}: ` : "";
    let words = "not picked";
    if (row) {
      words = `${row.picks} of ${row.candidates} candidates`;
      if (row.labelled) {
        words += `; ${row.hits} true, ${row.wrong} false, ${row.missed} missed; precision ${text(row.precision)}, recall ${text(row.recall)}, F ${text(row.f)}`;
      } else if (data.labels) words += "; no labels";
      if (row.doubt !== null) words += `; doubt ${text(row.doubt, 2)}`;
    }
    view.caption.textContent = head + words;
  });
  drawRing();
}

function drawLegend() {
  const used = data.labels ? ["true", "false", "missed"] : ["pick"];
  if (data.labels && micrographs.some((one) => !one.truth)) used.push("pick");
  if (data.labels && data.labels.border) used.push("uncounted");
  if (state.rejected) used.push("rejected");
  $("legend").replaceChildren(...used.map((kind) =>
    element("span", {}, swatch(kind), kind === "pick" && !data.labels ? "pick" : kinds[kind].words)));
}

// ---------------------------------------------------------------------------------------------- charts

function chart(title, words, width, height) {
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words });
  return { svg, figure: element("figure", { class: "chart" }, element("figcaption", {}, title), svg) };
}

function axes(svg, box, x, y, xWords, yWords) {
  const [left, top, right, bottom] = box;
  svg.append(element("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }));
  for (const [place, words] of x) {
    svg.append(element("text", { x: place, y: bottom + 16, "text-anchor": "middle" }, words));
    svg.append(element("line", { class: "axis", x1: place, x2: place, y1: bottom, y2: bottom + 4 }));
  }
  for (const [place, words] of y) {
    svg.append(element("text", { x: left - 6, y: place + 4, "text-anchor": "end" }, words));
    svg.append(element("line", { class: "axis", x1: left, x2: right, y1: place, y2: place }));
  }
  svg.append(element("text", { x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, xWords));
  svg.append(element("text", { x: left, y: top - 8 }, yWords));
}

/* Round numbers from low to high, about `most` of them. */
function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const unit = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const found = [];
  for (let value = Math.ceil(low / unit - 1e-9) * unit; value <= high + unit * 1e-6; value += unit) found.push(Number(value.toPrecision(6)));
  return found;
}

function drawHistogram(which) {
  const picker = pickers[which], values = picker.values;
  if (!values) return null;
  const bins = Math.min(50, values.length), low = values[0], high = values[values.length - 1];
  const bars = { true: new Array(bins).fill(0), false: new Array(bins).fill(0), pick: new Array(bins).fill(0) };
  for (const found of picker.found) {
    if (!found) continue;
    for (let i = 0; i < found.n; i++) {
      const bin = Math.min(bins - 1, Math.floor(((found.s[i] - low) / (high - low)) * bins));
      const kind = found.m === null || found.m[i] === "-" ? "pick" : found.m[i] === "t" ? "true" : "false";
      bars[kind][bin] += 1;
    }
  }
  const labelled = data.labels && picker.found.some((found) => found && found.m !== null);
  const filled = labelled ? bars.true : bars.pick, box = [52, 30, 508, 200];
  const most = Math.max(1, ...filled, ...(labelled ? bars.false : [0]));
  const x = (value) => box[0] + ((value - low) / (high - low)) * (box[2] - box[0]);
  const y = (value) => box[3] - Math.sqrt(value / most) * (box[3] - box[1]);
  const wide = (box[2] - box[0]) / bins;
  const { svg, figure } = chart(`Candidates by ${picker.merit}, ${picker.name}`, `Histogram of the ${picker.merit} of ${picker.name}`, 520, 250);
  const upright = [0, ...[0.04, 0.25, 1].map((part) => Math.round(part * most))].filter((value, i, all) => all.indexOf(value) === i);
  axes(svg, box, ticks(low, high).map((value) => [x(value), value]), upright.map((value) => [y(value), value]),
    picker.merit, "candidates (square-root scale)");
  filled.forEach((value, bin) => {
    if (value) svg.append(element("rect", { class: labelled ? "bars-true" : "bars-pick", x: box[0] + bin * wide, y: y(value), width: wide * 0.92, height: box[3] - y(value) }));
  });
  if (labelled) {
    const steps = bars.false.map((value, bin) => `V${number(y(value))}H${number(box[0] + (bin + 1) * wide)}`).join("");
    svg.append(element("path", { class: "bars-false", d: `M${box[0]} ${box[3]}${steps}V${box[3]}` }));
    svg.append(element("rect", { class: "bars-true", x: 390, y: 36, width: 14, height: 10 }), element("text", { x: 410, y: 46 }, "true"));
    svg.append(element("path", { class: "bars-false", d: "M446 46v-10h14v10" }), element("text", { x: 466, y: 46 }, "false"));
  }
  const line = element("line", { class: "now", y1: box[1] - 2, y2: box[3] });
  const mark = element("text", { class: "strong", y: box[1] - 8 });
  svg.append(line, mark);
  svg.addEventListener("click", (event) => {
    const [px] = toImage(svg, event), value = low + ((px - box[0]) / (box[2] - box[0])) * (high - low);
    setThreshold(which, values[nearest(values, value)], true);
  });
  const update = () => {
    const place = Math.max(box[0], Math.min(box[2], x(state.at[which])));
    line.setAttribute("x1", place);
    line.setAttribute("x2", place);
    mark.setAttribute("x", place);
    mark.setAttribute("text-anchor", place > box[2] - 90 ? "end" : place < 250 ? "start" : "middle");
    // left of the middle the axis has its own words
    if (place < 250) mark.setAttribute("x", Math.max(place, 250));
    mark.textContent = `threshold ${controls[which].exact.value}`;
  };
  return { figure, update };
}

function drawCurves() {
  if (!curves.some((one) => one)) return null;
  const box = [52, 30, 330, 300], x = (value) => box[0] + value * (box[2] - box[0]), y = (value) => box[3] - value * (box[3] - box[1]);
  const { svg, figure } = chart("Precision and recall", "Precision over recall with the present thresholds", 520, 350);
  const round = [0, 0.2, 0.4, 0.6, 0.8, 1];
  axes(svg, box, round.map((value) => [x(value), value]), round.map((value) => [y(value), value]), "recall", "precision");
  for (const f of [0.4, 0.6, 0.8, 0.9]) {
    const points = [];
    for (let recall = f / (2 - f); recall <= 1.0001; recall += 0.02) points.push(`${number(x(Math.min(1, recall)))},${number(y((f * recall) / (2 * recall - f)))}`);
    svg.append(element("polyline", { class: "axis", points: points.join(" ") }));
    svg.append(element("text", { x: box[2] + 4, y: y(f / (2 - f)) + 4 }, `F ${f}`));
  }
  const dots = [];
  curves.forEach((curve, which) => {
    if (!curve) return;
    const skip = Math.max(1, Math.floor(curve.points.length / 400));
    const kept = curve.points.filter((_, i) => i % skip === 0 || i === curve.points.length - 1);
    svg.append(element("polyline", { class: `line-${which}`, points: kept.map((p) => `${number(x(p.recall))},${number(y(p.precision))}`).join(" ") }));
    const top = 60 + which * 92;
    svg.append(element("line", { class: `line-${which}`, x1: 372, x2: 400, y1: top - 4, y2: top - 4 }));
    svg.append(element("text", { class: "strong", x: 406, y: top }, pickers[which].name.slice(0, 16)));
    svg.append(element("text", { x: 372, y: top + 18 }, `AP ${text(curve.area)}`));
    svg.append(element("text", { x: 372, y: top + 34 }, `best F ${text(curve.best.f)}`));
    svg.append(element("text", { x: 372, y: top + 50 }, `at ${curve.best.score.toPrecision(3)}, these labels`));
    const dot = which ? element("rect", { class: "point-1", width: 11, height: 11 }) : element("circle", { class: "point-0", r: 6.5 });
    svg.append(dot);
    dots.push(() => {
      const sum = totals(which), px = x(sum.recall), py = y(sum.precision);
      dot.setAttribute(which ? "x" : "cx", which ? px - 5.5 : px);
      dot.setAttribute(which ? "y" : "cy", which ? py - 5.5 : py);
    });
  });
  return { figure, update: () => dots.forEach((one) => one()) };
}

const charts = [...pickers.map((_, which) => drawHistogram(which)), drawCurves()].filter((one) => one);
if (charts.length) $("charts").replaceChildren(...charts.map((one) => one.figure));
else $("charts").append(element("p", { class: "hint" }, "Without scores there is nothing to draw."));

// ---------------------------------------------------------------------------------------------- table

const columns = [
  ["name", "micrograph", "", (row) => row.name],
  ["candidates", "candidates", "all that were kept", (row) => `${row.candidates}`],
  ["picks", "picks", "candidates that reach the threshold", (row) => `${row.picks}`],
  ["mean", "mean score", "of the picks", (row) => text(row.mean)],
  ["doubt", "doubt", "share of candidates around the threshold", (row) => text(row.doubt, 2)],
  ...(data.labels ? [
    ["hits", "true", "true picks", (row) => (row.labelled ? `${row.hits}` : "–")],
    ["wrong", "false", "false picks", (row) => (row.labelled ? `${row.wrong}` : "–")],
    ["missed", "missed", "particles without a pick", (row) => (row.labelled ? `${row.missed}` : "–")],
    ["precision", "precision", "", (row) => (row.labelled ? text(row.precision) : "–")],
    ["recall", "recall", "", (row) => (row.labelled ? text(row.recall) : "–")],
    ["f", "F", "", (row) => (row.labelled ? text(row.f) : "–")],
  ] : []),
];
const rows = micrographs.map((one, index) => {
  const open = element("button", { type: "button", onclick: () => { openMicrograph(index); $("viewer").scrollIntoView(); } }, one.name);
  const cells = columns.map((_, i) => (i ? element("td") : element("td", {}, open)));
  return { index, cells, row: element("tr", {}, ...cells) };
});
const heads = columns.map(([key, label, title]) => element("th", { scope: "col" }, element("button", {
  type: "button", title, onclick: () => {
    state.falling = state.sort === key ? !state.falling : key !== "name";
    state.sort = key;
    sortTable();
  },
}, label)));
const body = element("tbody");
$("table").append(element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));

function fillTable() {
  for (const one of rows) {
    const found = numbersOf(state.which, one.index);
    one.values = { name: micrographs[one.index].name, ...found };
    columns.forEach(([key, , , words], i) => { if (i) one.cells[i].textContent = found ? words(one.values) : "–"; });
  }
}

function sortTable() {
  const sign = state.falling ? -1 : 1;
  const compare = (a, b) => {
    const [one, two] = [a.values[state.sort] ?? null, b.values[state.sort] ?? null];
    if (one === null || two === null) return (one === null) - (two === null) || a.index - b.index; // the unknown last
    return (one < two ? -1 : one > two ? 1 : 0) * sign || a.index - b.index;
  };
  body.append(...[...rows].sort(compare).map((one) => one.row));
  heads.forEach((head, i) => {
    if (columns[i][0] === state.sort) head.setAttribute("aria-sort", state.falling ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
    head.firstChild.textContent = columns[i][1] + (columns[i][0] === state.sort ? (state.falling ? " ▼" : " ▲") : "");
  });
}

if (pickers.length > 1) {
  const choose = element("select", { id: "picker", onchange: (event) => { state.which = Number(event.target.value); refreshFast(); refreshSlow(); } },
    ...pickers.map((picker, which) => element("option", { value: which }, picker.name)));
  $("which").append(element("label", {}, "numbers, particles and overview of ", choose));
}
if (!pickers.some((one) => one.values)) [state.sort, state.falling] = ["picks", false];

// ---------------------------------------------------------------------------------------------- particles

const sheets = data.galleries.map(() => null);

/* The sheet of a gallery's particles, decoded when it is first shown. */
async function sheetOf(which) {
  if (!sheets[which]) {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${data.galleries[which].sheet}`;
    sheets[which] = image.decode().then(() => image);
  }
  return sheets[which];
}

function tile(which, place, words, index, x, y) {
  const canvas = element("canvas", { width: data.tile, height: data.tile });
  sheetOf(which).then((image) => {
    const column = place % data.columns, row = Math.floor(place / data.columns);
    canvas.getContext("2d").drawImage(image, column * data.tile, row * data.tile, data.tile, data.tile, 0, 0, data.tile, data.tile);
  });
  const name = micrographs[index].name;
  return element("button", {
    type: "button", class: "tile", title: `${name}, x ${x.toFixed(0)}, y ${y.toFixed(0)}`, "aria-label": `${words}, ${name}: open`,
    onclick: () => { openMicrograph(index, [x, y]); $("viewer").scrollIntoView(); },
  }, canvas, element("span", {}, words));
}

/* Some of a list, evenly. */
function some(list, most) {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, i) => list[Math.floor((i * (list.length - 1)) / (most - 1))]);
}

function drawGalleries() {
  const which = state.which, picker = pickers[which], at = state.at[which], most = data.best;
  const every = data.galleries[which].rows.map(([index, rank], place) => {
    const found = picker.found[index];
    return { place, index, rank, x: found.x[rank], y: found.y[rank], s: found.s ? found.s[rank] : null, m: found.m === null ? null : found.m[rank] };
  });
  if (picker.values) every.sort((a, b) => b.s - a.s);
  const kept = every.filter((one) => one.s === null || one.s >= at), out = every.filter((one) => one.s !== null && one.s < at);
  const show = (one) => tile(which, one.place, `${one.s === null ? "" : one.s.toPrecision(3)}${{ t: " true", f: " false" }[one.m] || ""}`, one.index, one.x, one.y);
  const groups = picker.values ? [
    ["Top", "the best of all", kept.slice(0, most).map(show)],
    ["Borderline", "the closest on either side of the threshold", [...kept.slice(-most / 2), ...out.slice(0, most / 2)].map(show)],
    ["Rejected", "below the threshold, from the best to the weakest", some(out, most).map(show)],
  ] : [["Picks", "evenly from all", some(kept, most).map(show)]];
  if (data.labels) {
    groups.push(["False", "picks that no label confirms, the most confident first", kept.filter((one) => one.m === "f").slice(0, most).map(show)]);
    const missed = data.galleries[pickers.length].rows.map(([index, row], place) => ({ place, index, row })).filter(({ index, row }) => {
      const found = picker.found[index];
      return found && found.m !== null && isMissed(found, row, reaching(found, at));
    });
    groups.push(["Missed", "labels without a pick", some(missed, most).map(({ place, index, row }) =>
      tile(pickers.length, place, "missed", index, micrographs[index].truth.x[row], micrographs[index].truth.y[row]))]);
  }
  $("galleries").replaceChildren(...groups.flatMap(([title, words, tiles]) => [
    element("h3", {}, `${title}: ${words}`),
    tiles.length ? element("div", { class: "tiles" }, ...tiles) : element("p", { class: "hint" }, "none"),
  ]));
  const total = totals(which).candidates;
  $("particles-hint").textContent = `${every.length === total ? `All ${total}` : `${every.length} of the ${total}`} candidates of ${picker.name}`
    + `${every.length === total ? "" : ": the best, and the rest at even distances in rank"}. Click one to see it in its micrograph.`;
}

const means = data.means.map((groups) => Object.fromEntries(Object.entries(groups).map(([name, group]) => {
  const bytes = Uint8Array.from(atob(group.images), (letter) => letter.charCodeAt(0));
  return [name, { ...group, images: new Int16Array(bytes.buffer) }];
})));

/* The mean of the steps of some groups that a condition keeps: [count, pixels]. */
function meanOf(which, names, keeps) {
  const size = data.mean * data.mean, sum = new Float64Array(size);
  let total = 0;
  for (const name of names) {
    const group = means[which][name];
    if (!group) continue;
    group.steps.forEach((step, i) => {
      if (!keeps(step)) return;
      total += group.counts[i];
      for (let p = 0; p < size; p++) sum[p] += group.counts[i] * group.images[i * size + p];
    });
  }
  return [total, sum.map((value) => (total ? value / total : 0))];
}

function drawMeans() {
  const which = state.which, values = pickers[which].values, everything = ["true", "false", "unknown"];
  const first = values ? values.findIndex((value) => value >= state.at[which]) : 0;
  const at = first < 0 ? values.length : first;
  const over = (step) => step >= at, under = (step) => step < at;
  const groups = [["picks", meanOf(which, everything, over)]];
  if (data.labels) groups.push(["true picks", meanOf(which, ["true"], over)], ["false picks", meanOf(which, ["false"], over)], ["missed particles", meanOf(which, ["label"], under)]);
  if (values) groups.push(["rejected", meanOf(which, everything, under)]);
  const [, all] = meanOf(which, everything, () => true);
  const reference = groups[0][1][0] ? groups[0][1][1] : all;
  const black = Math.min(...reference, -1), white = Math.max(...reference, 1), span = white - black;
  $("means").replaceChildren(...groups.map(([title, [total, pixels]]) => {
    const canvas = element("canvas", { width: data.mean, height: data.mean, role: "img", "aria-label": `mean image of ${count(total, "particle")}: ${title}` });
    const image = new ImageData(data.mean, data.mean);
    pixels.forEach((value, p) => image.data.set([0, 1, 2].map(() => ((value - black) / span) * 255).concat(total ? 255 : 0), 4 * p));
    canvas.getContext("2d").putImageData(image, 0, 0);
    return element("figure", { class: "mean" }, canvas, element("figcaption", {}, `${title} (${total})`));
  }));
}

// ---------------------------------------------------------------------------------------------- overview

const visible = new Set();
const thumbs = micrographs.map((one, index) => {
  const svg = element("svg", { viewBox: `-0.5 -0.5 ${one.w} ${one.h}`, class: "overlay", "aria-hidden": "true" });
  svg.style.aspectRatio = `${one.w} / ${one.h}`;
  const label = element("span");
  const button = element("button", { type: "button", class: "thumb", onclick: () => { openMicrograph(index); $("viewer").scrollIntoView(); } },
    svg, element("span", {}, one.name), label);
  return { svg, label, button, group: element("g") };
});
$("sheet").append(...thumbs.map((one) => one.button));

function drawThumb(index) {
  const one = thumbs[index], row = numbersOf(state.which, index);
  drawMarks(one.group, state.which, index, false);
  one.label.textContent = row ? `${count(row.picks, "pick")}${row.labelled ? `, F ${text(row.f, 2)}` : ""}` : "not picked";
}

/* Pictures are decoded when they come near the window, and let go when they leave it. */
const places = new Map(thumbs.map((one, index) => [one.button, index]));
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const index = places.get(entry.target);
    if (entry.isIntersecting) {
      visible.add(index);
      thumbs[index].svg.replaceChildren(picture(index), thumbs[index].group);
      drawThumb(index);
    } else if (visible.delete(index)) thumbs[index].svg.replaceChildren();
  }
}, { rootMargin: "300px" });
thumbs.forEach((one) => watcher.observe(one.button));

function markOpen() {
  rows.forEach((one) => (one.index === state.open ? one.row.setAttribute("aria-current", "true") : one.row.removeAttribute("aria-current")));
  thumbs.forEach((one, index) => (index === state.open ? one.button.setAttribute("aria-current", "true") : one.button.removeAttribute("aria-current")));
}

// ---------------------------------------------------------------------------------------------- training

function drawTraining() {
  const run = data.training, place = $("training");
  place.hidden = false;
  const losses = run.curves.filter((one) => one.name.includes("loss")), others = run.curves.filter((one) => !one.name.includes("loss"));
  const figures = [["Loss", losses], ["Scores", others]].filter(([, list]) => list.length).map(([title, list]) => {
    const box = [60, 30, 508, 200], epochs = list.flatMap((one) => one.epochs), values = list.flatMap((one) => one.values);
    const [low, high] = [Math.min(...values, title === "Scores" ? 0 : Infinity), Math.max(...values)], [from, to] = [Math.min(...epochs), Math.max(...epochs)];
    const x = (value) => box[0] + ((value - from) / (to - from || 1)) * (box[2] - box[0]);
    const y = (value) => box[3] - ((value - low) / (high - low || 1)) * (box[3] - box[1]);
    const { svg, figure } = chart(title, `${title} over the epochs`, 520, 260 + 18 * list.length);
    axes(svg, box, ticks(from, to).filter(Number.isInteger).map((v) => [x(v), v]), ticks(low, high, 4).map((v) => [y(v), Number(v.toPrecision(3))]), "epoch", "");
    list.forEach((one, i) => {
      svg.append(element("polyline", { class: `line-${i % 4}`, points: one.epochs.map((epoch, j) => `${number(x(epoch))},${number(y(one.values[j]))}`).join(" ") }));
      const top = 256 + 18 * i;
      svg.append(element("line", { class: `line-${i % 4}`, x1: 60, x2: 92, y1: top - 4, y2: top - 4 }));
      svg.append(element("text", { x: 98, y: top }, `${one.name}, last ${one.values[one.values.length - 1].toPrecision(3)}`));
    });
    return figure;
  });
  place.append(element("p", { class: "hint" }, `Run ${run.name}.`));
  place.append(figures.length ? element("div", { class: "cards" }, ...figures)
    : element("p", { class: "hint" }, "This run kept no curves (curves/metrics.csv): its logger writes elsewhere."));
  const facts = Object.entries(run.facts).flatMap(([key, value]) => [element("dt", {}, key.replaceAll("_", " ")), element("dd", {}, String(value))]);
  if (facts.length) place.append(element("dl", {}, ...facts));
  place.append(element("details", {}, element("summary", {}, "Configuration (config.yaml)"), element("pre", { tabindex: 0 }, run.config)));
}

// ---------------------------------------------------------------------------------------------- together

let pending = false;

/* What follows the slider at once; the rest waits until it rests. */
function refreshFast() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => {
    pending = false;
    pickers.forEach((_, which) => showNumbers(which));
    drawViews();
    charts.forEach((one) => one.update());
    drawMeans();
    visible.forEach(drawThumb);
  });
}

function refreshSlow() {
  fillTable();
  sortTable();
  drawGalleries();
}

function toggle(key, box) {
  state[key] = !state[key];
  $(box).checked = state[key];
  drawLegend();
  drawViews();
  visible.forEach(drawThumb);
}

const keys = {
  n: () => openMicrograph(state.open + 1), p: () => openMicrograph(state.open - 1),
  "[": () => step(state.which, -1), "]": () => step(state.which, 1),
  "+": () => zoom(1 / 1.4), "=": () => zoom(1 / 1.4), "-": () => zoom(1.4), 0: () => zoom(Infinity),
  h: () => pan(-state.view.w / 8, 0), l: () => pan(state.view.w / 8, 0), j: () => pan(0, state.view.h / 8), k: () => pan(0, -state.view.h / 8),
  r: () => toggle("rejected", "rejected"), i: () => toggle("plain", "plain"), s: () => saveStar(state.which),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("select, input[type=number]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

$("choose").append(...micrographs.map((one, index) => element("option", { value: index }, `${index + 1}/${micrographs.length}  ${one.name}`)));
$("choose").addEventListener("change", (event) => openMicrograph(Number(event.target.value)));
$("next").addEventListener("click", keys.n);
$("previous").addEventListener("click", keys.p);
$("zoom-in").addEventListener("click", keys["+"]);
$("zoom-out").addEventListener("click", keys["-"]);
$("zoom-fit").addEventListener("click", keys[0]);
$("rejected").addEventListener("change", () => toggle("rejected", "rejected"));
$("plain").addEventListener("change", () => toggle("plain", "plain"));

const noted = $("notes").querySelectorAll("li").length;
$("notes").firstElementChild.textContent = `${count(noted, "note")} on these data`;
$("notes").open = noted > 0;
$("notes").hidden = noted === 0;
$("summary").textContent = `${count(micrographs.length, "micrograph")}; `
  + pickers.map((picker, which) => `${picker.name}: ${totals(which).candidates} candidates${picker.about ? `, ${picker.about}` : ""}`).join("; ")
  + (data.labels ? `; ${count(totals(0).truth, "label")} on ${totals(0).labelled} of them` : "; no labels");
$("method").textContent = data.labels
  ? `True: the largest one-to-one matching of picks and labels at most ${Number(data.labels.radius.toPrecision(4))} px apart, better scores first `
    + `(rule common of drpnet evaluate), at every threshold; a second pick on a particle is false. `
    + `${data.labels.border ? `Picks and labels within ${data.labels.border} px of an edge do not count. ` : ""}Numbers are pooled over the labelled micrographs${pickers.length > 1 ? " that both pickers have" : ""}.`
  : "Without labels there is no true or false; drpnet report ... --truth LABELS adds them.";
if (data.training) drawTraining();
drawLegend();
openMicrograph(0);
pickers.forEach((_, which) => showNumbers(which));
charts.forEach((one) => one.update());
drawMeans();
refreshSlow();
