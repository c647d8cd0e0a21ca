// The Worker's entry. Whatever goes wrong in here, a page leaves as the origin wrote it.
import { answer, isOfApi } from "./worker/api.mjs";
import { page } from "./worker/pages.mjs";

export default {
  fetch(request, env, context) {
    return isOfApi(new URL(request.url).pathname) ? answer(request, env, context) : page(request, env, context);
  },
};
