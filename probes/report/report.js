"use strict";
// All of the page can be read without this. It lays out sections of a large page when they come near, moves the focus
// to where a link leads and back, goes through the verdicts by arrow keys, and filters their rows.
(() => {
  const every = (selector, within = document) => [...within.querySelectorAll(selector)];

  // A browser that runs scripts takes what stands in <noscript> for text. The text is our own markup, in which every
  // name was escaped when it was written: laying it out adds nothing that the page did not hold.
  const lay = (box) => {
    const kept = box.querySelector(":scope > noscript");
    if (kept) box.innerHTML = kept.textContent;
    box.classList.remove("held");
    box.removeAttribute("tabindex");
  };
  const near = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) { near.unobserve(one.target); lay(one.target); }
  }, { rootMargin: "1000px" });
  for (const box of every(".held")) {
    near.observe(box);
    // The Tab key stops where something is to be laid out, and goes on inside.
    box.tabIndex = 0;
    box.addEventListener("focus", () => {
      lay(box);
      const first = box.querySelector("a, button, summary, [tabindex='0']") || box.parentElement.querySelector("[tabindex='-1']");
      if (first) first.focus();
    });
  }
  const layAll = () => { near.disconnect(); every(".held").forEach(lay); };
  // On paper nothing can be opened: what went wrong is written out.
  const print = () => { layAll(); for (const one of every("#after-matrix details")) one.open = true; };
  addEventListener("beforeprint", print);
  matchMedia("print").addEventListener("change", (media) => { if (media.matches) print(); });
  for (const line of every(".all")) {
    line.hidden = false;
    line.querySelector("button").addEventListener("click", () => { layAll(); line.remove(); });
  }

  // A link leads to a heading: its section is laid out, and the focus goes there.
  const land = () => {
    const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    const section = place.closest("section");
    if (section) every(":scope > .held", section).forEach(lay);
    place.scrollIntoView();
    place.focus({ preventScroll: true });
  };
  const verdicts = every(".matrix tbody a");
  const number = new Map(verdicts.map((link, place) => [link, place]));
  let back;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    history.replaceState(number.has(link) ? { verdict: number.get(link) } : {}, "");
    // A second time to the same place changes no address, and would go nowhere.
    if (link.hash && link.hash === location.hash) { event.preventDefault(); land(); }
  });
  addEventListener("popstate", (event) => { back = event.state && verdicts[event.state.verdict]; });
  addEventListener("hashchange", () => {
    if (back) back.focus(); else land();
    back = undefined;
  });

  // Arrow keys in the verdicts: one stop of the Tab key for each table, whatever its size.
  for (const table of every(".matrix table")) {
    const rows = every("tbody tr", table);
    const links = every("tbody a", table);
    if (!links.length) continue;
    table.setAttribute("role", "grid");
    links.forEach((link, place) => { link.tabIndex = place ? -1 : 0; });
    table.addEventListener("focusin", (event) => {
      if (!event.target.closest("tbody")) return;
      for (const link of every("tbody a[tabindex='0']", table)) link.tabIndex = -1;
      event.target.tabIndex = 0;
    });
    const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -1], End: [0, 1] };
    table.addEventListener("keydown", (event) => {
      const cell = event.target.closest("tbody td"), move = moves[event.key];
      if (!cell || !move || event.altKey || event.metaKey || event.shiftKey) return;
      const far = event.key === "Home" || event.key === "End" || event.ctrlKey;
      event.preventDefault();
      let row = rows.indexOf(cell.parentElement), column = cell.cellIndex, found;
      for (;;) {
        row += move[0]; column += move[1];
        const next = rows[row] && rows[row].cells[column];
        if (!next) break;
        const link = !rows[row].hidden && next.querySelector("a");
        if (link) { found = link; if (!far) break; }
      }
      if (found) found.focus();
    });
  }
  for (const words of every(".keys")) words.hidden = false;

  // Rows of the verdicts with all the words that are typed.
  const filter = document.querySelector(".filter");
  const rows = every(".matrix tbody tr").map((row) => [row, row.textContent.toLowerCase()]);
  if (filter && rows.length > 8) {
    filter.hidden = false;
    const status = filter.querySelector("[role=status]");
    filter.querySelector("input").addEventListener("input", (event) => {
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const [row, text] of rows) {
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      for (const card of every(".matrix")) {
        card.hidden = !card.querySelector("tbody tr:not([hidden])");
        // The Tab key must still stop somewhere in the table.
        const stop = card.querySelector("tbody a[tabindex='0']");
        const first = card.querySelector("tbody tr:not([hidden]) a");
        if (stop && first && stop.closest("tr").hidden) { stop.tabIndex = -1; first.tabIndex = 0; }
      }
      status.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
    });
  }
  if (location.hash) land();
})();
