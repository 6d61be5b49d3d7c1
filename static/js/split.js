// Says what the weights of a traffic split mean while they are typed. Without JavaScript the server says it on sending.
document.addEventListener("input", (event) => {
  const table = event.target.closest("[data-split]");
  if (!table) return;
  const inputs = [...table.querySelectorAll("input[name^=weight_]")];
  const weights = inputs.map((input) => Math.max(0, Number(input.value) || 0));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  inputs.forEach((input, place) => {
    const share = input.closest("tr").querySelector("[data-split-share]");
    share.textContent = weights[place] ? `${Math.round((100 * weights[place]) / total)}%` : "none";
  });
  table.querySelector("[data-split-sum]").textContent = String(Number(total.toFixed(2)));
  table.querySelector("[data-split-total]").textContent = total ? "100%" : "none";
});
