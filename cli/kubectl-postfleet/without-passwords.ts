/** Text without the passwords of its URLs, for what is shown or passed on. Pure. */
export function withoutPasswords(text: string): string {
  return text.replace(/(\w:\/\/[^\s:/@]*:)[^\s/@]+@/g, '$1…@');
}
