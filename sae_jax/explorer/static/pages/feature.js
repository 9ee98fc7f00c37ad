import { h } from "../dom.js";

export const title = "feature";

export async function show(root) {
  root.append(h("p", {}, "feature"));
}
