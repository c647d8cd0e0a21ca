// Where things are.
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");
export const dist = (file) => join(root, "dist", file);
