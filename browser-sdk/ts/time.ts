/** Moments and days as text. */

/** Milliseconds in a day. */
export const DAY = 86_400_000;

/** A moment in RFC 3339, from milliseconds since 1970. */
export const moment = (at: number): string => new Date(at).toJSON().replace(".000", "");

/** A date, from days since 1970. */
export const date = (day: number): string => moment(day * DAY).slice(0, 10);
