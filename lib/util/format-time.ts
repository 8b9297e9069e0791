/**
 * Durations as Postfix logs them: a few significant digits, a limit on decimals, no trailing zeros (postconf(5),
 * delay_logging_resolution_limit).
 *
 * Pure.
 */

/**
 * A duration in microseconds as a number of seconds. It has at most `significantDigits` digits that count, but never
 * loses digits before the decimal point, and at most `maximalDecimals` (0…6) after it; it is rounded half up, and what
 * is smaller than the last decimal is "0". Negative durations, which a clock that was set back can give, count as 0.
 */
export function formatSeconds(microseconds: number, significantDigits: number, maximalDecimals: number): string {
  if (!(microseconds > 0)) return '0';
  const whole = Math.round(microseconds);
  // The first digit that is not zero stands at 10^-leading seconds.
  let leading = 0;
  for (let unit = 1_000_000; unit > whole; unit /= 10) leading++;
  const digitsBeforePoint = leading === 0 ? String(Math.floor(whole / 1_000_000)).length : 1 - leading;
  const decimals = Math.max(0, Math.min(significantDigits - digitsBeforePoint, maximalDecimals, 6));
  const unit = 10 ** (6 - decimals);
  const rounded = Math.floor((whole + unit / 2) / unit);
  const scale = 10 ** decimals;
  const seconds = Math.floor(rounded / scale);
  const fraction = rounded % scale;
  if (fraction === 0) return String(seconds);
  let text = String(fraction).padStart(decimals, '0');
  while (text.endsWith('0')) text = text.slice(0, -1);
  return `${seconds}.${text}`;
}
