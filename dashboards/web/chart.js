// GMV per quarter hour: bars are today, the line is the reference day at the same shop time.

const FONT = '"Inter", system-ui, sans-serif';

function rem() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize);
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export class PulseChart {
  constructor(root) {
    this.root = root;
    this.plot = null;
    this.shape = "";
    new ResizeObserver(() => this.resize()).observe(root);
  }

  size() {
    return { width: this.root.clientWidth, height: this.root.clientHeight };
  }

  resize() {
    if (!this.plot) return;
    this.plot.destroy();
    this.plot = null;
    if (this.last) this.show(...this.last);
  }

  show(chart, formats) {
    this.last = [chart, formats];
    const shape = `${formats.zone}/${chart.starts_ms[0]}/${chart.ends_ms}`;
    const data = [chart.starts_ms, chart.today, chart.open, chart.reference];
    if (this.plot && this.shape === shape) {
      this.plot.setData(data);
      return;
    }
    this.plot?.destroy();
    this.root.replaceChildren();
    this.shape = shape;
    this.plot = new uPlot(this.options(chart, formats), data, this.root);
  }

  options(chart, formats) {
    const unit = rem();
    const font = `${Math.round(unit * 1.05)}px ${FONT}`;
    const axis = { stroke: colour("--quiet"), font, grid: { stroke: "#1a212c", width: 1 }, ticks: { show: false } };
    const bars = uPlot.paths.bars({ size: [0.78, Infinity, 1], align: 1, radius: 0.12 });
    const stepped = uPlot.paths.stepped({ align: 1 });
    return {
      ...this.size(),
      ms: 1,
      tzDate: (ms) => uPlot.tzDate(new Date(ms), formats.zone),
      legend: { show: false },
      cursor: { show: false },
      padding: [unit * 0.6, unit * 1.8, 0, 0],
      scales: {
        x: { time: true, range: [chart.starts_ms[0], chart.ends_ms] },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.06 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: unit * 2.1,
          incrs: [3, 4, 6].map((hours) => hours * 3600000),
          space: unit * 6,
          values: (_, splits) => splits.map((ms) => formats.minutes.format(ms)),
        },
        { ...axis, size: unit * 5, space: unit * 4, values: (_, splits) => splits.map((v) => formats.roughMoney(v)) },
      ],
      series: [
        {},
        { paths: bars, fill: colour("--today"), width: 0, points: { show: false } },
        { paths: bars, fill: `${colour("--today")}55`, stroke: colour("--today"), width: 1.5, points: { show: false } },
        { paths: stepped, stroke: colour("--reference"), width: Math.max(1.5, unit * 0.13), points: { show: false } },
      ],
    };
  }
}
