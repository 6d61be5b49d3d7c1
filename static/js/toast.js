// Closes toasts: the others after 8 s without pointer or focus on them, a failure only by hand.
(() => {
  const STAY = 8000; // ms
  const region = document.getElementById("toasts");
  if (!region) return;
  const watch = (toast) => {
    if (toast.dataset.toast === "fail") return;
    let timer;
    const start = () => { timer = setTimeout(() => toast.remove(), STAY); };
    const hold = () => clearTimeout(timer);
    for (const name of ["pointerenter", "focusin"]) toast.addEventListener(name, hold);
    for (const name of ["pointerleave", "focusout"]) toast.addEventListener(name, () => { hold(); start(); });
    start();
  };
  region.querySelectorAll("[data-toast]").forEach(watch);
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) if (node.matches?.("[data-toast]")) watch(node);
  }).observe(region, { childList: true });
  document.addEventListener("click", (event) => {
    event.target.closest("[data-toast-close]")?.closest("[data-toast]")?.remove();
  });
})();
