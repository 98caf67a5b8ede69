/**
 * PlaceText: where in the author's code an error was thrown, behind its message.
 * @module
 */

/** Empty where the message ends with the place itself, as that of a deadline does. */
export function placeText({
  message,
  at,
}: {
  readonly message: string
  readonly at?: string | undefined
}): string {
  return at === undefined || message.endsWith(at) ? '' : ` at ${at}`
}
