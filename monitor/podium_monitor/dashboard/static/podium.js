// Values under the pointer, arrow keys through a chart, the theme, and live updates. Every page works without this file.
"use strict";

const tip = document.getElementById("tip");
const said = document.getElementById("said");

// Browsers show an SVG's <title> as a tooltip over the whole picture; aria-label holds the same text.
const tidy = (root) => { for (const title of root.querySelectorAll("svg.chart > title")) title.remove(); };

const textOf = (mark, x) => {
  if (mark.dataset.tip) return mark.dataset.tip;
  const cells = mark.dataset.cells.split("|"), days = mark.parentNode.dataset.columns.split("|");
  const box = mark.getBoundingClientRect();
  const index = Math.min(cells.length - 1, Math.max(0, Math.floor((x - box.left) / box.width * cells.length)));
  return `${mark.dataset.row} · ${days[index]} · PSI ${cells[index]}`;
};

const show = (text, x, y) => {
  tip.textContent = text;
  tip.hidden = false;
  const width = tip.offsetWidth, height = tip.offsetHeight;
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${y - height - 14 > 8 ? y - height - 14 : y + 18}px`;
};
const hide = () => { tip.hidden = true; };

let lit = null;
const light = (mark) => {
  lit?.classList.remove("lit");
  lit = mark;
  lit?.classList.add("lit");
};

document.addEventListener("pointermove", (event) => {
  const mark = event.target instanceof Element ? event.target.closest("[data-tip], [data-cells]") : null;
  light(mark?.dataset.tip ? mark : null);
  if (mark) show(textOf(mark, event.clientX), event.clientX, event.clientY); else hide();
});
document.addEventListener("scroll", hide, { passive: true, capture: true });

document.addEventListener("keydown", (event) => {
  const chart = document.activeElement?.closest?.("svg.chart");
  if (!chart) return;
  if (event.key === "Escape") { light(null); hide(); return; }
  const forward = event.key === "ArrowRight" || event.key === "ArrowDown";
  if (!forward && event.key !== "ArrowLeft" && event.key !== "ArrowUp") return;
  const marks = [...chart.querySelectorAll("[data-tip]")];
  if (!marks.length) return;
  event.preventDefault();
  const at = marks.indexOf(lit);
  const next = at < 0 ? (forward ? 0 : marks.length - 1) : Math.min(marks.length - 1, Math.max(0, at + (forward ? 1 : -1)));
  light(marks[next]);
  const box = marks[next].getBoundingClientRect();
  show(marks[next].dataset.tip, box.left + box.width / 2, box.top + box.height / 2);
  said.textContent = marks[next].dataset.tip;
});
document.addEventListener("focusout", () => { light(null); hide(); });

const button = document.getElementById("theme");
const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
button.hidden = false;
name();
button.addEventListener("click", () => {
  document.documentElement.dataset.theme = dark() ? "light" : "dark";
  try { localStorage.setItem("podium-theme", document.documentElement.dataset.theme); } catch { /* it holds for this page */ }
  name();
});

// Every 10 s (sooner where it says that more is to come) the page is asked for again; nothing moves unless something has changed. What somebody has opened stays
// open, and what has the focus is left alone until the next time.
const EVERY = 10_000, SOON = 1_500;
let etag = null;
const live = document.getElementById("live");

const replace = (fresh) => {
  for (const next of fresh.querySelectorAll("[data-live][id]")) {
    const now = document.getElementById(next.id);
    if (!now || now.contains(document.activeElement)) continue;
    tidy(next);
    for (const open of now.querySelectorAll("details[open][id]")) {
      next.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    }
    if (!now.isEqualNode(next)) { light(null); hide(); now.replaceWith(next); }
  }
  const foot = fresh.getElementById("live");
  if (foot && live.textContent !== foot.textContent) live.textContent = foot.textContent;
  soon();
};

const soon = () => { if (document.querySelector("[data-soon]")) setTimeout(look, SOON); };

const look = async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: etag ? { "If-None-Match": etag } : {}, redirect: "manual" });
    if (answer.type === "opaqueredirect") { live.textContent = "Your sign-in has ended: reload to sign in again."; return; }
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(String(answer.status));
    etag = answer.headers.get("ETag");
    replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
  } catch {
    live.textContent = "The monitor does not answer: what is shown may be old.";
  }
};

tidy(document);
if (document.querySelector("[data-live]")) setInterval(look, EVERY);
soon();
