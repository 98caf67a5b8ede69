/**
 * PlaceText: the place in the author's code where an error was thrown, to follow its message.
 * @module
 */

/** Empty if the message itself ends with the place, as for a deadline. */
export function placeText({
  message,
  at,
}: {
  readonly message: string
  readonly at?: string | undefined
}): string {
  return at === undefined || message.endsWith(at) ? '' : ` at ${at}`
}
