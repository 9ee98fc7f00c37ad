import { h } from "../dom.js";

export const title = "runs";

export async function show(root) {
  root.append(h("p", {}, "runs"));
}
