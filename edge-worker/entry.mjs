// The Worker's entry. Whatever goes wrong in here, a page leaves as the origin wrote it.
import { answer, routeOf } from "./worker/api.mjs";
import { page } from "./worker/pages.mjs";

export default {
  fetch(request, env, context) {
    const route = routeOf(new URL(request.url).pathname);
    return route ? answer(route, request, env, context) : page(request, env, context);
  },
};
