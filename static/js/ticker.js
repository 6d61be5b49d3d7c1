// Keeps times and running sums true between two answers of the server. Words as in dashboard/core/durations.py.
// The server's clock counts, not the browser's: <body data-now> and the stream's hello correct the difference.
(() => {
  const SECOND = 1000, MINUTE = 60, HOUR = 3600, DAY = 86400;
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  let offset = 0;

  const correct = (serverNow) => {
    const at = Date.parse(serverNow);
    if (!Number.isNaN(at)) offset = at - Date.now();
  };
  const now = () => Date.now() + offset;
  const two = (n) => String(n).padStart(2, "0");

  const duration = (s) => {
    if (s < MINUTE) return `${s} s`;
    if (s < HOUR) return `${Math.floor(s / MINUTE)} min`;
    if (s < DAY) return `${Math.floor(s / HOUR)} h ${two(Math.floor((s % HOUR) / MINUTE))} min`;
    const hours = Math.floor((s % DAY) / HOUR);
    return hours ? `${Math.floor(s / DAY)} d ${hours} h` : `${Math.floor(s / DAY)} d`;
  };
  const exact = (s) =>
    s >= MINUTE && s < HOUR && s % MINUTE ? `${Math.floor(s / MINUTE)} min ${s % MINUTE} s` : duration(s);
  const age = (s) => {
    for (const [size, unit] of [[DAY, "d"], [HOUR, "h"], [MINUTE, "min"]]) {
      if (s >= size) return `${Math.floor(s / size)} ${unit}`;
    }
    return `${s} s`;
  };
  const countdown = (s) => {
    if (s <= 0) return "due";
    if (s >= DAY) return duration(s);
    const hours = Math.floor(s / HOUR), rest = `${two(s % MINUTE)}`;
    const minutes = Math.floor((s % HOUR) / MINUTE);
    return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
  };
  const seconds = (ms) => Math.max(0, Math.floor(ms / SECOND));
  const amount = (nano) => (nano / 1e9).toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const tickStamp = (stamp) => {
    const s = seconds(now() - Date.parse(stamp.dataset.syncAt));
    const level = s > stamp.dataset.stale ? "stale" : s > stamp.dataset.late ? "late" : "fresh";
    if (stamp.dataset.age !== level) stamp.dataset.age = level;
    const words = stamp.querySelector("[data-sync-text]");
    write(words, level === "fresh" ? `synced ${exact(s)} ago` : `sync late: ${exact(s)} ago`);
    return level;
  };

  // Over 5 min no figure and no state may look current, even when no answer comes any more.
  const markStale = (isStale) => {
    document.documentElement.toggleAttribute("data-stale", isStale);
    document.documentElement.dataset.sync = isStale ? "stale" : "";
    if (!isStale) return;
    for (const status of document.querySelectorAll(".ui-main .ui-st:not(.ui-st-stale)")) {
      status.className = status.className.replace(/ui-st-(run|start|idle|fail|stop)/, "ui-st-stale");
      status.lastElementChild.textContent = status.dataset.was;
      status.firstElementChild.innerHTML =
        '<circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" stroke-width="1.6"/>';
    }
  };

  const tick = () => {
    if (document.hidden) return;
    for (const e of document.querySelectorAll("[data-countdown]")) write(e, countdown(Math.ceil((Date.parse(e.dateTime) - now()) / SECOND)));
    for (const e of document.querySelectorAll("[data-ago]")) {
      const s = seconds(now() - Date.parse(e.dateTime));
      write(e, s < 1 ? "now" : `${age(s)} ago`);
    }
    for (const e of document.querySelectorAll("[data-elapsed]")) write(e, duration(seconds(now() - Date.parse(e.dateTime))));
    for (const e of document.querySelectorAll("[data-accrue]")) {
      // What the server added up until then (nothing, where only the page's own time counts), and the rate since.
      const gone = Number(e.dataset.accrue) * Math.max(0, now() - Date.parse(e.dataset.since)) / (HOUR * SECOND);
      write(e, ("bare" in e.dataset ? "" : "$") + amount(Number(e.dataset.base ?? 0) + gone));
    }
    const stamp = document.querySelector("[data-sync-at]");
    if (stamp) markStale(tickStamp(stamp) === "stale");
  };

  let timer;
  const start = () => {
    clearInterval(timer);
    timer = setInterval(tick, still.matches ? MINUTE * SECOND : SECOND);
    tick();
  };
  correct(document.body.dataset.now);
  still.addEventListener("change", start);
  document.addEventListener("visibilitychange", tick);
  document.addEventListener("desk:hello", (event) => { if (event.detail?.now) { correct(event.detail.now); tick(); } });
  // A morph puts the server's words back; they are right, but a second old at most after this.
  document.addEventListener("htmx:after:swap", tick);
  start();
})();
