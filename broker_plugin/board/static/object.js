// The page of one light curve: keys, and labels without leaving it.
import { advances, labelByKey, onKey, onNews, say, sendLabel } from "./common.js";

const byId = (id) => document.getElementById(id);
const go = (id) => { const link = byId(id); if (link) link.click(); return Boolean(link); };
const target = () => ({ ...byId("labels").dataset });
let busy = false;

async function labelled(answer) {
  if (answer === null) return;
  if (answer.problems) { byId("label-problem").textContent = answer.problems.join("; "); return; }
  const what = answer.verdict === "none" ? "label taken back" : `labelled ${answer.class || answer.verdict}`;
  if (advances() && byId("next")) { go("next"); return; }
  await refresh();
  say(what);
}

/** Draw the part of the page that labels change anew, as the server sees it. */
async function refresh() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("labels");
  if (fresh) { byId("labels").replaceWith(document.adoptNode(fresh)); listen(); }
}

function listen() {
  byId("label-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    await labelled(await sendLabel(new FormData(event.target)));
  });
}
listen();

onKey((key) => {
  if (key === "j" || key === "ArrowDown" && !scrolls()) return go("next");
  if (key === "k" || key === "ArrowUp" && !scrolls()) return go("previous");
  if (key === "l" || key === "Escape") return go("to-list");
  if (!"iacum".includes(key) || busy) return false;
  busy = true;
  labelByKey(key, target()).then(labelled).finally(() => { busy = false; });
  return true;
});
const scrolls = () => document.documentElement.scrollHeight > innerHeight + 4;

let first = true;
onNews(() => {
  // The first message tells what the page shows already.
  if (first) { first = false; return; }
  if (!busy && !byId("labels").contains(document.activeElement)) refresh();
});
