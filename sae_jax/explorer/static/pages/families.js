import { h } from "../dom.js";

export const title = "families";

export async function show(root) {
  root.append(h("p", {}, "families"));
}
