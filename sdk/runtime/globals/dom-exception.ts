/** DOMException: what the web's functions throw. The codes of old are left out; `name` tells. */
export class DOMException extends Error {
  constructor(message = '', name = 'Error') {
    super(message)
    Object.defineProperty(this, 'name', { value: name, configurable: true, writable: true })
  }
}
