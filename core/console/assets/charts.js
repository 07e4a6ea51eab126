// Draws charts from the tables that hold their values: <div data-chart="bars"
// data-of="id of the table">. The first column of the table is the time (its
// data-value in epoch ms), each other one a series, whose heading names its
// colour (data-color, a property of the style sheet); columns without one are
// not drawn. A "stack" has the columns on top of each other: what is more than 0
// above the axis, what is less below. data-unit="cents" divides by 100.
"use strict";

const charts = new Map(); // by the element they are drawn in
const chartHeight = 180; // in pixels, without the legend

// The steps of axes: in seconds, and of what is counted.
const minute = 60, hour = 60 * minute, day = 24 * hour;
const timeSteps = [1, 2, 5, 10, 15, 30, ...[1, 2, 5, 10, 15, 30].map((n) => n * minute), ...[1, 2, 3, 6, 12].map((n) => n * hour), ...[1, 2, 7, 14, 28, 91, 182, 364].map((n) => n * day)];
const wholeSteps = [...Array(12).keys()].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power));

// timeOf writes a time (epoch s, UTC), as exactly as what lies so many seconds
// apart needs.
function timeOf(s, apart) {
  const at = new Date(s * 1000);
  const date = `${at.getUTCDate()} ${at.toLocaleString("en-US", { month: "short", timeZone: "UTC" })}`;
  if (apart >= 28 * day && at.getUTCDate() === 1) return date.slice(2) + ` ${at.getUTCFullYear()}`;
  if (apart >= 91 * day) return `${date} ${at.getUTCFullYear()}`;
  if (apart >= day) return date;
  const time = at.toISOString().slice(11, apart >= minute ? 16 : 19);
  return apart === 0 || time.startsWith("00:00") ? `${date}, ${time}` : time;
}

function drawChart(place) {
  charts.get(place)?.destroy();
  const table = document.getElementById(place.dataset.of);
  const columns = [...table.tHead.rows[0].cells].map((_, i) => i).filter((i) => i === 0 || table.tHead.rows[0].cells[i].dataset.color);
  const headings = columns.map((i) => table.tHead.rows[0].cells[i]);
  const rows = [...table.tBodies[0].rows];
  const style = getComputedStyle(place);
  const color = (name) => {
    // A canvas knows nothing of light-dark(), which an element resolves.
    place.style.color = `var(--${name})`;
    const resolved = getComputedStyle(place).color;
    place.style.color = "";
    return resolved;
  };
  const per = place.dataset.unit === "cents" ? 100 : 1;
  const values = columns.map((i) => rows.map((row) => {
    const cell = row.cells[i];
    if (cell.dataset.value === "") return null; // there was none
    return i === 0 ? Number(cell.dataset.value) / 1000 : Number(cell.dataset.value ?? cell.textContent.replaceAll(",", "")) / per;
  }));
  const stack = place.dataset.chart === "stack";
  // Of a stack, each series reaches as far as all before it together, and the
  // farthest is drawn first.
  const data = stack ? values.map((series, i) => i === 0 ? series : series.map((n, at) => {
    let sum = 0;
    for (let k = 1; k <= i; k++) if (values[k][at] < 0 === n < 0) sum += values[k][at];
    return n === 0 ? null : sum;
  })) : values.map((series, i) => i === 0 || place.dataset.chart !== "bars" ? series : series.map((n) => n === 0 ? null : n)); // a bar of nothing is no bar
  const axis = { stroke: color("dim"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, font: `12px ${style.fontFamily}` };
  const bars = stack || place.dataset.chart === "bars";
  const shown = data.map((_, i) => stack && i > 0 ? data.length - i : i); // the order of drawing
  const step = data[0].length > 1 ? data[0][1] - data[0][0] : 60; // from one bar to the next, in s
  charts.set(place, new uPlot({
    width: place.clientWidth, height: chartHeight, tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
    legend: { live: matchMedia("(hover: hover)").matches }, cursor: { drag: { x: false, y: false } },
    scales: {
      x: { range: (_, min, max) => bars ? [min - step / 2, max + step / 2] : [min, max] },
      y: { range: (_, min, max) => [Math.min(0, min * 1.05), Math.max(1, max * 1.05)] },
    },
    axes: [
      { ...axis, incrs: timeSteps, space: 70, values: (_, at, axis, space, apart) => at.map((s) => timeOf(s, apart)) },
      { ...axis, size: 48, incrs: wholeSteps, values: (_, at) => at.map((n) => n.toLocaleString("en-US")) },
    ],
    series: shown.map((n) => headings[n]).map((heading, i) => i === 0 ? { label: heading.textContent, value: (_, s) => s == null ? "–" : timeOf(s, 0) } : {
      label: heading.textContent, stroke: color(heading.dataset.color), fill: bars ? color(heading.dataset.color) : undefined,
      paths: bars ? uPlot.paths.bars({ size: [0.8, 60], radius: 0.15 }) : undefined, points: { show: false }, width: bars ? 0 : 2,
      value: (_, n, __, at) => { const v = at == null ? null : values[shown[i]][at]; return v == null ? "–" : v.toLocaleString("en-US"); },
    }),
  }, shown.map((i) => data[i]), place));
}

function drawCharts() {
  for (const place of charts.keys()) {
    if (!place.isConnected) { charts.get(place).destroy(); charts.delete(place); }
  }
  document.querySelectorAll("[data-chart]").forEach(drawChart);
}
drawCharts();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
new ResizeObserver(() => {
  for (const [place, chart] of charts) {
    if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: chart.height });
  }
}).observe(document.getElementById("main"));

// What a person has opened stays open when a part of the page comes anew.
let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = [...event.target.querySelectorAll("details[id][open]")].map((details) => details.id);
});
document.addEventListener("htmx:afterSwap", () => {
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  drawCharts();
});
