/** Catalogues of words, which the bundler puts in. */
declare module "*.json" {
  const words: Record<string, Record<string, string>>;
  export default words;
}
