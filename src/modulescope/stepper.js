(() => {
"use strict";
const make = (tag, name, parent, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
};
const start = root => {
  root.dataset.ready = "1";
  const all = root.querySelector(".ms-all"), code = root.querySelector(".ms-code");
  const rows = [...all.querySelectorAll("ol > li")], last = rows.length - 1;
  if (last < 0) return;
  const live = make("div", "ms-live");
  live.setAttribute("role", "group");
  live.setAttribute("aria-label", "Stepper: use the arrow keys, Home and End");
  // A click anywhere on the stepper brings the arrow keys to it.
  live.tabIndex = -1;
  const bar = make("div", "ms-bar", live);
  const button = (text, action, name) => {
    const node = make("button", name || "", bar, text);
    node.type = "button";
    node.addEventListener("click", action);
    return node;
  };
  let now = 0, timer = 0;
  const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
  const back = button("Back", () => { stop(); go(now - 1); });
  const next = button("Next", () => { stop(); go(now + 1); }, "ms-main");
  const play = button("Play", () => {
    if (timer) return stop();
    if (now === last) go(0);
    play.textContent = "Pause";
    timer = setInterval(() => { go(now + 1); if (now === last) stop(); }, 1100);
  });
  const slider = make("input", "", bar);
  Object.assign(slider, {type: "range", min: 1, max: last + 1, value: 1});
  slider.setAttribute("aria-label", "Step");
  slider.addEventListener("input", () => { stop(); go(slider.value - 1); });
  const say = make("p", "ms-say", live);
  say.setAttribute("aria-live", "polite");
  const top = make("div", "", live), grid = make("div", "ms-grid", live);
  const pane = (parent, name, label, tag) => {
    make("div", "ms-head", parent, label);
    const box = make("div", "ms-pane " + name, parent);
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", label);
    return tag ? make(tag, "", box) : box;
  };
  const source = pane(top, "ms-source", "Source that runs"), head = top.firstChild;
  const stack = pane(make("div", "", grid), "", "Open calls", "ol");
  const values = pane(make("div", "", grid), "", "Variables in this line", "ul");
  const dict = pane(make("div", "", grid), "", "What has happened so far", "ul");
  const listings = [...code.querySelectorAll("pre")].map(node => source.appendChild(node.cloneNode(true)));
  const grown = [];
  rows.forEach((row, step) => row.querySelectorAll(":scope > ins").forEach(ins => {
    const item = make("li", "", dict);
    make("code", "", item, ins.textContent.replace(/^\+ /, ""));
    grown.push([step, item, ins.dataset.v]);
  }));
  const names = new Set(grown.map(entry => entry[2]));
  dict.parentNode.previousSibling.textContent = names.has(undefined) || !names.size
    ? "What has happened" : "What has grown: " + [...names].join(", ");
  const reveal = (node, box) => {
    const top = node.offsetTop;
    if (top < box.scrollTop + 24 || top > box.scrollTop + box.clientHeight - 48)
      box.scrollTop = Math.max(0, top - box.clientHeight / 2);
  };
  const text = row => row.querySelector("span").textContent;
  const go = step => {
    now = Math.min(last, Math.max(0, step));
    const row = rows[now];
    slider.value = now + 1;
    const added = [...row.querySelectorAll(":scope > ins")].map(ins => ins.textContent);
    const brief = added.length > 3 ? `${added.length} new entries` : added.join(", ");
    const said = [text(row), brief].filter(Boolean).join(": ");
    const place = row.querySelector(":scope > b");
    say.textContent = `Step ${now + 1} of ${last + 1}. ${place ? place.textContent + ": " : ""}${said}`;
    slider.setAttribute("aria-valuetext", say.textContent);
    back.setAttribute("aria-disabled", now === 0);
    next.setAttribute("aria-disabled", now === last);
    const open = row.dataset.s.split(" ").filter(Boolean).map(call => text(rows[call]));
    stack.replaceChildren(...open.map((call, d) => {
      const item = make("li");
      make("code", "", item, call);
      item.style.paddingLeft = `${1.1 + d}em`;
      return item;
    }));
    stack.parentNode.scrollTop = stack.parentNode.scrollHeight;
    values.replaceChildren(...[...row.querySelectorAll(":scope > small > span")].map(pair => {
      const item = make("li");
      make("code", "", item, pair.textContent);
      return item;
    }));
    let fresh = null;
    grown.forEach(([at, item]) => {
      item.hidden = at > now;
      item.classList.toggle("ms-fresh", at === now);
      if (at <= now) fresh = item;
    });
    if (fresh) reveal(fresh, dict.parentNode);
    listings.forEach(listing => { listing.hidden = listing.dataset.f !== row.dataset.f; });
    source.querySelectorAll(".ms-now").forEach(line => line.classList.remove("ms-now"));
    const listing = listings[+row.dataset.f];
    const line = listing && listing.querySelector(`[data-l="${row.dataset.l}"]`);
    if (listing) head.textContent = listing.dataset.n;
    if (line) { line.classList.add("ms-now"); reveal(line, source); }
    rows.forEach(other => other.removeAttribute("aria-current"));
    row.setAttribute("aria-current", "step");
    root.dataset.step = now + 1;
  };
  const keys = {ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity};
  live.addEventListener("keydown", event => {
    if (!(event.key in keys) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    stop();
    go(now + keys[event.key]);
  });
  code.hidden = true;
  all.open = false;
  root.prepend(live);
  addEventListener("beforeprint", () => { all.open = true; });
  go(0);
};
document.querySelectorAll(".modulescope .ms-stepper:not([data-ready])").forEach(start);
})();
