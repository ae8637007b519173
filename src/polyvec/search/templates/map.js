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
