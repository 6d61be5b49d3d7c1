// Keeps a page current. One EventSource tells which topics changed, never what: each fragment that names such a
// topic (data-live="endpoints,actions") refetches itself. Server: `event: hello` with {"now": ...},
// `event: change` with {"topics": [...], "ids": [...]}.
//
// No stream: poll every 10 s, and say so. Hidden page: close the stream, catch up when it is seen again.
(() => {
  const DEBOUNCE = 150, APART = 1000, SPREAD = 250, POLL = 10_000, PATIENCE = 5000, HIDDEN_GRACE = 15_000; // ms
  const RETRY_FIRST = 1000, RETRY_MOST = 30_000; // ms
  const url = document.body.dataset.liveUrl;
  const state = document.getElementById("live-state");
  const timers = new WeakMap(), asked = new WeakMap();
  let source = null, failures = 0, retry = null, poll = null, patience = null, grace = null, missed = false;

  // --- Fragments
  const fragments = (topics) => [...document.querySelectorAll("[data-live]")].filter(
    (e) => !topics || e.dataset.live.split(",").some((topic) => topics.includes(topic.trim())),
  );
  const isReading = (e) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.anchorNode && e.contains(selection.anchorNode);
  };
  const fire = (e, patienceLeft) => {
    timers.delete(e);
    if (!e.isConnected) return;
    if (document.hidden) { missed = true; return; }
    // Text being marked would jump away under the pointer: wait, but not for ever.
    if (e.classList.contains("htmx-request") || (isReading(e) && patienceLeft > 0)) {
      timers.set(e, setTimeout(() => fire(e, patienceLeft - 1), APART));
      return;
    }
    asked.set(e, Date.now());
    e.dispatchEvent(new CustomEvent("refresh", { bubbles: false }));
  };
  const schedule = (e) => {
    if (timers.has(e)) return;
    const wait = Math.max(DEBOUNCE, (asked.get(e) ?? 0) + APART - Date.now()) + Math.random() * SPREAD;
    timers.set(e, setTimeout(() => fire(e, 10), wait));
  };
  const refresh = (topics) => fragments(topics).forEach(schedule);

  // --- Words
  const say = (text) => { if (state && state.textContent !== text) state.textContent = text; };

  // --- Stream
  const stopPolling = () => { clearInterval(poll); poll = null; };
  const startPolling = () => {
    if (poll || document.hidden) return;
    say("Live updates are interrupted. This page asks every 10 s.");
    poll = setInterval(() => refresh(), POLL);
  };
  const close = () => {
    source?.close();
    source = null;
    clearTimeout(retry);
    clearTimeout(patience);
    stopPolling();
  };
  const open = () => {
    if (!url || source || document.hidden) return;
    const stream = new EventSource(url);
    source = stream;
    patience ??= setTimeout(startPolling, PATIENCE);
    stream.addEventListener("hello", (event) => {
      clearTimeout(patience);
      patience = null;
      const caughtUp = failures === 0 && !missed && !poll;
      failures = 0;
      missed = false;
      stopPolling();
      say("");
      document.dispatchEvent(new CustomEvent("desk:hello", { detail: parse(event.data) }));
      if (!caughtUp) refresh();
    });
    stream.addEventListener("change", (event) => {
      const { topics } = parse(event.data);
      refresh(Array.isArray(topics) ? topics : null);
    });
    stream.addEventListener("error", () => {
      // One way for every failure: the browser's own retry knows neither backoff nor HTTP errors.
      stream.close();
      if (source !== stream) return;
      source = null;
      failures += 1;
      if (failures > 1) startPolling();
      else patience ??= setTimeout(startPolling, PATIENCE);
      const wait = Math.min(RETRY_MOST, RETRY_FIRST * 2 ** (failures - 1));
      clearTimeout(retry);
      retry = setTimeout(open, wait * (0.7 + Math.random() * 0.6));
    });
  };
  const parse = (text) => { try { return JSON.parse(text); } catch { return {}; } };

  document.addEventListener("visibilitychange", () => {
    clearTimeout(grace);
    if (document.hidden) {
      grace = setTimeout(() => { missed = true; patience = null; close(); }, HIDDEN_GRACE);
    } else {
      if (missed && source) { missed = false; refresh(); }
      open();
    }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) { missed = true; open(); } });

  // --- Failures (an ended session sends the whole window to the sign-in page by itself: HX-Redirect)
  document.addEventListener("htmx:error", (event) => {
    if (event.target.closest?.("[data-live]")) say("The server does not answer. What you see may be old.");
  });
  document.addEventListener("htmx:after:swap", (event) => {
    if (!poll && event.target.closest?.("[data-live]")) say("");
  });

  // --- What the browser owns survives a morph: attributes named in data-keep, open <details>, menus' state.
  htmx.registerExtension("desk", {
    htmx_before_morph_attr: (element, { attrName }) => {
      if (attrName === "open" && element.tagName === "DETAILS") return false;
      if (attrName === "aria-expanded" && element.hasAttribute("popovertarget")) return false;
      const kept = element.dataset?.keep;
      return !(kept && kept.split(" ").includes(attrName));
    },
  });

  open();
})();
