// Numbers and times as a person reads them: the shop's zone and currency, never the viewer's.

const LOCALE = "en-GB";

export class Formats {
  constructor(shop) {
    this.zone = shop.timezone;
    const money = (digits, notation) =>
      new Intl.NumberFormat(LOCALE, {
        style: "currency",
        currency: shop.currency,
        currencyDisplay: "narrowSymbol",
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
        notation,
      });
    const minor = new Intl.NumberFormat(LOCALE, { style: "currency", currency: shop.currency }).resolvedOptions()
      .maximumFractionDigits;
    this.wholeMoney = money(0);
    this.exactMoney = money(minor);
    this.shortMoney = new Intl.NumberFormat(LOCALE, {
      style: "currency",
      currency: shop.currency,
      currencyDisplay: "narrowSymbol",
      notation: "compact",
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
    });
    this.integer = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
    this.oneDigit = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
    this.twoDigits = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
    this.percent = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
    this.finePercent = new Intl.NumberFormat(LOCALE, {
      style: "percent",
      minimumFractionDigits: 1,
      maximumFractionDigits: 1,
    });
    this.signedPercent = new Intl.NumberFormat(LOCALE, {
      style: "percent",
      maximumFractionDigits: 0,
      signDisplay: "exceptZero",
    });
    const time = (options) => new Intl.DateTimeFormat(LOCALE, { timeZone: shop.timezone, hourCycle: "h23", ...options });
    this.seconds = time({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
    this.minutes = time({ hour: "2-digit", minute: "2-digit" });
    this.weekday = time({ weekday: "short", day: "numeric", month: "short" });
    this.dated = time({ weekday: "short", hour: "2-digit", minute: "2-digit" });
    this.instant = time({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
    this.dayKey = new Intl.DateTimeFormat("en-CA", { timeZone: shop.timezone });
  }

  roughMoney(value) {
    return (Math.abs(value) < 1000 ? this.wholeMoney : this.shortMoney).format(value);
  }

  value(figure) {
    switch (figure.unit) {
      case "money":
        return Math.abs(figure.value) < 1000 ? this.exactMoney.format(figure.value) : this.wholeMoney.format(figure.value);
      case "ratio":
        return this.finePercent.format(figure.value);
      case "number":
        return this.twoDigits.format(figure.value);
      default:
        return this.integer.format(figure.value);
    }
  }

  // A time of another day carries its weekday, so that "06:10" is never read as today's.
  time(ms, todayMs) {
    const same = this.dayKey.format(ms) === this.dayKey.format(todayMs);
    return (same ? this.minutes : this.dated).format(ms);
  }

  duration(ms) {
    const seconds = Math.max(0, Math.round(ms / 1000));
    if (seconds < 120) return `${seconds} s`;
    if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
    return `${this.oneDigit.format(seconds / 3600)} h`;
  }
}
