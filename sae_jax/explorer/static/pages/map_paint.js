// Paints the points, names and box of a map's view.

const LABELS_FROM = 60; // points in sight, from which down each is named

export function paint(map) {
  const { canvas } = map;
  const sharp = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * sharp)) canvas.width = Math.round(width * sharp);
  if (canvas.height !== Math.round(height * sharp)) canvas.height = Math.round(height * sharp);
  const brush = canvas.getContext("2d");
  brush.setTransform(sharp, 0, 0, sharp, 0, 0);
  brush.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const inSight = paintPoints(map, brush);
  paintLabels(map, brush, style, inSight);
  if (map.box) paintBox(map, brush, style);
  if (canvas.matches(":focus-visible")) paintCross(brush, map.centre(), style);
  canvas.dataset.painted = String(inSight.length);
}

function paintPoints(map, brush) {
  const { clientWidth: width, clientHeight: height } = map.canvas;
  const few = map.x.length < 5000 ? 0.6 : 0;
  const radius = Math.min(5, 1.3 + few + 0.7 * Math.log2(Math.max(map.view.zoom, 1)));
  const groups = Array.from(map.shades, () => []);
  const matches = [];
  const inSight = [];
  const { scale, x, y } = map; // once: each asks the page for its measures
  const [left, top] = map.toPixels(0, 0);
  for (let i = 0; i < x.length; i++) {
    const px = left + x[i] * scale;
    const py = top - y[i] * scale;
    if (px < -8 || py < -8 || px > width + 8 || py > height + 8) continue;
    inSight.push(i);
    if (map.matching?.[i]) matches.push([px, py, map.of[i]]);
    else groups.at(map.of[i]).push([px, py]);
  }
  brush.globalAlpha = map.matching ? 0.18 : 0.85;
  // Those without a colour of their own lie below.
  [groups.at(-1), ...groups.slice(0, -1)].forEach((places, i) => {
    brush.fillStyle = map.shades.at(i - 1);
    fill(brush, places, radius);
  });
  brush.globalAlpha = 1;
  brush.strokeStyle = getComputedStyle(map.canvas).getPropertyValue("--text");
  for (const [px, py, of] of matches) {
    brush.fillStyle = map.shades.at(of);
    brush.beginPath();
    brush.arc(px, py, radius + 1.5, 0, 7);
    brush.fill();
    brush.stroke();
  }
  return inSight;
}

/** Of families, the largest first; of points where few are in sight. None over another. */
function paintLabels(map, brush, style, inSight) {
  const { clientWidth: width, clientHeight: height } = map.canvas;
  const wanted = map.labels.map((one) => ({ ...one, strong: true }));
  const named = map.matching ? inSight.filter((i) => map.matching[i]) : inSight;
  if (named.length <= LABELS_FROM)
    wanted.push(
      ...named.map((i) => ({
        x: map.x[i],
        y: map.y[i],
        label: map.names[i],
        strong: false,
      })),
    );
  const taken = [];
  brush.lineJoin = "round";
  brush.lineWidth = 3;
  brush.strokeStyle = style.getPropertyValue("--ground");
  brush.fillStyle = style.getPropertyValue("--text");
  for (const one of wanted) {
    if (!one.label) continue;
    const [px, py] = map.toPixels(one.x, one.y);
    if (px < 0 || py < 0 || px > width || py > height) continue;
    const text = one.label.length > 34 ? `${one.label.slice(0, 33)}…` : one.label;
    brush.font = `${one.strong ? "600 12px" : "11px"} ${style.fontFamily}`;
    const half = brush.measureText(text).width / 2 + 4;
    const middle = Math.max(half, Math.min(width - half, px));
    const own = [middle - half, py - 18, middle + half, py - 3];
    if (
      taken.some(
        (other) =>
          own[0] < other[2] && other[0] < own[2] && own[1] < other[3] && other[1] < own[3],
      )
    )
      continue;
    taken.push(own);
    brush.textAlign = "center";
    brush.strokeText(text, middle, py - 6);
    brush.fillText(text, middle, py - 6);
  }
}

function paintBox(map, brush, style) {
  const [left, top] = map.toPixels(map.box.x[0], map.box.y[1]);
  const [right, bottom] = map.toPixels(map.box.x[1], map.box.y[0]);
  brush.strokeStyle = style.getPropertyValue("--accent");
  brush.lineWidth = 1.5;
  brush.setLineDash([5, 3]);
  brush.strokeRect(left, top, right - left, bottom - top);
  brush.setLineDash([]);
}

function fill(brush, places, radius) {
  if (radius <= 2.2) {
    for (const [px, py] of places)
      brush.fillRect(px - radius, py - radius, 2 * radius, 2 * radius);
    return;
  }
  brush.beginPath();
  for (const [px, py] of places) {
    brush.moveTo(px + radius, py);
    brush.arc(px, py, radius, 0, 7);
  }
  brush.fill();
}

function paintCross(brush, [px, py], style) {
  brush.strokeStyle = style.getPropertyValue("--accent");
  brush.lineWidth = 1.5;
  brush.beginPath();
  brush.moveTo(px - 8, py);
  brush.lineTo(px + 8, py);
  brush.moveTo(px, py - 8);
  brush.lineTo(px, py + 8);
  brush.stroke();
}
