// Draws <canvas data-chart="id of a JSON script"> with Chart.js, again after a swap and on a change of theme.
// Colours come from the tokens, so both themes have one source. The legend is HTML in the panel's head.
(() => {
  const drawn = new Map(); // canvas -> { chart, text }

  // A canvas knows no custom properties and no light-dark(): let the browser compute the colour.
  const colour = (token) => {
    const probe = document.createElement("i");
    probe.style.color = `var(--ui-${token})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };
  const token = (name) => (/^(run|start|idle|fail|stop)$/.test(name) ? `${name}-fill` : name);

  const short = (value, unit) => {
    const size = Math.abs(value);
    const text = size >= 10_000
      ? `${(value / 1000).toLocaleString("en-US", { maximumFractionDigits: 1 })}k`
      : size && size < 0.01
        ? value.toExponential(1)
        : value.toLocaleString("en-US", { maximumFractionDigits: 2 });
    return unit === "usd" ? `$${text}` : text;
  };

  // Where an estimate lies, drawn over its bar: low and high of each label in data.whiskers.
  const whiskers = (ranges) => ({
    id: "whiskers",
    afterDatasetsDraw: ({ ctx, scales: { x, y } }) => {
      ctx.save();
      ctx.strokeStyle = colour("accent");
      ctx.lineWidth = 1.25;
      ctx.beginPath();
      ranges.forEach((range, index) => {
        if (!range) return;
        const middle = x.getPixelForValue(index);
        const [low, high] = range.map((value) => y.getPixelForValue(value));
        ctx.moveTo(middle, low);
        ctx.lineTo(middle, high);
        for (const end of [low, high]) {
          ctx.moveTo(middle - 3.5, end);
          ctx.lineTo(middle + 3.5, end);
        }
      });
      ctx.stroke();
      ctx.restore();
    },
  });
  const link = (data, event, chart) => {
    const [hit] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
    return hit && data.series[hit.datasetIndex].links?.[hit.index];
  };

  const describe = (data) => {
    const line = data.kind === "line";
    return {
      type: data.kind,
      plugins: data.whiskers?.some(Boolean) ? [whiskers(data.whiskers)] : [],
      data: {
        labels: data.labels,
        datasets: data.series.map((series) => ({
          label: series.label,
          data: series.values,
          backgroundColor: colour(token(series.colour)),
          borderColor: colour(token(series.colour)),
          borderWidth: line ? 1.5 : 0,
          borderRadius: line ? 0 : 2,
          pointRadius: 0,
          pointHitRadius: 8,
          spanGaps: data.has_gaps === false,
        })),
      },
      options: {
        animation: false,
        maintainAspectRatio: false,
        datasets: { bar: { maxBarThickness: 26 } },
        onClick: (event, _, chart) => { const url = link(data, event, chart); if (url) location.assign(url); },
        onHover: (event, _, chart) => { chart.canvas.style.cursor = link(data, event, chart) ? "pointer" : ""; },
        interaction: { mode: "index", intersect: false },
        plugins: {
          legend: { display: false },
          tooltip: {
            backgroundColor: colour("cta"), titleColor: colour("cta-ink"), bodyColor: colour("cta-ink"),
            padding: 9, cornerRadius: 6, boxWidth: 8, boxHeight: 8, boxPadding: 4,
          },
        },
        scales: {
          x: { stacked: data.is_stacked, grid: { display: false }, border: { color: colour("line-strong") }, ticks: { maxRotation: 0, autoSkipPadding: 24 } },
          y: {
            // A whisker may end above the highest bar.
            suggestedMax: Math.max(0, ...(data.whiskers ?? []).filter(Boolean).map(([, high]) => high)),
            stacked: data.is_stacked, beginAtZero: true, border: { display: false },
            grid: { color: colour("line-soft"), drawTicks: false },
            ticks: { padding: 8, maxTicksLimit: 5, callback: (value) => short(value, data.unit) },
          },
        },
      },
    };
  };

  const draw = (force) => {
    Object.assign(Chart.defaults.font, { family: getComputedStyle(document.body).fontFamily, size: 11 });
    Chart.defaults.color = colour("ink-3");
    for (const [canvas, { chart }] of drawn) if (!canvas.isConnected) { chart.destroy(); drawn.delete(canvas); }
    for (const canvas of document.querySelectorAll("[data-chart]")) {
      const text = document.getElementById(canvas.dataset.chart)?.textContent;
      const before = drawn.get(canvas);
      if (!text || (before && before.text === text && !force)) continue;
      before?.chart.destroy();
      drawn.set(canvas, { chart: new Chart(canvas, describe(JSON.parse(text))), text });
    }
  };

  draw(false);
  document.addEventListener("htmx:after:swap", () => draw(false));
  document.addEventListener("desk:theme", () => draw(true));
})();
