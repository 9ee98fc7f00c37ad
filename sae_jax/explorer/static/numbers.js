// Numbers as people read them.

export const count = (n) => (n ?? 0).toLocaleString("en");

export const percent = (share, digits = 1) => {
  const value = 100 * share;
  if (value !== 0 && Math.abs(value) < 10 ** -digits) return `<${10 ** -digits} %`;
  return `${value.toFixed(digits)} %`;
};

/** A score as the field writes it: .612, −.034. */
export const score = (value, digits = 3) => {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits).replace(/^0\./, ".");
  return value < 0 ? `−${text}` : text;
};

export const signed = (value, digits = 3) => (value < 0 ? "" : "+") + score(value, digits);

export const seconds = (milliseconds) =>
  milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;

/** Of two digits however small: 12 %, 2.1 %, 0.042 %; 0 is 0 %. */
export const fine = (share) => {
  const value = 100 * share;
  if (value === 0 || value >= 10) return `${Math.round(value)} %`;
  return `${value.toPrecision(2)} %`;
};

/** A number of seconds, as a person says it. */
export function duration(value) {
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  const [minutes, hours, days] = [
    Math.floor(whole / 60),
    Math.floor(whole / 3600),
    Math.floor(whole / 86400),
  ];
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${days} days`;
}
