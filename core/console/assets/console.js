// Keeps the page up to date: puts in place what the server sends, and touches
// nothing else, so that focus, scroll position and open details stay.
"use strict";
(() => {
  document.documentElement.classList.add("js");
  const $ = (id) => document.getElementById(id);

  // -- ages ------------------------------------------------------------------
  let ahead = 0; // the server's clock minus ours, in ms
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  function age(seconds) {
    if (seconds < 1) return "now";
    const i = units.findIndex(([n]) => seconds >= n);
    const [n, name] = units[i];
    let text = Math.floor(seconds / n) + " " + name;
    if (i < 3 && seconds / n < 10) {
      const rest = Math.floor((seconds % n) / units[i + 1][0]);
      if (rest) text += " " + rest + " " + units[i + 1][1];
    }
    return text + " ago";
  }
  function setAge(t, now) {
    const text = age((now - Date.parse(t.dateTime)) / 1000);
    if (t.textContent !== text) t.textContent = text;
  }
  function setAges() {
    const now = Date.now() + ahead;
    for (const t of document.querySelectorAll("time[data-age]")) setAge(t, now);
  }

  // -- patches ---------------------------------------------------------------
  const parser = document.createElement("template");
  function parse(html) {
    parser.innerHTML = html;
    return parser.content.firstElementChild;
  }
  // morph makes a like b. What the reader opened stays open.
  function morph(a, b) {
    if (a.nodeType !== b.nodeType || a.nodeName !== b.nodeName) {
      a.replaceWith(b);
      return;
    }
    if (a.nodeType !== Node.ELEMENT_NODE) {
      if (a.nodeValue !== b.nodeValue) a.nodeValue = b.nodeValue;
      return;
    }
    const same = a.nodeName === "TIME" && a.getAttribute("datetime") === b.getAttribute("datetime");
    for (const { name } of [...a.attributes]) {
      if (!b.hasAttribute(name) && !(name === "open" && a.nodeName === "DETAILS")) a.removeAttribute(name);
    }
    for (const { name, value } of b.attributes) {
      if (a.getAttribute(name) !== value) a.setAttribute(name, value);
    }
    if (same && a.hasAttribute("data-age")) return;
    const old = [...a.childNodes];
    const now = [...b.childNodes];
    now.forEach((n, i) => (i < old.length ? morph(old[i], n) : a.append(n)));
    for (const n of old.slice(now.length)) n.remove();
  }
  const fresh = new Map(); // rows that are in no list yet, by id
  function setPart({ id, html, rows }) {
    const at = $(id);
    if (rows) {
      if (at) setRows(at, rows);
    } else if (at) {
      morph(at, parse(html));
    } else {
      fresh.set(id, parse(html));
    }
  }
  function setRows(list, ids) {
    const focus = document.activeElement;
    const keep = new Set(ids);
    for (const row of [...list.children]) {
      if (!keep.has(row.id)) row.remove();
    }
    let at = list.firstElementChild;
    for (const id of ids) {
      const row = $(id) || fresh.get(id);
      if (!row) continue;
      if (row === at) at = at.nextElementSibling;
      else list.insertBefore(row, at);
    }
    if (focus && focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
  }

  // -- the stream ------------------------------------------------------------
  let source = null;
  let paused = false;
  let over = false; // the server has said goodbye
  function show(state, word) {
    $("live").dataset.state = state;
    if ($("live-word").textContent !== word) $("live-word").textContent = word;
  }
  function query() {
    const q = new URLSearchParams();
    for (const [name, id] of [["mesh", "mesh-filter"], ["refusal", "refusal-filter"]]) {
      const text = $(id).value.trim();
      if (text) q.set(name, text);
    }
    if ($("mesh-sort").value !== "peers") q.set("sort", $("mesh-sort").value);
    return q.toString();
  }
  function close() {
    if (source) source.close();
    source = null;
  }
  function open() {
    close();
    if (paused || over || document.hidden) return;
    const q = query();
    source = new EventSource("live" + (q ? "?" + q : ""));
    const mine = source;
    source.addEventListener("parts", (e) => {
      for (const part of JSON.parse(e.data)) setPart(part);
      fresh.clear();
      setAges();
    });
    source.addEventListener("at", (e) => {
      ahead = Number(e.data) - Date.now();
      show("on", "Live");
    });
    source.addEventListener("bye", (e) => {
      close();
      if (e.data === "signin") {
        over = true;
        show("off", "Signed out");
        say("The sign-in is over. Load the page again to sign in.");
      } else {
        show("wait", "The broker stops");
        setTimeout(retry, 2000);
      }
    });
    source.onerror = () => {
      if (source !== mine) return;
      show("wait", "Reconnecting");
      if (mine.readyState === EventSource.CLOSED) {
        close();
        setTimeout(retry, 5000);
      }
    };
  }
  // retry opens the stream again, after it has asked whether that is of any use.
  async function retry() {
    if (source || paused || over || document.hidden) return;
    try {
      const r = await fetch("live", { method: "HEAD" });
      if (r.status === 401) {
        over = true;
        show("off", "Signed out");
        say("The sign-in is over. Load the page again to sign in.");
      } else if (r.status === 503) {
        show("wait", "Too many pages are open");
        setTimeout(retry, 15000);
      } else {
        open();
      }
    } catch {
      setTimeout(retry, 3000);
    }
  }

  // -- what the reader does ----------------------------------------------------
  let said = 0;
  function say(text) {
    const p = $("say");
    p.textContent = p.textContent === text ? text + "\u00a0" : text; // the same words are read again
    clearTimeout(said);
    said = setTimeout(() => { p.textContent = ""; }, 8000);
  }
  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    if (paused) {
      close();
      show("off", "Paused");
    } else {
      show("wait", "Connecting");
      open();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      if (!paused && !over) show("wait", "Asleep");
    } else {
      open();
    }
  });

  let typing = 0;
  function choose() {
    const q = query();
    history.replaceState(null, "", (q ? "?" + q : location.pathname) + location.hash);
    paused ? say("Updates are paused, so the list stays as it is.") : open();
  }
  for (const form of document.querySelectorAll("form.filter")) {
    form.addEventListener("submit", (e) => { e.preventDefault(); clearTimeout(typing); choose(); });
    form.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(choose, 250); });
  }

  async function copy(text, from) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS and not on this machine, browsers have no clipboard for us.
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      from.focus({ preventScroll: true });
      if (!done) return say("The browser did not let the page copy: " + text);
    }
    const before = from.textContent;
    if (before !== "Copied") {
      from.textContent = "Copied";
      setTimeout(() => { from.textContent = before; }, 1500);
    }
    say("Copied " + text);
  }
  document.addEventListener("click", (e) => {
    const button = e.target.closest("button[data-copy]");
    if (button) copy(button.dataset.copy, button);
  });

  document.addEventListener("submit", async (e) => {
    const form = e.target.closest("form.verify");
    if (!form) return;
    e.preventDefault();
    const button = form.querySelector("button");
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    try {
      const r = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (r.ok) {
        say("The audit log is being verified.");
        return;
      }
      say((await r.text()).trim());
    } catch {
      say("The broker cannot be reached.");
    }
    button.removeAttribute("aria-disabled");
  });

  setAges();
  setInterval(() => { if (!paused) setAges(); }, 1000);
  show("wait", "Connecting");
  open();
})();
