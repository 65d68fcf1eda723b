/** The grammars of RFC 9110 §5 that a response head is checked against: once, when it enters the gateway. */

// §5.6.2 token.
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

// §5.5 field-value as bytes. Nothing above 0xFF: a latin-1 write would cut U+0A0D down to a line feed.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// §15: three digits, and RFC 9112 §4's space and reason.
const STATUS = /^[1-9][0-9]{2} [\t\x20-\x7e\x80-\xff]+$/;

const DIGITS = /^[0-9]+$/;

/** RFC 9110 §7.6.1 and RFC 2616 §13.5.1, the list PEP 3333 forbids to applications; and `Status`, which is CGI's own. */
const FORBIDDEN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'status',
  'te',
  'trailer',
  'trailers',
  'transfer-encoding',
  'upgrade',
]);

export function isToken(name: string): boolean {
  return TOKEN.test(name);
}

export function isFieldValue(value: string): boolean {
  return FIELD_VALUE.test(value);
}

export function isStatus(status: string): boolean {
  return STATUS.test(status);
}

/** @param name in lower case. */
export function isForbiddenHeader(name: string): boolean {
  return FORBIDDEN_HEADERS.has(name);
}

/** RFC 9110 §8.6 Content-Length: decimal digits that JavaScript can count. */
export function parseContentLength(value: string): number | undefined {
  const length = DIGITS.test(value) ? Number(value) : Number.NaN;

  return Number.isSafeInteger(length) ? length : undefined;
}

/** `%XX` to the byte it stands for, one code point a byte; anything else stays. */
export function percentDecode(text: string): string {
  if (!text.includes('%')) {
    return text;
  }
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
