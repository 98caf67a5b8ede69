/**
 * Width: how many columns of a terminal a text takes. Nothing in Node says it; the rule is that of `wcwidth`, which most
 * terminals follow: by code point, East Asian wide characters and emoji two, marks none. A control character is shown as
 * `\xNN` (T3 of terminal.ts).
 * @module
 */

/** Unicode's East_Asian_Width W and F, in whole blocks: what they leave open inside one is shown wide too. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18d08}\u{1b000}-\u{1b2fb}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
const none = /[\p{Mn}\p{Me}\p{Cf}]/u
const control = /\p{Cc}/u
const narrow = /^[\x20-\x7e]*$/

/** @param text Without styles. */
export function widthOf(text: string): number {
  if (narrow.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOfOne(character)
  return width
}

function widthOfOne(character: string): number {
  if (control.test(character)) return 4
  return none.test(character) ? 0 : wide.test(character) ? 2 : 1
}

/** At most so many columns of the text; what is cut ends in `…`. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 1
  for (const character of text) {
    width += widthOfOne(character)
    if (width > columns) break
    kept += character
  }
  return `${kept}…`
}
