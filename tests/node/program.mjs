// Browsers for the tests: the one that a variable names, or the one that the build found.
import { readlinkSync } from "node:fs";
import { join } from "node:path";

/** The program of `chromium` or `firefox`. */
export function browserProgram(name) {
  const named = process.env[name.toUpperCase()];
  if (named) return named;
  const link = join(import.meta.dirname, "../../dist/tools", name);
  try {
    return readlinkSync(link);
  } catch {
    throw new Error(`\`${link}\` is missing: \`cargo xtask setup\` installs ${name}, \`cargo xtask build\` links it`);
  }
}
