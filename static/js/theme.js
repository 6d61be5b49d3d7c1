// Sets the theme before the first paint (loaded without defer) and switches it. Without JavaScript the
// system's choice holds, because the tokens follow color-scheme.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try { return localStorage.getItem("theme"); } catch { return null; }
  };
  const apply = () => {
    root.dataset.bsTheme = read() || (system.matches ? "dark" : "light");
    document.dispatchEvent(new Event("desk:theme"));
  };
  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", (event) => { if (event.key === "theme") apply(); });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    // Chosen like the system: forget the choice, so that the page follows the system again.
    try {
      if (next === (system.matches ? "dark" : "light")) localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch { /* private window: the choice lasts for this page */ }
    root.dataset.bsTheme = next;
    document.dispatchEvent(new Event("desk:theme"));
  });
})();
