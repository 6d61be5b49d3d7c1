// The palette: Cmd/Ctrl+K or the find button opens it, arrows choose, Enter goes. The server finds (hx-get on
// the input); without JavaScript the button is a link to the same search as a page.
(() => {
  const palette = document.getElementById("find");
  if (!palette) return;
  const input = palette.querySelector("input");
  const options = () => [...palette.querySelectorAll("[role=option]")];
  const current = () => palette.querySelector("[role=option][aria-selected=true]");

  if (/Mac|iPhone|iPad/.test(navigator.platform)) {
    for (const key of document.querySelectorAll("[data-find-key]")) key.textContent = "⌘K";
  }
  const choose = (option) => {
    options().forEach((each, index) => {
      each.id ||= `find-option-${index}`;
      each.setAttribute("aria-selected", String(each === option));
    });
    if (option) { input.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); }
    else input.removeAttribute("aria-activedescendant");
  };
  const open = () => {
    if (palette.open) return;
    document.getElementById("sidebar")?.matches(":popover-open") && document.getElementById("sidebar").hidePopover();
    input.value = "";
    palette.showModal();
    htmx.trigger(input, "open");
  };
  document.addEventListener("keydown", (event) => {
    if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-find]") || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    open();
  });
  palette.addEventListener("keydown", (event) => {
    const all = options(), at = all.indexOf(current());
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (all.length) choose(all[(at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      (current() ?? all[0])?.click();
    }
  });
  document.addEventListener("htmx:after:swap", () => { if (palette.open) choose(options()[0]); });
})();
