// Shows a fragment that htmx swapped into <dialog id="dialog">. Focus starts on [autofocus], the safe button;
// Esc is the browser's. Without JavaScript the same link opens the same fragment as a page.
(() => {
  const dialog = document.getElementById("dialog");
  if (!dialog) return;

  const open = () => {
    if (!dialog.open && dialog.childElementCount) dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  };
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail?.ctx?.target;
    if (target === dialog || target === "#dialog" || event.target === dialog) open();
  });
  document.addEventListener("desk:close-dialog", () => dialog.close());
  document.addEventListener("click", (event) => {
    const within = event.target.closest("dialog");
    const closer = event.target.closest("[data-close]");
    if (within && (closer || event.target === within)) {
      event.preventDefault();
      within.close();
    }
  });
  dialog.addEventListener("keydown", (event) => {
    // A link that plays the cancel button also answers to Space.
    if (event.key === " " && event.target.matches("a[role=button]")) { event.preventDefault(); event.target.click(); }
  });
  dialog.addEventListener("close", () => {
    dialog.replaceChildren();
    // Its opener may be gone with its row: focus must not fall to the top of the document.
    if (document.activeElement === document.body) document.getElementById("main")?.focus({ preventScroll: true });
  });
})();
