const at = id => document.getElementById(id);
const canvas = at("canvas"), pen = canvas.getContext("2d");
const LISTED = 10;  // hits
const NEAR = 10;  // pixels around the pointer
const CLOSEST = 60;  // times the size at which all is seen

let map = null, passages = null, count = 0;
let view = {x: 0, y: 0, zoom: 1};  // the map's point in the middle, and how many times larger than when all is seen
let half = {x: 1, y: 1};  // from the middle of the map to its edges, but for single passages far out
let values = [], colours = [];  // of passages: what they are coloured by, and the colour
let only = null;  // the value that alone is shown in colour
let found = new Map();  // passage → its rank, of what was looked for
let pinned = -1, hovered = -1;

function made(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = name;
  return element;
}

function say(message, wrong = false) {
  at("status").textContent = message;
  at("status").classList.toggle("wrong", wrong);
}

// ---- where things are on the screen

const unit = () => Math.min(canvas.clientWidth / half.x, canvas.clientHeight / half.y) / 2.3 * view.zoom;

function screenOf(n) {
  const scale = unit();
  return [canvas.clientWidth / 2 + (passages.x[n] - view.x) * scale, canvas.clientHeight / 2 - (passages.y[n] - view.y) * scale];
}

function nearest(x, y) {
  let best = -1, least = NEAR ** 2;
  for (let n = 0; n < count; n++) {
    if (isFaint(n)) continue;
    const [a, b] = screenOf(n), away = (a - x) ** 2 + (b - y) ** 2;
    if (away < least) [best, least] = [n, away];
  }
  return best;
}

function zoomBy(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const before = unit();
  view.zoom = Math.min(CLOSEST, Math.max(.5, view.zoom * factor));
  const change = 1 / before - 1 / unit();
  view.x += (x - canvas.clientWidth / 2) * change;
  view.y -= (y - canvas.clientHeight / 2) * change;
  redraw();
}

function moveBy(dx, dy) {
  view.x -= dx / unit();
  view.y += dy / unit();
  redraw();
}

// Middle and half of the breadth of what some numbers span, without the given share of them at each end.
function span(numbers, without) {
  const sorted = [...numbers].sort((a, b) => a - b), cut = Math.floor(sorted.length * without);
  const [low, high] = [sorted[cut], sorted[sorted.length - 1 - cut]];
  return [(low + high) / 2, (high - low) / 2];
}

// Show some passages as large as fits, but a single one with its surroundings.
function show(numbers) {
  const [x, wide] = span(numbers.map(n => passages.x[n]), .02), [y, tall] = span(numbers.map(n => passages.y[n]), .02);
  view = {x, y, zoom: Math.min(12, Math.max(1, .8 / Math.max(wide / half.x, tall / half.y, .01)))};
  redraw();
}

// ---- drawing

const isFaint = n => only !== null && values[n] !== only;
const topicLabel = n => map.topics[n].label;

function radius() {
  return Math.max(1.4, Math.min(7, Math.min(4, 110 / Math.sqrt(count)) * Math.sqrt(view.zoom)));
}

function dots(numbers, size) {
  pen.beginPath();
  for (const n of numbers) {
    const [x, y] = screenOf(n);
    if (x < -size || y < -size || x > canvas.clientWidth + size || y > canvas.clientHeight + size) continue;
    pen.moveTo(x + size, y);
    pen.arc(x, y, size, 0, 7);
  }
}

function draw() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  if (!map) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const style = getComputedStyle(document.body), ink = style.color, paper = inkIsLight(ink) ? "#121212" : "#ffffff";
  const size = radius(), groups = new Map();
  for (let n = 0; n < count; n++) {
    const faint = isFaint(n) || (found.size && !found.has(n));
    const key = (faint ? "0" : "1") + (isFaint(n) ? GREY : colours[n]);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(n);
  }
  for (const key of [...groups.keys()].sort()) {
    pen.globalAlpha = key[0] === "0" ? .22 : .8;
    pen.fillStyle = key.slice(1);
    dots(groups.get(key), size);
    pen.fill();
  }
  pen.globalAlpha = 1;
  pen.strokeStyle = ink;
  for (const [wide, numbers] of [[1.2, [...found.keys()]], [2.5, [pinned, hovered].filter(n => n >= 0)]]) {
    pen.lineWidth = wide;
    dots(numbers, size + wide);
    pen.stroke();
  }
  labels(ink, paper);
}

const inkIsLight = ink => ink.match(/[\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) > 380;

// Terms of a label in lines of some 20 characters.
function lines(label) {
  const rows = [];
  for (const term of label.split(", ")) {
    const last = rows.length - 1;
    if (last >= 0 && rows[last].length + term.length < 20) rows[last] += ", " + term;
    else rows.push(term);
  }
  return rows.map((row, n) => n < rows.length - 1 ? row + "," : row);
}

// Large topics first, then as many small ones as the zoom makes room for; none covers another one.
function labels(ink, paper) {
  const taken = [], small = map.topics.map((topic, n) => n).filter(n => map.topics[n].large !== n);
  const large = map.topics.map((topic, n) => n).filter(n => map.topics[n].large === n);
  small.sort((a, b) => map.topics[b].passages - map.topics[a].passages);
  const shown = [...(view.zoom < 3.5 || !small.length ? large : []), ...small.slice(0, Math.round(10 * view.zoom ** 2))];
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  for (const n of shown) {
    const topic = map.topics[n], isLarge = topic.large === n, rows = lines(topic.label), high = isLarge ? 18 : 15;
    pen.font = `${isLarge ? "700 15px" : "500 12.5px"} system-ui, sans-serif`;
    const [x, y] = screenOf(topic.place);
    const half = Math.max(...rows.map(row => pen.measureText(row).width)) / 2 + 4, tall = rows.length * high / 2 + 2;
    if (taken.some(box => Math.abs(box.x - x) < box.half + half && Math.abs(box.y - y) < box.tall + tall)) continue;
    taken.push({x, y, half, tall});
    pen.globalAlpha = only !== null && at("colour").value === "topic" && topicLabel(topic.large) !== only ? .3 : 1;
    rows.forEach((row, k) => {
      const line = y + (k - (rows.length - 1) / 2) * high;
      pen.strokeStyle = paper;
      pen.lineWidth = 4;
      pen.strokeText(row, x, line);
      pen.fillStyle = ink;
      pen.fillText(row, x, line);
    });
  }
  pen.globalAlpha = 1;
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

// ---- what colours mean

const folderOf = id => id.includes("/") ? id.slice(0, id.lastIndexOf("/")) : "";
const WAYS = {
  topic: ["topic", n => topicLabel(map.topics[passages.topic[n]].large)],
  source: ["source", n => map.documents[passages.document[n]].source],
  folder: ["folder", n => folderOf(map.documents[passages.document[n]].id) || "(none)"],
  document: ["document", n => map.documents[passages.document[n]].title || map.documents[passages.document[n]].id],
  kind: ["kind", n => passages.kind[n]],
};

function offerColours() {
  for (const [key, [name, valueOf]] of Object.entries(WAYS)) {
    const different = new Set(Array.from({length: count}, (_, n) => valueOf(n))).size;
    if (key === "topic" || different > 1) at("colour").append(new Option("by " + name, key));
  }
}

function colour() {
  const valueOf = WAYS[at("colour").value][1], often = new Map();
  values = Array.from({length: count}, (_, n) => valueOf(n));
  for (const value of values) often.set(value, (often.get(value) || 0) + 1);
  const order = [...often.keys()].sort((a, b) => often.get(b) - often.get(a));
  const own = new Map(order.slice(0, COLOURS.length).map((value, n) => [value, COLOURS[n]]));
  const rare = order.filter(value => !own.has(value));
  values = values.map(value => own.has(value) ? value : null);
  colours = values.map(value => own.get(value) || GREY);
  only = null;
  const rows = [...own.keys()].map(value => legendLine(value, own.get(value), often.get(value)));
  if (rare.length) {
    const rest = made("li", "", "quiet");
    rest.textContent = `grey: ${rare.length} others, ${rare.reduce((sum, value) => sum + often.get(value), 0).toLocaleString("en")} passages`;
    rows.push(rest);
  }
  at("legend").replaceChildren(...rows);
  redraw();
}

function legendLine(value, shade, times) {
  const button = made("button"), swatch = made("span", "", "swatch");
  button.type = "button";
  swatch.style.background = shade;
  button.append(swatch, made("span", value), made("span", times.toLocaleString("en"), "count"));
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    only = only === value ? null : value;
    for (const other of at("legend").querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button && only !== null));
    if (only === null) showAll();
    else show(values.flatMap((one, n) => one === only ? [n] : []));
  });
  const item = made("li");
  item.append(button);
  return item;
}

function showAll() {
  view = {x: 0, y: 0, zoom: 1};
  redraw();
}

// ---- passages in words

function nameOf(n) {
  const home = map.documents[passages.document[n]];
  const parts = [home.title, passages.heading[n]].filter((part, k, all) => part && all.indexOf(part) === k);
  return parts.join(" › ") || home.id;
}

function lit(element, text) {
  const pattern = lights(at("query").value);
  let from = 0;
  for (const one of pattern ? text.matchAll(pattern) : []) {
    element.append(text.slice(from, one.index), made("mark", one[0]));
    from = one.index + one[0].length;
  }
  element.append(text.slice(from));
  return element;
}

const wordsOf = query => query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) || [];

// Words that begin as one of the query does, as on the page of search.
function lights(query) {
  const words = wordsOf(query).filter((word, n, all) => word.length > 2 || all.length === 1);
  const stems = words.map(word => word.length > 5 ? word.replace(/(ing|ed|es|s)$/, "") : word.replace(/s$/, ""));
  return words.length ? new RegExp("(?<![\\p{L}\\p{N}_])(?:" + stems.join("|") + ")[\\p{L}\\p{N}_]*", "giu") : null;
}

function card(element, n, most) {
  const text = passages.text[n];
  element.replaceChildren(
    made("h3", nameOf(n)),
    lit(made("p"), text.length > most ? text.slice(0, most) + " …" : text),
    made("p", `${map.documents[passages.document[n]].id} · topic: ${topicLabel(passages.topic[n])}`, "quiet"),
  );
}

function pin(n) {
  pinned = n;
  at("pinned").hidden = n < 0;
  if (n >= 0) {
    card(at("pinned"), n, Infinity);
    const close = made("button", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Unpin");
    close.addEventListener("click", () => pin(-1));
    at("pinned").prepend(close);
    at("pinned").scrollIntoView({block: "nearest"});
  }
  redraw();
}

function hover(n, x = 0, y = 0) {
  const tip = at("tip");
  tip.hidden = n < 0;
  canvas.classList.toggle("over", n >= 0);
  if (n >= 0) {
    if (n !== hovered) card(tip, n, 400);
    tip.style.left = Math.max(4, Math.min(x + 14, window.innerWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(4, y + 14 + tip.offsetHeight > window.innerHeight ? y - 14 - tip.offsetHeight : y + 14) + "px";
  }
  if (n !== hovered) {
    hovered = n;
    redraw();
  }
}

// ---- finding

// Of many headings the innermost one, which tells hits of one document apart.
function shortNameOf(n) {
  const title = map.documents[passages.document[n]].title, inner = passages.heading[n].split(" > ").pop();
  return [title, inner].filter((part, k, all) => part && all.indexOf(part) === k).join(" › ") || nameOf(n);
}

// Without a server: passages that have all words, the fewest characters for them first.
function findHere(query) {
  const words = wordsOf(query);
  const has = n => {
    const text = `${nameOf(n)} ${passages.text[n]}`.toLowerCase();
    return words.every(word => text.includes(word));
  };
  return Array.from({length: count}, (_, n) => n).filter(has).sort((a, b) => passages.text[a].length - passages.text[b].length || a - b);
}

async function findThere(query) {
  const answer = await ask("search?" + new URLSearchParams({q: query, k: 100}));
  const number = new Map(passages.id.map((id, n) => [id, n]));
  return answer.hits.map(hit => number.get(hit.id)).filter(n => n !== undefined);
}

async function find(query) {
  const numbers = !query.trim() ? [] : at("data") ? findHere(query) : await findThere(query);
  found = new Map(numbers.map((n, rank) => [n, rank + 1]));
  at("hits-part").hidden = !numbers.length;
  at("hits").replaceChildren(...numbers.slice(0, LISTED).map((n, rank) => {
    const item = made("li"), button = made("button", `${rank + 1}. ${shortNameOf(n)}`);
    button.type = "button";
    button.addEventListener("click", () => { pin(n); show([n]); });
    item.append(button);
    return item;
  }));
  const all = numbers.length > LISTED ? `; the first ${LISTED} are listed` : "";
  say(!query.trim() ? "" : numbers.length ? `${numbers.length} passages are ringed${all}.` : "Nothing found on this map.");
  redraw();
}

// ---- hands

let held = new Map(), moved = 0;  // pointers that are down, and how far they went

canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId);
  held.set(event.pointerId, [event.offsetX, event.offsetY]);
  if (held.size === 1) moved = 0;
});
canvas.addEventListener("pointermove", event => {
  if (!map) return;
  const before = held.get(event.pointerId), now = [event.offsetX, event.offsetY];
  if (!before) return hover(nearest(...now), event.clientX, event.clientY);
  hover(-1);
  moved += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
  const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
  held.set(event.pointerId, now);
  if (!other) return moveBy(now[0] - before[0], now[1] - before[1]);
  const apart = point => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
  zoomBy(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
});
canvas.addEventListener("pointerup", event => {
  if (map && held.size === 1 && moved < 5) pin(nearest(event.offsetX, event.offsetY));
  held.delete(event.pointerId);
});
canvas.addEventListener("pointercancel", event => held.delete(event.pointerId));
canvas.addEventListener("pointerleave", () => hover(-1));
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  hover(-1);
  zoomBy(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
}, {passive: false});
canvas.addEventListener("keydown", event => {
  const steps = {ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60]};
  if (steps[event.key]) moveBy(...steps[event.key]);
  else if (event.key === "+" || event.key === "=") zoomBy(1.4);
  else if (event.key === "-") zoomBy(1 / 1.4);
  else if (event.key === "0") showAll();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", event => { if (event.key === "Escape") pin(-1); });
at("in").addEventListener("click", () => zoomBy(1.6));
at("out").addEventListener("click", () => zoomBy(1 / 1.6));
at("all").addEventListener("click", showAll);
at("colour").addEventListener("change", colour);
at("form").addEventListener("submit", event => {
  event.preventDefault();
  if (map) find(at("query").value).catch(error => say(error.message, true));
  else begin();
});
new ResizeObserver(redraw).observe(canvas);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// ---- beginning

async function ask(path) {
  const key = at("key") ? at("key").value.trim() : "";
  const answer = await fetch(path, {headers: key ? {Authorization: "Bearer " + key} : {}});
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error ? body.error.message : "the server answered " + answer.status);
  return body;
}

// The server draws in the background; until it has, this page asks again.
async function fetched() {
  for (;;) {
    const state = await ask("map/state");
    if (state.drawn !== null) return {...await ask("map/data"), note: state.drawing ? "The documents have changed since; a new map is being drawn." : ""};
    if (state.failed) throw new Error(state.failed);
    say("The map is being drawn; the first time takes some minutes for many documents.");
    await new Promise(done => setTimeout(done, 1500));
  }
}

let beginning = false;
async function begin() {
  if (beginning) return;
  beginning = true;
  try {
    map = at("data") ? JSON.parse(at("data").textContent) : await fetched();
    passages = map.passages;
    count = passages.id.length;
    const some = map.of > count ? ` of ${map.of.toLocaleString("en")}` : "";
    half = {x: Math.max(.3, span(passages.x, .005)[1]), y: Math.max(.3, span(passages.y, .005)[1])};
    at("name").textContent = document.title = `Map of ${map.name}`;
    at("facts").textContent = `${count.toLocaleString("en")}${some} passages, ${map.documents.length.toLocaleString("en")} documents, by ${map.model || "a model without a name"}`;
    at("legend-part").hidden = false;
    offerColours();
    colour();
    say(map.note || "");
    if (at("key")) sessionStorage.setItem("key", at("key").value);
    if (at("query").value) await find(at("query").value);
  } catch (error) {
    say(error.message, true);
  } finally {
    beginning = false;
  }
}

at("query").value = new URLSearchParams(location.search).get("q") || "";
if (at("key")) {
  at("key").value = sessionStorage.getItem("key") || "";
  at("key").addEventListener("change", () => { if (!map) begin(); });
}
if (!at("key") || at("key").value) begin();
else say("Give an API key.");
