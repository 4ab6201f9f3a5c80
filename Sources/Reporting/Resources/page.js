// Draws the charts of a report and says in the document what came of it, for readers and for tests:
// <html data-state="done" data-charts="N" data-charts-drawn="N" data-errors="0" data-warnings="0">.
// A chart counts as drawn when its picture holds marks of data, not just axes and legends.
(function () {
  'use strict';
  const root = document.documentElement;
  const counts = { errors: 0, warnings: 0, drawn: 0 };
  const waiting = [];

  function show() {
    root.dataset.errors = counts.errors;
    root.dataset.warnings = counts.warnings;
    root.dataset.chartsDrawn = counts.drawn;
    const list = document.getElementById('problems');
    if (!list) return;
    for (const text of waiting.splice(0)) {
      const item = document.createElement('li');
      item.textContent = text;
      list.append(item);
      list.hidden = false;
    }
  }

  function problem(where, error) {
    counts.errors += 1;
    waiting.push(where + ': ' + (error && error.message ? error.message : String(error)));
    show();
  }

  window.addEventListener('error', (event) => problem('script', event.error || event.message));
  window.addEventListener('unhandledrejection', (event) => problem('script', event.reason));
  document.addEventListener('securitypolicyviolation', (event) =>
    problem('blocked', event.violatedDirective + ' ' + event.blockedURI));
  // Vega tells the console of errors in running charts, and nobody else.
  for (const [method, count] of [['error', 'errors'], ['warn', 'warnings']]) {
    const original = console[method].bind(console);
    console[method] = (...words) => {
      original(...words);
      const text = words.map((word) => (word && word.message ? word.message : String(word))).join(' ');
      if (count === 'errors') problem('chart', text);
      else { counts.warnings += 1; show(); }
    };
  }

  // Marks of data in a picture: shapes with an outline, and lines, outside the layers named "reference...".
  function marks(picture) {
    let found = 0;
    for (const group of picture.querySelectorAll('g.role-mark')) {
      if (/(^|[\s_])reference_/.test(group.getAttribute('class') || '')) continue;
      for (const item of group.children) {
        if (item.tagName === 'path') {
          if (/[LAHVCQlahvcq]/.test(item.getAttribute('d') || '')) found += 1;
        } else if (item.tagName === 'line' || item.tagName === 'rect' || item.tagName === 'circle') {
          found += 1;
        }
      }
    }
    return found;
  }

  function note(view, text) {
    const line = document.createElement('p');
    line.className = 'problem';
    line.textContent = text;
    view.append(line);
  }

  // Every object in a specification.
  function each(value, visit) {
    if (!value || typeof value !== 'object') return;
    if (!Array.isArray(value)) visit(value);
    for (const [name, part] of Object.entries(value)) if (name !== 'values') each(part, visit);
  }

  // A line of a title, broken to a width where a character takes so many pixels.
  function wrapped(text, width, character) {
    const lines = [''];
    for (const word of String(text).split(' ')) {
      const last = lines[lines.length - 1];
      if (last && (last.length + word.length + 1) * character > width) lines.push(word);
      else lines[lines.length - 1] = last ? last + ' ' + word : word;
    }
    return lines.length > 1 ? lines : text;
  }

  // The specification with a plotted area that is narrower by so many pixels, and what is above it with it.
  function narrowed(spec, excess, room) {
    const plot = spec.spec || spec;
    if (typeof plot.width !== 'number') return spec;
    const before = plot.width;
    plot.width = Math.max(120, before - excess);
    const legends = spec.config && spec.config.legend;
    if (legends) legends.labelLimit = Math.max(100, plot.width - 24);
    if (room < 600 && spec.config && spec.config.axis) spec.config.axis.labelLimit = 110;
    // A title may begin where the picture does, not only above the plot.
    if (spec.title && typeof spec.title === 'object') spec.title.frame = 'bounds';
    each(spec, (part) => {
      const legend = part.legend;
      if (!legend || typeof legend !== 'object') return;
      if (legend.columns) {
        legend.columns = Math.max(1, Math.floor(legend.columns * plot.width / before));
        if (plot.width < 400) legend.titleOrient = 'top';
      }
      if (legend.gradientLength) {
        legend.gradientLength = Math.min(legend.gradientLength, plot.width * 0.7);
        legend.titleOrient = 'top';
        part.title = wrapped(part.title, plot.width, 7.5);
      }
    });
    // Names that would run into each other stand askew.
    each(spec, (part) => {
      const axis = part.x && part.x.axis;
      const names = axis && axis.labelAngle === 0 && part.x.scale && part.x.scale.domain;
      if (!names) return;
      const longest = Math.max(...names.map((name) => String(name).length));
      if (names.length * (longest + 1) * 7 > plot.width) part.x.axis = { ...axis, labelAngle: -40, labelLimit: 160 };
    });
    // Numbers do not fit into cells as narrow as these; tooltips have them.
    const cells = (plot.layer || []).findIndex((layer) => layer.name === 'labels_on_color');
    const names = cells >= 0 && new Set(spec.data.values.map((row) => row.x)).size;
    if (cells >= 0 && plot.width / names < 34) plot.layer.splice(cells, 1);
    return spec;
  }

  // Titles are broken to the width of what they stand above, which they would not widen.
  function titled(spec, room) {
    const plot = (spec.spec || spec).width;
    const width = spec.title && spec.title.frame === 'bounds' ? Math.max(plot, room - 90) : plot;
    if (spec.title && spec.title.text && typeof plot === 'number') {
      spec.title.text = wrapped(spec.title.text, width, 8);
      if (spec.title.subtitle) spec.title.subtitle = wrapped(spec.title.subtitle, width, 6.5);
    }
    return spec;
  }

  async function draw(source) {
    const view = document.getElementById(source.id.replace('chart-', 'view-'));
    try {
      const room = Math.min(view.closest('section, main').clientWidth, 912);
      const embed = (spec) => window.vegaEmbed(view, titled(spec, room), {
        mode: 'vega-lite',
        renderer: 'svg',
        // Expressions are interpreted, so that the page may forbid the evaluation of text.
        ast: true,
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: source.id,
        tooltip: { theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light' },
      });
      const spec = () => JSON.parse(source.textContent);
      let excess = 0;
      await embed(spec());
      // Axes and legends have a width that nobody knows before they are drawn.
      for (let tries = 0; tries < 4; tries += 1) {
        const picture = view.querySelector('svg');
        const wide = picture ? picture.getAttribute('width') - room : 0;
        if (wide <= 0) break;
        excess += Math.ceil(wide);
        await embed(narrowed(spec(), excess, room));
      }
      const found = marks(view);
      view.dataset.marks = found;
      if (found > 0) {
        counts.drawn += 1;
        show();
      } else {
        note(view, 'Nothing to draw: there is no data.');
      }
    } catch (error) {
      view.dataset.marks = 0;
      problem(source.id, error);
      note(view, 'This chart cannot be drawn: ' + (error && error.message ? error.message : error));
    }
  }

  async function drawAll() {
    counts.drawn = 0;
    show();
    for (const source of document.querySelectorAll('script[type="application/json"][id^="chart-"]')) {
      await draw(source);
    }
    show();
    root.dataset.state = 'done';
  }

  document.addEventListener('DOMContentLoaded', async () => {
    await drawAll();
    let width = root.clientWidth;
    let timer;
    // A phone that is turned, a window that is made wider.
    window.addEventListener('resize', () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (root.clientWidth === width) return;
        width = root.clientWidth;
        drawAll();
      }, 200);
    });
  });
})();
