// Brings in what changed, so that nobody has to load the page again. Everything that it shows was rendered, and escaped, by the coordinator.
"use strict";

const GALLERY_PAUSE = 2000;
const LOST_PAUSE = 5000;
// Browsers keep six connections to a host, and pictures need some.
const MOST_STREAMS = 3;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const byId = (id) => document.getElementById(id);

/** Fetches a rendered part; nothing while it cannot be had. Who is not logged in any more is sent to the login. */
async function part(address, selector) {
  let answer;
  try {
    answer = await fetch(address, { headers: { accept: "text/html" } });
  } catch {
    return null;
  }
  if (answer.status === 401) location.reload();
  if (!answer.ok) return null;
  const parsed = new DOMParser().parseFromString(await answer.text(), "text/html");
  return parsed.querySelector(selector);
}

/** Puts `fresh` in the place of `old`, with the pictures that are the same, and with what the reader has opened, chosen and focused. */
function replace(old, fresh) {
  const focused = document.activeElement?.id;
  for (const node of fresh.querySelectorAll("[data-keep]")) {
    const same = old.querySelector(`[data-keep="${CSS.escape(node.dataset.keep)}"]`);
    if (same) node.replaceWith(same);
  }
  for (const node of fresh.querySelectorAll("details[id], input[id]")) {
    const before = byId(node.id);
    if (!before || !old.contains(before)) continue;
    if (node.tagName === "DETAILS") node.open = before.open;
    else if (before.dataset.chosen) {
      node.checked = before.checked;
      node.dataset.chosen = "yes";
    }
  }
  old.replaceWith(fresh);
  times(fresh);
  if (focused && document.activeElement?.id !== focused) byId(focused)?.focus({ preventScroll: true });
}

/** Turns times into how long ago they were. */
function times(root) {
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
  for (const time of root.querySelectorAll("time")) {
    const then = Date.parse(time.dateTime);
    if (Number.isNaN(then)) continue;
    time.title = new Date(then).toLocaleString();
    const seconds = Math.max(0, Math.round((Date.now() - then) / 1000));
    const [size, unit] = units.find(([size]) => seconds >= size) ?? units[3];
    time.textContent = seconds < 10 ? "just now" : words.format(-Math.floor(seconds / size), unit);
  }
}

function say(text) {
  const said = byId("said");
  if (said.textContent !== text) said.textContent = text;
}

function picture(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
}

/** Shows a preview in `image` and lets go of the one before. */
function preview(image, base64) {
  const before = image.src;
  image.src = picture(base64);
  image.hidden = false;
  if (before.startsWith("blob:")) URL.revokeObjectURL(before);
}

/** Follows one request on its page. */
function followRequest(first) {
  let live = first;
  let latest = null;
  let stream = null;
  let asked = false;
  let again = false;

  const progress = () => {
    const bar = byId("progress");
    if (!bar || !latest) return;
    if (latest.total) {
      bar.max = latest.total;
      bar.value = latest.step;
    } else bar.removeAttribute("value");
    byId("step").textContent = latest.total ? `step ${latest.step} of ${latest.total}` : `step ${latest.step}`;
    const image = byId("preview");
    if (latest.preview && image) preview(image, latest.preview);
  };

  // One look at a time; what changes meanwhile is looked at once more.
  const look = async () => {
    if (asked) {
      again = true;
      return;
    }
    asked = true;
    do {
      again = false;
      const fresh = await part(`/requests/${live.dataset.request}/live`, "#live");
      if (!fresh) {
        await pause(LOST_PAUSE);
        again = true;
        continue;
      }
      const image = fresh.querySelector("#preview");
      const seen = byId("preview");
      if ("active" in fresh.dataset && image && seen && !seen.hidden) image.replaceWith(seen);
      replace(live, fresh);
      live = fresh;
      say(live.dataset.said);
      if (!("active" in live.dataset)) stream?.close();
      else progress();
    } while (again);
    asked = false;
  };

  if (!("active" in live.dataset)) return;
  stream = new EventSource(`/v1/requests/${live.dataset.request}/events`);
  let kind = null;
  stream.addEventListener("request", look);
  stream.addEventListener("progress", (event) => {
    latest = JSON.parse(event.data);
    if (latest.kind !== kind) {
      kind = latest.kind;
      if (!live.querySelector(`.job.${CSS.escape(kind)}`)) look();
    }
    progress();
  });
}

/** Looks at the gallery again and again while somebody sees it, and shows previews of what is being drawn. */
async function followGallery(first) {
  let gallery = first;
  const streams = new Map();

  const follow = () => {
    const cards = [...gallery.querySelectorAll("[data-follow]")];
    const ids = new Set(cards.map((card) => card.dataset.follow));
    for (const [id, stream] of streams) {
      if (ids.has(id) && !document.hidden) continue;
      stream.close();
      streams.delete(id);
    }
    if (document.hidden) return;
    // The oldest are done next.
    for (const id of [...ids].reverse()) {
      if (streams.size >= MOST_STREAMS || streams.has(id)) continue;
      const stream = new EventSource(`/v1/requests/${id}/events`);
      streams.set(id, stream);
      stream.addEventListener("progress", (event) => {
        const { preview: base64 } = JSON.parse(event.data);
        const canvas = byId(`card-${id}`)?.querySelector(".canvas");
        if (!base64 || !canvas) return;
        let image = canvas.querySelector(".preview");
        if (!image) {
          image = document.createElement("img");
          image.className = "picture preview";
          image.alt = "";
          canvas.append(image);
        }
        preview(image, base64);
      });
    }
  };

  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => streams.forEach((stream) => stream.close()));
  let before = gallery.outerHTML;
  follow();
  times(gallery);
  for (;;) {
    await pause(GALLERY_PAUSE);
    if (document.hidden) continue;
    const fresh = await part(gallery.dataset.live, "#gallery");
    if (!fresh) {
      await pause(LOST_PAUSE);
      continue;
    }
    const text = fresh.outerHTML;
    if (text === before) {
      times(gallery);
      continue;
    }
    before = text;
    for (const card of fresh.querySelectorAll("[data-follow]")) {
      const seen = byId(`card-${card.dataset.follow}`)?.querySelector(".preview");
      if (seen) card.querySelector(".canvas")?.append(seen);
    }
    const focused = document.activeElement?.closest?.("li[id^=card-]")?.id;
    replace(gallery, fresh);
    gallery = fresh;
    if (focused) byId(focused)?.querySelector("a")?.focus({ preventScroll: true });
    follow();
  }
}

/** Rows for more reference pictures, as many as are allowed. */
function references(field) {
  const more = field.querySelector("[data-more]");
  more.hidden = false;
  more.addEventListener("click", () => {
    const rows = field.querySelectorAll(".reference");
    const row = rows[0].cloneNode(true);
    row.querySelectorAll("input").forEach((input) => { input.value = ""; });
    rows[rows.length - 1].after(row);
    row.querySelector("input").focus();
    more.hidden = rows.length + 1 >= Number(field.dataset.most);
  });
}

document.addEventListener("change", (event) => {
  if (event.target.dataset?.shows) event.target.dataset.chosen = "yes";
});
// A prompt is sent as in a chat: Enter draws, Shift and Enter begins a line.
byId("prompt")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", () => {
    // Not before the form is read.
    setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
}
// Coming back by the browser's history finds buttons as they were.
addEventListener("pageshow", () => document.querySelectorAll("button").forEach((button) => { button.disabled = false; }));

times(document);
for (const field of document.querySelectorAll(".references")) references(field);
if (byId("live")) followRequest(byId("live"));
if (byId("gallery")) followGallery(byId("gallery"));
