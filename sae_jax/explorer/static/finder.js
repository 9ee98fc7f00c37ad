// The box in the header: documents by keyword, features and families by label, "go to #123".

import { h } from "./dom.js";

export function drawFinder(root, { navigate }) {
  const input = h("input", { type: "search", placeholder: "Find  /", "aria-label": "Find documents, features and families" });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) navigate(`/search?q=${encodeURIComponent(input.value.trim())}`);
  });
  root.replaceChildren(input);
}
