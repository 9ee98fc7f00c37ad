// Makes elements. Text is always text: nothing here reads HTML.

const SVG = "http://www.w3.org/2000/svg";

/** h("a", {href, class, onclick}, "text", child, …); null, undefined and false are left out. */
export function h(tag, properties, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") setStyle(element, value);
    else if (name === "value" && "value" in element && tagHasState(element))
      element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children
      .flat(Infinity)
      .filter((one) => one !== null && one !== undefined && one !== false),
  );
  return element;
}

function tagHasState(element) {
  return ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);
}

/** Through the object model: the page's policy forbids style attributes. */
function setStyle(element, values) {
  for (const [name, value] of Object.entries(values)) element.style.setProperty(name, value);
}

/** Says something to screen readers. */
export function announce(text) {
  document.getElementById("said").textContent = text;
}
