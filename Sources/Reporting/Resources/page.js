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

  async function draw(source) {
    const view = document.getElementById(source.id.replace('chart-', 'view-'));
    try {
      const spec = JSON.parse(source.textContent);
      await window.vegaEmbed(view, spec, {
        mode: 'vega-lite',
        renderer: 'svg',
        // Expressions are interpreted, so that the page may forbid the evaluation of text.
        ast: true,
        actions: { export: { svg: true, png: true }, source: false, compiled: false, editor: false },
        downloadFileName: source.id,
        tooltip: { theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light' },
      });
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

  document.addEventListener('DOMContentLoaded', async () => {
    show();
    for (const source of document.querySelectorAll('script[type="application/json"][id^="chart-"]')) {
      await draw(source);
    }
    show();
    root.dataset.state = 'done';
  });
})();
