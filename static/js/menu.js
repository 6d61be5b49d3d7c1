// Places a popover menu beside its button and moves focus inside it. Opening, Esc, a click outside and giving
// focus back are the browser's own work (popover).
(() => {
  const GAP = 6, EDGE = 8; // px
  const opener = (menu) => document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  const items = (menu) => [...menu.querySelectorAll("[role=menuitem]")];

  const place = (menu) => {
    const button = opener(menu);
    if (!button) return;
    const anchor = button.getBoundingClientRect(), box = menu.getBoundingClientRect();
    const below = anchor.bottom + GAP + box.height + EDGE <= innerHeight;
    const top = below ? anchor.bottom + GAP : Math.max(EDGE, anchor.top - GAP - box.height);
    const left = Math.max(EDGE, Math.min(anchor.right - box.width, innerWidth - box.width - EDGE));
    menu.style.top = `${Math.round(top)}px`;
    menu.style.left = `${Math.round(anchor.left < box.width ? Math.max(EDGE, Math.min(anchor.left, innerWidth - box.width - EDGE)) : left)}px`;
  };
  const placeOpen = () => document.querySelectorAll(".ui-menu:popover-open").forEach(place);

  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (!menu.matches?.(".ui-menu")) return;
    const isOpen = event.newState === "open";
    opener(menu)?.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) return;
    menu.dataset.placed = "";
    place(menu);
    items(menu)[0]?.focus({ preventScroll: true });
  }, true);
  addEventListener("resize", placeOpen);
  addEventListener("scroll", placeOpen, true);

  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.(".ui-menu:popover-open");
    if (!menu) return;
    const all = items(menu), at = all.indexOf(document.activeElement);
    const go = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (go === undefined) {
      if (event.key === "Tab") menu.hidePopover();
      return;
    }
    event.preventDefault();
    all[(go + all.length) % all.length]?.focus();
  });
  // A chosen item closes its menu; the dialog it opens gives focus back to the menu's button.
  document.addEventListener("click", (event) => {
    const item = event.target.closest("[role=menuitem]");
    const menu = item?.closest(".ui-menu:popover-open");
    if (!menu) return;
    opener(menu)?.focus({ preventScroll: true });
    menu.hidePopover();
  });
})();
