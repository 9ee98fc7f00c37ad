import { h } from "../dom.js";

export const title = "search";

export async function show(root) {
  root.append(h("p", {}, "search"));
}
