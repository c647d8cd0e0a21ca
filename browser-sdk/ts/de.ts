/** German words for reasons: a file of its own, which only pages in German load. */

import words from "../../core/json/src/words/shop.de.json" with { type: "json" };

const de: Record<string, Record<string, string>> = words;
export default de;
