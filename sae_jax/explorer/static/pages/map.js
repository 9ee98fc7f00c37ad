import { h } from "../dom.js";

export const title = "map";

export async function show(root) {
  root.append(h("p", {}, "map"));
}
