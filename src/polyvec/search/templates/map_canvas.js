// The map on its canvas: where passages are on the screen, and how they and the names of topics are drawn.

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
