//! What an answer says of budgets: of the one of which the least is left, as a share.

use std::fmt::{Display, Formatter, Result};

/// 10⁻⁹ of a currency's unit in one of it.
const NANO: u64 = 1_000_000_000;
/// The same in the last place of money that is told.
const NANO_PER_PLACE: u64 = 100_000;

/// What is left of a budget. It is written as a header says it: `3.20 CNY; day`, `1200 tokens; month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left<'a> {
    /// The whole.
    pub limit: u64,
    /// What of it is neither spent nor held.
    pub left: u64,
    /// It counts 10⁻⁹ of a currency's unit; otherwise tokens.
    pub is_money: bool,
    /// What stands behind the number.
    pub words: &'a str,
}

impl Left<'_> {
    /// The one of which a smaller share is left; of equal ones the first. Of a limit of 0 nothing is left.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        let by = |left: u64, limit: u64| u128::from(left) * u128::from(limit.max(1));
        if by(other.left, self.limit) < by(self.left, other.limit) { other } else { self }
    }
}

impl Display for Left<'_> {
    /// Money is rounded down to four places, of which two are always there.
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let Self { left, words, .. } = self;
        if !self.is_money {
            return write!(text, "{left} {words}");
        }
        let (whole, places) = (left / NANO, left % NANO / NANO_PER_PLACE);
        match (places / 100, places % 100) {
            (first, 0) => write!(text, "{whole}.{first:02} {words}"),
            (first, last) if last % 10 == 0 => write!(text, "{whole}.{first:02}{} {words}", last / 10),
            (first, last) => write!(text, "{whole}.{first:02}{last:02} {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(left: u64, limit: u64) -> Left<'static> {
        Left { limit, left, is_money: true, words: "CNY; day" }
    }

    #[test]
    fn amounts() {
        for (left, expected) in [
            (0, "0.00 CNY; day"),
            (99_999, "0.00 CNY; day"),
            (100_000, "0.0001 CNY; day"),
            (12_000_000, "0.012 CNY; day"),
            (3_200_000_000, "3.20 CNY; day"),
            (99_999_987_912_345, "99999.9879 CNY; day"),
            (u64::MAX, "18446744073.7095 CNY; day"),
        ] {
            assert_eq!(money(left, u64::MAX).to_string(), expected);
        }
        let tokens = Left { limit: 9, left: 7, is_money: false, words: "tokens; month" };
        assert_eq!(tokens.to_string(), "7 tokens; month");
    }

    #[test]
    fn the_least_is_told() {
        for (name, budgets, expected) in [
            ("a smaller share", vec![money(3, 10), money(29, 100), money(40, 100)], 1),
            ("of equal ones the first", vec![money(3, 10), money(30, 100)], 0),
            ("a limit of nothing", vec![money(1, u64::MAX), money(0, 0)], 1),
            ("nothing left of both", vec![money(0, 5), money(0, 0)], 0),
            ("the largest numbers", vec![money(u64::MAX, u64::MAX), money(u64::MAX - 1, u64::MAX)], 1),
        ] {
            let least = budgets.iter().copied().reduce(Left::least).unwrap();
            assert_eq!(least, budgets[expected], "{name}");
        }
    }
}
