import { h } from "../dom.js";

export const title = "document";

export async function show(root) {
  root.append(h("p", {}, "document"));
}
