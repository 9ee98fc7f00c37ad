import { h } from "../dom.js";

export const title = "features";

export async function show(root) {
  root.append(h("p", {}, "features"));
}
