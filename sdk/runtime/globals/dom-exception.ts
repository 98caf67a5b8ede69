/** DOMException: what the functions of the web throw. The legacy codes are left out; `name` says what happened. */
export class DOMException extends Error {
  constructor(message = '', name = 'Error') {
    super(message)
    Object.defineProperty(this, 'name', { value: name, configurable: true, writable: true })
  }
}
