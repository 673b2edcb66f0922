// The list: as many rows as there are, drawn only where one looks.
import { advances, labelByKey, onKey, onNews, say } from "./common.js";

const byId = (id) => document.getElementById(id);
const scroll = byId("scroll"), table = byId("rows"), body = table.tBodies[0], form = byId("filter");
const PAGE = 100, OVERSCAN = 12, MOST_PAGES = 60;
const rowHeight = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--row"));

let total = Number(table.dataset.total), known = Number(table.dataset.changed);
let pages = new Map();      // page number -> array of <tr>, or the promise of it
let generation = 0;         // of filter and order: answers to an earlier question are dropped
let at = -1, atKey = "";    // the chosen row
const top = spacer(), bottom = spacer();

function spacer() {
  const row = document.createElement("tr");
  row.className = "space"; row.setAttribute("aria-hidden", "true");
  row.append(document.createElement("td"));
  return row;
}
const query = () => {
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) fields.set(name, value);
  return fields;
};

// --- rows from the server -------------------------------------------------------------------------------------
async function load(page) {
  const fields = query();
  fields.set("offset", page * PAGE); fields.set("limit", PAGE);
  const asked = generation, answer = await fetch(`/rows?${fields}`);
  const found = await answer.json();
  if (asked !== generation) return null;
  showProblems(found.problems);
  if (found.problems) { total = 0; return []; }
  total = found.total;
  showTotals(found.totals);
  const template = document.createElement("template");
  template.innerHTML = found.html;
  const rows = [...template.content.querySelectorAll("tr")];
  for (const row of rows) if (Number(row.dataset.changed) > known) row.classList.add("fresh");
  return rows;
}

function ensure(page) {
  if (pages.has(page)) return;
  const promise = load(page).then((rows) => {
    if (rows === null) return;
    pages.set(page, rows);
    if (pages.size > MOST_PAGES) pages.delete(farthest());
    draw();
  }).catch(() => pages.delete(page));
  pages.set(page, promise);
}
const farthest = () => {
  const here = Math.floor(scroll.scrollTop / rowHeight() / PAGE);
  return [...pages.keys()].reduce((a, b) => (Math.abs(a - here) > Math.abs(b - here) ? a : b));
};

// --- what is drawn --------------------------------------------------------------------------------------------
function draw() {
  const height = rowHeight();
  const first = Math.max(0, Math.floor(scroll.scrollTop / height) - OVERSCAN);
  const last = Math.min(total, Math.ceil((scroll.scrollTop + scroll.clientHeight) / height) + OVERSCAN);
  const rows = [];
  for (let n = first; n < last; n++) {
    const held = pages.get(Math.floor(n / PAGE));
    if (Array.isArray(held)) { if (held[n % PAGE]) rows.push(held[n % PAGE]); }
    else { ensure(Math.floor(n / PAGE)); rows.push(pending(n)); }
  }
  const focused = document.activeElement?.closest?.("#rows tbody tr")?.dataset.key;
  // As wide as the columns that this screen shows; more would make columns of their own.
  const columns = [...table.tHead.rows[0].cells].filter((cell) => cell.offsetParent !== null).length;
  for (const row of [top, bottom, ...waiting.values()]) row.firstChild.colSpan = columns;
  top.firstChild.style.height = `${first * height}px`;
  bottom.firstChild.style.height = `${Math.max(0, total - last) * height}px`;
  body.replaceChildren(top, ...rows, bottom);
  table.setAttribute("aria-rowcount", total + 1);
  mark(Boolean(focused) && focused === atKey);
  byId("total").textContent = total;
  byId("empty").hidden = total > 0 || Boolean(byId("problem").textContent);
}
const waiting = new Map();
function pending(n) {
  // One row for each place: the same element again and again would move instead of repeat.
  if (!waiting.has(n % 200)) {
    const row = document.createElement("tr"), cell = document.createElement("td");
    cell.textContent = "…"; row.append(cell);
    waiting.set(n % 200, row);
  }
  return waiting.get(n % 200);
}
let drawing = false;
scroll.addEventListener("scroll", () => {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => { drawing = false; draw(); });
}, { passive: true });
addEventListener("resize", draw);

function showProblems(problems) {
  byId("problem").textContent = problems ? Object.values(problems).join("\n") : "";
  byId("q").toggleAttribute("aria-invalid", Boolean(problems?.q));
}
function showTotals(totals) {
  const waiting = totals.unpublished ? `; ${totals.unpublished} labels wait to be published` : "";
  byId("of").textContent = `of ${totals.light_curves} light curves; ${totals.labelled} labelled${waiting}`;
}

/** Ask anew; pages stay on the screen until their successors are here. */
function reload({ toTop }) {
  generation++;
  const old = pages;
  pages = new Map();
  if (toTop) { scroll.scrollTop = 0; at = -1; atKey = ""; }
  const page = Math.max(0, Math.floor(scroll.scrollTop / rowHeight() / PAGE));
  const asked = generation;
  const around = [page, page + 1].filter((n) => n * PAGE < Math.max(total, 1));
  return Promise.all(around.map((n) => load(n))).then((found) => {
    if (asked !== generation) return;
    around.forEach((n, i) => { if (found[i]) pages.set(n, found[i]); });
    draw();
  }).catch(() => { if (asked === generation) pages = old; });
}

// --- filter and order -----------------------------------------------------------------------------------------
let timer = 0;
function changed(delay) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const fields = query();
    for (const [name, standard] of [["novel", "now"], ["label", "any"], ["sort", "energy"], ["order", "desc"]]) {
      if (fields.get(name) === standard) fields.delete(name);
    }
    history.replaceState(null, "", fields.size ? `/?${fields}` : "/");
    chips();
    reload({ toTop: true }).then(() => {
      if (!total) byId("empty").textContent = "Nothing passes the filter.";
      say(`${total} light curves`);
    });
  }, delay);
}
form.addEventListener("submit", (event) => { event.preventDefault(); changed(0); });
form.addEventListener("input", (event) => { if (!event.target.closest("#add")) changed(event.target.tagName === "SELECT" ? 0 : 250); });
table.tHead.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-sort]");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const { sort, order } = form.elements, again = sort.value === link.dataset.sort;
  order.value = again && order.value === "desc" ? "asc" : "desc";
  sort.value = link.dataset.sort;
  for (const cell of table.tHead.rows[0].cells) {
    const mine = cell.contains(link), shown = cell.querySelector("a span[aria-hidden]");
    cell.toggleAttribute("aria-sort", mine);
    if (mine) cell.setAttribute("aria-sort", order.value === "desc" ? "descending" : "ascending");
    shown?.remove();
  }
  const arrow = document.createElement("span");
  arrow.setAttribute("aria-hidden", "true"); arrow.textContent = order.value === "desc" ? " ▾" : " ▴";
  link.append(arrow);
  changed(0);
});

// Clauses as chips, and a way to add one without knowing the language.
const line = byId("q"), split = (text) => text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) || [];
function chips() {
  byId("chips").replaceChildren(...split(line.value).map((clause, n) => {
    const chip = document.createElement("button");
    chip.type = "button"; chip.className = "chip"; chip.textContent = `${clause} ✕`;
    chip.setAttribute("aria-label", `remove ${clause}`);
    chip.addEventListener("click", () => {
      line.value = split(line.value).filter((_, i) => i !== n).join(" ");
      changed(0); line.focus();
    });
    return chip;
  }));
}
const NAMES = { class: "class-names", flags: "flag-names" }, ONLY_EQUAL = ["class", "cone", "band", "survey"];
const addName = byId("add-name"), addSign = byId("add-sign"), addValue = byId("add-value");
function offer() {
  const words = NAMES[addName.value] ? byId(NAMES[addName.value]).textContent.split(",") : [];
  byId("add-values").replaceChildren(...words.map((word) => Object.assign(document.createElement("option"), { value: word })));
  if (ONLY_EQUAL.includes(addName.value)) addSign.value = "=";
  else if (addName.value === "flags") addSign.value = "!=";
  else if (addSign.value === "=" || addSign.value === "!=") addSign.value = addName.value === "p" ? "<=" : ">=";
}
function add() {
  const value = addValue.value.trim().replace(/\s*,\s*|\s+/g, ",");
  if (!value) { addValue.focus(); return; }
  line.value = `${line.value.trim()} ${addName.value}${addSign.value}${value}`.trim();
  addValue.value = "";
  changed(0);
}
addName.addEventListener("change", offer);
byId("add-button").addEventListener("click", add);
addValue.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); add(); } });

// --- the chosen row -------------------------------------------------------------------------------------------
function rowAt(n) {
  const held = pages.get(Math.floor(n / PAGE));
  return Array.isArray(held) ? held[n % PAGE] : undefined;
}
function mark(focus) {
  for (const row of body.querySelectorAll("tr.at")) row.classList.remove("at");
  const row = at >= 0 ? rowAt(at) : undefined;
  if (!row) return;
  row.classList.add("at");
  if (focus && row.isConnected) row.querySelector("a").focus({ preventScroll: true });
}
function choose(n) {
  if (!total) return;
  at = Math.min(Math.max(n, 0), total - 1);
  const height = rowHeight(), head = table.tHead.offsetHeight, y = at * height;
  if (y < scroll.scrollTop) scroll.scrollTop = y;
  else if (y + height + head > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = y + height + head - scroll.clientHeight;
  draw();
  atKey = rowAt(at)?.dataset.key || "";
  mark(true);
}
body.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-key]");
  if (row && row.dataset.key !== atKey) { at = Number(row.getAttribute("aria-rowindex")) - 2; atKey = row.dataset.key; mark(false); }
});

let busy = false;
onKey((key) => {
  if (key === "j" || key === "ArrowDown") { choose(at + 1); return true; }
  if (key === "k" || key === "ArrowUp") { choose(at - 1); return true; }
  if (key === "Enter" && at >= 0 && document.activeElement === document.body) { rowAt(at)?.querySelector("a").click(); return true; }
  if (key === "/") { line.focus(); line.select(); return true; }
  const row = at >= 0 ? rowAt(at) : undefined;
  if (!row || busy || !"iacum".includes(key)) return false;
  busy = true;
  labelByKey(key, row.dataset).then((answer) => {
    if (answer?.problems) byId("problem").textContent = answer.problems.join("\n");
    else if (answer) {
      say(answer.verdict === "none" ? "label taken back" : `labelled ${answer.class || answer.verdict}`);
      return reload({ toTop: false }).then(() => choose(at + (advances() && rowAt(at)?.dataset.key === answer.key ? 1 : 0)));
    }
    return undefined;
  }).finally(() => { busy = false; });
  return true;
});

// --- live -----------------------------------------------------------------------------------------------------
let pause = 0;
onNews((news) => {
  showTotals(news.totals);
  if (news.totals.changed <= seen && news.totals.light_curves === curves) return;
  seen = news.totals.changed; curves = news.totals.light_curves;
  // A burst of annotations redraws once a second, and never under somebody's dialog.
  if (!pause) pause = setTimeout(() => { pause = 0; if (!busy) reload({ toTop: false }); }, 1000);
});
let seen = known, curves = -1;

byId("add").hidden = false;
chips();
offer();
if (Number(table.dataset.start) === 0) { pages.set(0, [...body.querySelectorAll("tr[data-key]")]); draw(); }
else reload({ toTop: true });
