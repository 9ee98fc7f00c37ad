import { h } from "../dom.js";

export const title = "family";

export async function show(root) {
  root.append(h("p", {}, "family"));
}
