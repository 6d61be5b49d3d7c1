// Keys and selection of tables. "/" search, "x" select the row under focus or pointer, Esc clears; Shift+click
// selects a range. A selection outlives swaps for rows that are still shown, and only for those: nobody
// stops what they cannot see.
//
// In the page: <form data-selection> around bar and table; in it [data-select-bar] (data-keep="hidden"),
// [data-select-all], [data-select-count], [data-select-burn] ("$32.40/h" of the selected), and one
// [data-select] checkbox a row with value, data-burn-low and data-burn-high (nano-dollars per hour), and
// data-unpriced where a price is unknown: the sum then says "at least".
(() => {
  const NANO = 1_000_000_000n;
  const chosen = new Map(); // form id -> Set of values
  let pointed = null, last = null;

  const boxes = (form) => [...form.querySelectorAll("[data-select]")];
  const amount = (nano) => {
    const cents = (nano * 100n + NANO / 2n) / NANO;
    return `${(cents / 100n).toLocaleString("en-US")}.${String(cents % 100n).padStart(2, "0")}`;
  };
  const sum = (list, name) => list.reduce((total, box) => total + BigInt(box.dataset[name] || 0), 0n);

  const show = (form) => {
    const all = boxes(form), selected = all.filter((box) => box.checked);
    chosen.set(form.id, new Set(selected.map((box) => box.value)));
    const bar = form.querySelector("[data-select-bar]");
    if (bar) bar.hidden = !selected.length;
    for (const head of form.querySelectorAll("[data-select-all]")) {
      head.checked = selected.length > 0 && selected.length === all.length;
      head.indeterminate = selected.length > 0 && selected.length < all.length;
    }
    for (const place of form.querySelectorAll("[data-select-count]")) place.textContent = selected.length;
    const low = amount(sum(selected, "burnLow")), high = amount(sum(selected, "burnHigh"));
    for (const place of form.querySelectorAll("[data-select-burn]")) {
      const rate = low === high ? `$${low}/h` : `$${low}–${high}/h`;
      place.textContent = selected.some((box) => "unpriced" in box.dataset) ? `at least ${rate}` : rate;
    }
  };

  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("[data-selection]");
    if (!form) return;
    if (event.target.matches("[data-select-all]")) boxes(form).forEach((box) => { box.checked = event.target.checked; });
    else if (!event.target.matches("[data-select]")) return;
    show(form);
  });
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.("[data-select]");
    if (!box) return;
    const form = box.closest("[data-selection]");
    if (event.shiftKey && last?.isConnected && form?.contains(last)) {
      const all = boxes(form), ends = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      all.slice(ends[0], ends[1] + 1).forEach((each) => { each.checked = box.checked; });
      show(form);
    }
    last = box;
  });
  document.addEventListener("pointerover", (event) => { pointed = event.target.closest?.("tr") ?? pointed; });

  const clear = () => {
    let cleared = false;
    for (const form of document.querySelectorAll("[data-selection]")) {
      for (const box of boxes(form)) if (box.checked) { box.checked = false; cleared = true; }
      show(form);
    }
    return cleared;
  };
  document.addEventListener("click", (event) => { if (event.target.closest?.("[data-select-clear]")) clear(); });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open], .ui-menu:popover-open")) return;
    const field = event.target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (event.key === "/") {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); search.select(); }
    } else if (event.key === "x") {
      const row = document.activeElement?.closest?.("tr") ?? (pointed?.isConnected ? pointed : null);
      const box = row?.querySelector("[data-select]");
      if (box) { box.checked = !box.checked; show(box.closest("[data-selection]")); last = box; }
    } else if (event.key === "Escape") {
      clear();
    }
  });

  const restore = () => {
    for (const form of document.querySelectorAll("[data-selection]")) {
      const values = chosen.get(form.id);
      if (values) for (const box of boxes(form)) box.checked = values.has(box.value);
      show(form);
    }
  };
  document.addEventListener("htmx:after:swap", restore);
  addEventListener("pageshow", restore);
})();
