// A block of likely documents in which the page ranks by itself while a slider moves.
// Scores are linear in the sliders: s = s0 + Σ delta · column. See explorer/preview.py.

/** Reads what /api/search/block sends. */
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const numbers = new Float32Array(buffer, 4 + length);
  const n = header.rows.length;
  const m = header.n_columns;
  let at = 0;
  const take = (many) => numbers.subarray(at, (at += many));
  return {
    ...header,
    neutral: take(n),
    base: take(n),
    columns: Array.from({ length: m }, () => take(n)),
    baseProducts: take(2),
    withQuery: take(m),
    withBase: take(m),
    gram: take(m * m),
    places: ranks(),
  };

  /** Places without sliders; of the rows that come first they are true. */
  function ranks() {
    const neutral = numbers.subarray(0, n);
    const order = Array.from({ length: n }, (_, i) => i).sort(
      (a, b) => neutral[b] - neutral[a] || header.rows[a] - header.rows[b],
    );
    const found = new Map();
    order.slice(0, 300).forEach((row, place) => found.set(header.rows[row], place + 1));
    return found;
  }
}

/** Whether all sliders that have been set have their columns here. */
export function covers(block, sliders) {
  return [...sliders.keys()].every((name) =>
    name.startsWith("f")
      ? block.families.some((one) => `f${one.number}` === name)
      : block.latents.includes(Number(name)),
  );
}

/** How far each column moves from where the query has it: percent, or shares for families. */
function deltas(block, sliders) {
  const found = new Float64Array(block.n_columns);
  block.latents.forEach((latent, i) => {
    const wanted = sliders.get(String(latent));
    if (wanted !== undefined) found[i] = wanted - block.natural[i];
  });
  block.families.forEach(({ number, natural }, i) => {
    const wanted = sliders.get(`f${number}`);
    if (wanted === undefined) return;
    const at = block.latents.length + 2 * i;
    if (wanted >= natural) found[at] = wanted - natural;
    else if (wanted >= 0) found[at + 1] = wanted / natural - 1;
    else [found[at], found[at + 1]] = [wanted, -1];
  });
  return found;
}

/** The first k of the block with these sliders, and the cosine to the query as it was. */
export function rank(block, sliders, k) {
  const moved = deltas(block, sliders);
  const scores = Float32Array.from(block.base);
  moved.forEach((delta, j) => {
    if (!delta) return;
    const column = block.columns[j];
    for (let i = 0; i < scores.length; i += 1) scores[i] += delta * column[i];
  });
  const order = Array.from(scores.keys()).sort(
    (a, b) => scores[b] - scores[a] || block.rows[a] - block.rows[b],
  );
  return {
    fidelity: fidelity(block, moved),
    hits: order.slice(0, k).map((i) => hit(block, moved, i, scores[i])),
  };
}

function hit(block, moved, i, score) {
  const parts = block.latents.map((latent, j) => [
    latent,
    block.natural[j] * block.columns[j][i],
    moved[j] * block.columns[j][i],
  ]);
  parts.sort((a, b) => Math.abs(b[1] + b[2]) - Math.abs(a[1] + a[2]));
  const said = parts.reduce((sum, [, natural, change]) => sum + natural + change, 0);
  const row = block.rows[i];
  const document = {
    row,
    id: block.ids[i],
    title: block.titles[i],
    text: block.texts[i],
    url: block.urls[i],
  };
  return {
    row,
    score,
    neutral_rank: block.places.get(row) ?? null,
    parts,
    rest: score - said,
    document,
  };
}

/** cos(q, q') from the products that came with the block. */
function fidelity(block, moved) {
  const m = block.n_columns;
  let [along, size] = block.baseProducts;
  for (let i = 0; i < m; i += 1) {
    if (!moved[i]) continue;
    along += moved[i] * block.withQuery[i];
    size += 2 * moved[i] * block.withBase[i];
    for (let j = 0; j < m; j += 1) size += moved[i] * moved[j] * block.gram[i * m + j];
  }
  return size > 0 ? along / Math.sqrt(size) : 0;
}
