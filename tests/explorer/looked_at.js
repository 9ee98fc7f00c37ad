// What is wrong with a page as it is shown; read by test_every_page.py.
({
  /** Texts whose contrast to what is behind them is below 4.5, as WCAG 2 computes it. */
  faint() {
    const part = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const behind = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const own = numbers(getComputedStyle(at).backgroundColor);
        if (own.length < 4 || own[3] > 0.99) return own;
      }
      return [255, 255, 255];
    };
    const found = new Set();
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const element = walk.currentNode.parentElement;
      const text = walk.currentNode.textContent.trim();
      const passed = ".unseen, noscript, svg, :disabled, option";
      if (!text || !element.checkVisibility() || element.closest(passed)) continue;
      const one = light(numbers(getComputedStyle(element).color));
      const other = light(behind(element));
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      if (ratio < 4.5) found.add(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    }
    return [...found];
  },

  /** Controls, links and pictures without a name for those who do not see them. */
  unnamed() {
    const kinds = "input, select, textarea, button, a[href], summary, meter, [role=img]";
    const named = (one) =>
      one.getAttribute("aria-label") || one.getAttribute("aria-labelledby") ||
      one.labels?.length || one.textContent.trim();
    return [...document.querySelectorAll(kinds)]
      .filter((one) => one.checkVisibility() && !named(one))
      .map((one) => one.outerHTML.slice(0, 120));
  },

  /** Elements that stick out of the window, where nothing around them scrolls or cuts. */
  wider() {
    const cut = (one) => {
      for (let at = one.parentElement; at; at = at.parentElement) {
        if (getComputedStyle(at).overflowX !== "visible") return true;
      }
      return false;
    };
    return [...document.querySelectorAll("body *")]
      .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > innerWidth + 1)
      .filter((one) => !cut(one))
      .map((one) => one.outerHTML.slice(0, 120));
  },
})
