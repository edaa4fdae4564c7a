//! Exact decimals of up to 65 digits.
//!
//! The stored form is text with a fixed number of digits after the point and no leading zeros, so that equal
//! values of a column are equal bytes. [`compare_text`] orders that text as numbers without allocating.

use std::cmp::Ordering;
use std::fmt;

/// The most digits that a DECIMAL has.
pub const MAX_DIGITS: usize = 65;
/// The most digits after the point.
pub const MAX_SCALE: usize = 30;
/// Digits that a division adds to the scale of its left side.
pub const DIVISION_SCALE: usize = 4;
/// Digits after the point that a product keeps.
pub const MAX_PRODUCT_SCALE: usize = 39;
/// MySQL keeps digits in words of nine, and a result in nine such words.
const WORD: usize = 9;

/// A decimal number. `digits` has no leading zeros beyond those that the scale needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Base 10, most significant first, without leading zeros.
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    /// Zero.
    #[must_use]
    pub fn zero() -> Decimal {
        Decimal { negative: false, digits: Vec::new(), scale: 0 }
    }

    /// The number that text says, in plain or scientific form; none if it says no number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Decimal> {
        let (number, rest) = Decimal::parse_prefix(text.trim());
        rest.is_empty().then_some(number).flatten()
    }

    /// The number at the start of the text, and what follows it.
    #[must_use]
    pub fn parse_prefix(text: &str) -> (Option<Decimal>, &str) {
        let (negative, body) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let whole = body.bytes().take_while(u8::is_ascii_digit).count();
        let after = &body[whole..];
        let fraction = match after.strip_prefix('.') {
            Some(tail) => tail.bytes().take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        if whole + fraction == 0 {
            return (None, text);
        }
        let point = if after.starts_with('.') { fraction + 1 } else { 0 };
        let digits: Vec<u8> =
            body[..whole + point].bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let mut rest = &body[whole + point..];
        let mut number = Decimal { negative, digits, scale: fraction };
        if let Some((exponent, tail)) = exponent(rest) {
            rest = tail;
            number.shift(exponent);
        }
        number.normalise();
        (Some(number), rest)
    }

    /// Multiplies by ten to the power `exponent`, which is within a few hundred.
    fn shift(&mut self, exponent: i32) {
        let places = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX).min(400);
        if exponent < 0 {
            self.scale += places;
            return;
        }
        let into_scale = places.min(self.scale);
        self.scale -= into_scale;
        self.digits.extend(std::iter::repeat_n(0, places - into_scale));
    }

    fn normalise(&mut self) {
        let zeros = self.digits.iter().take_while(|&&d| d == 0).count();
        self.digits.drain(..zeros);
        if self.digits.is_empty() {
            self.negative = false;
        }
    }

    /// Digits after the point.
    #[must_use]
    pub fn scale(&self) -> usize {
        self.scale
    }

    /// Digits before the point, without leading zeros.
    #[must_use]
    pub fn whole_digits(&self) -> usize {
        self.digits.len().saturating_sub(self.scale)
    }

    /// Whether it is less than zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// With this many digits after the point, rounded half away from zero.
    #[must_use]
    pub fn rescale(&self, scale: usize) -> Decimal {
        let mut out = self.clone();
        if scale >= self.scale {
            if !out.digits.is_empty() {
                out.digits.extend(std::iter::repeat_n(0, scale - self.scale));
            }
            out.scale = scale;
            return out;
        }
        let cut = self.scale - scale;
        let keep = self.digits.len().saturating_sub(cut);
        let round_up = self.digits.len() >= cut && self.digits.get(keep).is_some_and(|&d| d >= 5);
        out.digits.truncate(keep);
        out.scale = scale;
        if round_up {
            out.digits = add_digits(&out.digits, &[1]);
        }
        out.normalise();
        out
    }

    /// With this many digits after the point, the rest cut off.
    #[must_use]
    pub fn truncate(&self, scale: usize) -> Decimal {
        if scale >= self.scale {
            return self.rescale(scale);
        }
        let mut out = self.clone();
        out.digits.truncate(self.digits.len().saturating_sub(self.scale - scale));
        out.scale = scale;
        out.normalise();
        out
    }

    /// The same, or where it has more digits than this, the greatest number that has not.
    #[must_use]
    pub fn within(self, digits: usize) -> Decimal {
        if self.whole_digits() + self.scale <= digits {
            return self;
        }
        Decimal { digits: vec![9; digits], ..self }
    }

    /// The negative of it.
    #[must_use]
    pub fn negate(mut self) -> Decimal {
        self.negative = !self.negative && !self.digits.is_empty();
        self
    }

    /// The sum.
    #[must_use]
    pub fn add(&self, other: &Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale), other.rescale(scale));
        let mut out = match (a.negative == b.negative, compare_digits(&a.digits, &b.digits)) {
            (true, _) => Decimal { negative: a.negative, digits: add_digits(&a.digits, &b.digits), scale },
            (false, Ordering::Less) => {
                Decimal { negative: b.negative, digits: subtract_digits(&b.digits, &a.digits), scale }
            }
            (false, _) => {
                Decimal { negative: a.negative, digits: subtract_digits(&a.digits, &b.digits), scale }
            }
        };
        out.normalise();
        out
    }

    /// The product; its scale is the sum of both.
    #[must_use]
    pub fn multiply(&self, other: &Decimal) -> Decimal {
        let mut sums = vec![0u32; self.digits.len() + other.digits.len()];
        for (i, &a) in self.digits.iter().enumerate() {
            for (j, &b) in other.digits.iter().enumerate() {
                sums[i + j + 1] += u32::from(a) * u32::from(b);
            }
        }
        let mut carry = 0;
        for sum in sums.iter_mut().rev() {
            let total = *sum + carry;
            *sum = total % 10;
            carry = total / 10;
        }
        let digits = sums.into_iter().map(|d| u8::try_from(d).unwrap_or(0)).collect();
        let mut out =
            Decimal { negative: self.negative != other.negative, digits, scale: self.scale + other.scale };
        out.normalise();
        out
    }

    /// The quotient with this many digits after the point, rounded; none for a division by zero.
    #[must_use]
    pub fn divide(&self, other: &Decimal, scale: usize) -> Option<Decimal> {
        // One digit more than asked for, so that rounding sees it.
        let shifted = self.rescale(self.scale.max(scale + 1 + other.scale));
        let (quotient, _) = divide_digits(&shifted.digits, &other.digits)?;
        let mut out = Decimal {
            negative: self.negative != other.negative,
            digits: quotient,
            scale: shifted.scale - other.scale,
        };
        out.normalise();
        Some(out.rescale(scale))
    }

    /// The quotient with the digits that MySQL keeps of it for further arithmetic: the fractions of both sides
    /// and [`DIVISION_SCALE`], each in whole words, the rest cut off. None for a division by zero.
    #[must_use]
    pub fn quotient(&self, other: &Decimal) -> Option<Decimal> {
        let words = |digits: usize| digits.next_multiple_of(WORD);
        let fractions = words(self.scale) + words(other.scale);
        let padding = fractions - self.scale - other.scale;
        let scale = words(fractions + DIVISION_SCALE.saturating_sub(padding));
        let whole = (self.digits.len() + other.scale + usize::from(self.digits >= other.digits))
            .saturating_sub(other.digits.len() + self.scale);
        let scale = scale.min((WORD * WORD).saturating_sub(words(whole)));
        let shifted = self.rescale(self.scale.max(scale + other.scale));
        let (digits, _) = divide_digits(&shifted.digits, &other.digits)?;
        let negative = self.negative != other.negative;
        let mut out = Decimal { negative, digits, scale: shifted.scale - other.scale };
        out.normalise();
        Some(out.truncate(scale))
    }

    /// What is left of a division of whole parts; the sign is the left side's.
    #[must_use]
    pub fn remainder(&self, other: &Decimal) -> Option<Decimal> {
        let scale = self.scale.max(other.scale);
        let (a, b) = (self.rescale(scale), other.rescale(scale));
        let (_, rest) = divide_digits(&a.digits, &b.digits)?;
        let mut out = Decimal { negative: self.negative, digits: rest, scale };
        out.normalise();
        Some(out)
    }

    /// The whole number, if it has no fraction and fits.
    #[must_use]
    pub fn to_i128(&self) -> Option<i128> {
        let whole = self.rescale(0);
        if compare(&whole, self) != Ordering::Equal {
            return None;
        }
        whole.rounded()
    }

    /// Rounded half away from zero to a whole number, if that fits.
    #[must_use]
    pub fn rounded(&self) -> Option<i128> {
        let whole = self.rescale(0);
        let magnitude =
            whole.digits.iter().try_fold(0i128, |sum, &d| sum.checked_mul(10)?.checked_add(i128::from(d)))?;
        Some(if whole.negative { -magnitude } else { magnitude })
    }

    /// The nearest double.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(0.0)
    }
}

impl From<i128> for Decimal {
    fn from(value: i128) -> Decimal {
        let digits = value.unsigned_abs().to_string().bytes().map(|b| b - b'0').collect();
        let mut out = Decimal { negative: value < 0, digits, scale: 0 };
        out.normalise();
        out
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.digits.len() + 3);
        if self.negative {
            text.push('-');
        }
        let padding = (self.scale + 1).saturating_sub(self.digits.len());
        let all = std::iter::repeat_n(0u8, padding).chain(self.digits.iter().copied());
        let point = padding + self.digits.len() - self.scale;
        for (at, digit) in all.enumerate() {
            if at == point {
                text.push('.');
            }
            text.push(char::from(b'0' + digit));
        }
        f.write_str(&text)
    }
}

fn exponent(text: &str) -> Option<(i32, &str)> {
    let body = text.strip_prefix(['e', 'E'])?;
    let sign = usize::from(body.starts_with(['-', '+']));
    let digits = body[sign..].bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let value: i32 = body[..sign + digits].parse().ok()?;
    Some((value, &body[sign + digits..]))
}

fn compare_digits(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn add_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(a.len().max(b.len()) + 1);
    let mut carry = 0;
    for at in 0..a.len().max(b.len()) {
        let digit = |x: &[u8]| x.len().checked_sub(at + 1).map_or(0, |i| x[i]);
        let sum = digit(a) + digit(b) + carry;
        out.push(sum % 10);
        carry = sum / 10;
    }
    if carry > 0 {
        out.push(carry);
    }
    out.reverse();
    out
}

/// `a - b`, where `a` is not less than `b`.
fn subtract_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = a.to_vec();
    let mut borrow = 0;
    for at in 0..a.len() {
        let i = a.len() - 1 - at;
        let take = b.len().checked_sub(at + 1).map_or(0, |j| b[j]) + borrow;
        borrow = u8::from(out[i] < take);
        out[i] = out[i] + 10 * borrow - take;
    }
    out
}

fn divide_digits(a: &[u8], b: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if b.is_empty() {
        return None;
    }
    let mut quotient = Vec::with_capacity(a.len());
    let mut rest: Vec<u8> = Vec::new();
    for &digit in a {
        if !(rest.is_empty() && digit == 0) {
            rest.push(digit);
        }
        let mut times = 0;
        while compare_digits(&rest, b) != Ordering::Less {
            rest = subtract_digits(&rest, b);
            let zeros = rest.iter().take_while(|&&d| d == 0).count();
            rest.drain(..zeros);
            times += 1;
        }
        quotient.push(times);
    }
    Some((quotient, rest))
}

/// Compares two decimals by value.
#[must_use]
pub fn compare(a: &Decimal, b: &Decimal) -> Ordering {
    let scale = a.scale.max(b.scale);
    let (a, b) = (a.rescale(scale), b.rescale(scale));
    match (a.negative, b.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => compare_digits(&a.digits, &b.digits),
        (true, true) => compare_digits(&b.digits, &a.digits),
    }
}

/// Compares canonical text (no leading zeros, no plus sign) by value.
#[must_use]
pub fn compare_text(a: &str, b: &str) -> Ordering {
    let (negative_a, negative_b) = (a.starts_with('-'), b.starts_with('-'));
    match (negative_a, negative_b) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_magnitude(a.as_bytes(), b.as_bytes()),
        (true, true) => compare_magnitude(&b.as_bytes()[1..], &a.as_bytes()[1..]),
    }
}

fn compare_magnitude(a: &[u8], b: &[u8]) -> Ordering {
    let split = |x: &[u8]| x.iter().position(|&c| c == b'.').unwrap_or(x.len());
    let (whole_a, whole_b) = (split(a), split(b));
    whole_a.cmp(&whole_b).then_with(|| a[..whole_a].cmp(&b[..whole_b])).then_with(|| {
        let fraction = |x: &[u8], whole: usize, at: usize| x.get(whole + 1 + at).copied().unwrap_or(b'0');
        (0..a.len().max(b.len()))
            .map(|at| fraction(a, whole_a, at).cmp(&fraction(b, whole_b, at)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn arithmetic_is_exact() {
        assert_eq!(d("0.1").add(&d("0.2")).to_string(), "0.3");
        assert_eq!(d("1.00").add(&d("-2.5")).to_string(), "-1.50");
        assert_eq!(d("-1.5").multiply(&d("2.25")).to_string(), "-3.375");
        assert_eq!(d("10").divide(&d("3"), 4).unwrap().to_string(), "3.3333");
        assert_eq!(d("2").divide(&d("3"), 4).unwrap().to_string(), "0.6667");
        assert!(d("1").divide(&d("0.00"), 4).is_none());
        assert_eq!(d("-7.5").remainder(&d("2")).unwrap().to_string(), "-1.5");
        let nines = "9".repeat(40);
        assert_eq!(d(&nines).add(&d("1")).to_string(), format!("1{}", "0".repeat(40)));
    }

    #[test]
    fn quotients_have_whole_words_of_digits() {
        for (a, b, want) in [
            ("1", "3", "0.333333333"),
            ("-2", "3", "-0.666666666"),
            ("0.333333333", "3", "0.111111111000000000"),
            ("5", "0.07", "71.428571428"),
            ("1.5", "0.25", "6.000000000000000000"),
        ] {
            assert_eq!(d(a).quotient(&d(b)).unwrap().to_string(), want, "{a} / {b}");
        }
        assert!(d("1").quotient(&d("0.00")).is_none());
        // 81 digits are all that a result has
        let digits = d(&"9".repeat(60)).quotient(&d("0.000000000000000000007")).unwrap();
        assert_eq!(digits.scale(), 0);
    }

    #[test]
    fn rounding_is_half_away_from_zero() {
        for (text, scale, want) in [
            ("1.005", 2, "1.01"),
            ("-1.5", 0, "-2"),
            ("0.4", 0, "0"),
            ("9.99", 1, "10.0"),
            ("0.06", 1, "0.1"),
        ] {
            assert_eq!(d(text).rescale(scale).to_string(), want);
        }
        assert_eq!(d("1.5e3").to_string(), "1500");
        assert_eq!(d("15e-3").to_string(), "0.015");
        assert_eq!(d("-0.00").to_string(), "0.00");
    }

    #[test]
    fn text_compares_as_numbers() {
        let sorted = ["-10.50", "-9.99", "-0.01", "0", "0.01", "2.00", "10.00", "10.01"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(compare_text(a, b), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(compare_text("1", "1.00"), Ordering::Equal);
        assert_eq!(compare_text("1.000", "1.0"), Ordering::Equal);
    }
}
