// What every page shares: news of the server, keys, labels.

const byId = (id) => document.getElementById(id);
export const say = (text) => { byId("said").textContent = text; };

// --- settings of this browser ---------------------------------------------------------------------------------
const read = (name, standard) => { try { return localStorage.getItem(name) ?? standard; } catch { return standard; } };
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private window: for this page only */ } };
const keysOn = byId("keys-on"), advance = byId("advance");
keysOn.checked = read("keys", "on") === "on";
advance.checked = read("advance", "off") === "on";
keysOn.addEventListener("change", () => keep("keys", keysOn.checked ? "on" : "off"));
advance.addEventListener("change", () => keep("advance", advance.checked ? "on" : "off"));
export const advances = () => advance.checked;

// --- news -----------------------------------------------------------------------------------------------------
const listeners = [];
export const onNews = (listener) => { listeners.push(listener); };
const feed = byId("feed"), feedText = byId("feed-text");
const showFeed = (state, text) => { feed.className = `feed ${state}`; if (feedText.textContent !== text) feedText.textContent = text; };
const events = new EventSource("/events");
events.onmessage = (event) => {
  const news = JSON.parse(event.data), { source, caught_up, problem } = news.feed;
  showFeed(problem ? "bad" : caught_up ? "good" : "busy", `${source}: ${problem || (caught_up ? "up to date" : "reading")}`);
  listeners.forEach((listener) => listener(news));
};
events.onerror = () => showFeed("bad", "the board does not answer; is `broker-plugin board` still running?");
addEventListener("pagehide", () => events.close());
// A page out of the back/forward cache has lost its stream and may be old.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// --- labels ---------------------------------------------------------------------------------------------------
/** Send a label; resolves to the server's answer, which names problems if there are any. */
export async function sendLabel(fields) {
  const body = new URLSearchParams(fields);
  try {
    const answer = await fetch("/labels", { method: "POST", body, headers: { Accept: "application/json" } });
    return await answer.json().catch(() => ({ problems: [`the board answered ${answer.status}`] }));
  } catch {
    return { problems: ["the board does not answer: the label is not kept"] };
  }
}

/** Ask for the class of a known kind; resolves to null when it is not wanted after all. */
export function askClass(present) {
  const dialog = byId("class-dialog"), other = byId("other-class");
  other.value = present || "";
  return new Promise((resolve) => {
    const finish = (value) => { dialog.removeEventListener("keydown", digits); dialog.close("done"); resolve(value || null); };
    const digits = (event) => {
      if (event.target === other || event.ctrlKey || event.altKey || event.metaKey) return;
      const button = dialog.querySelectorAll("[data-class]")[Number(event.key) - 1];
      if (button && /^[1-9]$/.test(event.key)) { event.preventDefault(); finish(button.dataset.class); }
    };
    dialog.querySelectorAll("[data-class]").forEach((button) => { button.onclick = () => finish(button.dataset.class); });
    dialog.addEventListener("keydown", digits);
    dialog.onclose = () => { if (dialog.returnValue !== "done") finish(dialog.returnValue === "other" ? other.value.trim() : null); };
    dialog.returnValue = "cancel";
    dialog.showModal();
  });
}

/** Ask for a comment; resolves to null when it is not wanted after all. */
export function askComment(present) {
  const dialog = byId("comment-dialog"), text = byId("comment-text");
  text.value = present || "";
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "save" ? text.value.trim() : null);
    text.onkeydown = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) dialog.close("save"); };
    dialog.returnValue = "cancel";
    dialog.showModal();
    text.focus();
  });
}

/** Carry out a key that labels `target` = {key, annotation, verdict, class, comment}; null for any other key. */
export async function labelByKey(key, target) {
  const base = { key: target.key, annotation: target.annotation || "", comment: target.comment || "" };
  if (key === "i") return sendLabel({ ...base, verdict: "interesting" });
  if (key === "a") return sendLabel({ ...base, verdict: "artefact" });
  if (key === "u") return sendLabel({ ...base, verdict: "none", comment: "" });
  if (key === "c") {
    const name = await askClass(target.class);
    return name === null ? null : sendLabel({ ...base, verdict: "known", class: name });
  }
  if (key === "m") {
    const comment = await askComment(target.comment);
    if (comment === null) return null;
    // A comment alone is a label, too: who takes the time to write finds it interesting.
    return sendLabel({ ...base, verdict: target.verdict || "interesting", class: target.class || "", comment });
  }
  return null;
}

// --- keys -----------------------------------------------------------------------------------------------------
const help = byId("help");
byId("help-button").addEventListener("click", () => help.showModal());
const typing = (element) => element.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, [contenteditable]");
const handlers = [];
/** Let `handler(key, event)` see keys that no field and no dialog wants; true says that it acted. */
export const onKey = (handler) => { handlers.push(handler); };
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
  if (event.key === "Escape" && typing(event.target)) { event.target.blur(); return; }
  if (document.querySelector("dialog[open]") || typing(event.target) || !keysOn.checked) return;
  if (event.key === "?") { help.showModal(); event.preventDefault(); return; }
  if (handlers.some((handler) => handler(event.key, event))) event.preventDefault();
});
