//! What is limited, by name: `rpm:key:7`, `budget:3:1764518400:user:ann`. The table knows only a digest of it.

use sha2::{Digest, Sha256};

use crate::layout::OVERFLOW_ROWS;

/// Before the name of a user, whom strangers may have named.
const USER: &str = ":user:";

/// What the table wants to know of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// 64 bits of SHA-256, not 0: nobody finds a name with the digest of another's.
    pub(crate) key: u64,
    /// The row that it shares where the table has no room.
    pub(crate) overflow: usize,
    /// It names a user; there may be any number of those.
    pub(crate) is_user: bool,
}

impl Descriptor {
    /// Of a rate.
    pub(crate) fn of_rate(name: &str) -> Self {
        Self::new(name, 0)
    }

    /// Of a concurrency limit or a budget.
    pub(crate) fn of_hold(name: &str) -> Self {
        Self::new(name, OVERFLOW_ROWS / 2)
    }

    /// All users of a rule share one row; of other names, all of a kind do.
    fn new(name: &str, rows_from: usize) -> Self {
        let before_user = name.split_once(USER).map(|(rule, _)| rule);
        let rule = before_user.or_else(|| name.split(':').next()).unwrap_or(name);
        let bucket = digest(rule) % (OVERFLOW_ROWS as u64 / 2);
        Self {
            key: digest(name).max(1),
            overflow: rows_from + usize::try_from(bucket).unwrap_or(0),
            is_user: before_user.is_some(),
        }
    }
}

fn digest(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(size_of::<u64>()).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_a_rule_share_a_row_and_nothing_else() {
        let ann = Descriptor::of_rate("rpm:key:7:user:ann");
        let ben = Descriptor::of_rate("rpm:key:7:user:ben");
        let other = Descriptor::of_rate("rpm:key:8:user:ann");
        assert!(ann.is_user && ben.is_user && ann.key != ben.key);
        assert_eq!(ann.overflow, ben.overflow);
        assert_ne!(ann.overflow, other.overflow);
        assert!(!Descriptor::of_rate("rpm:key:7").is_user);
    }

    #[test]
    fn rates_and_holds_share_no_row() {
        for name in ["rpm:key:7", "concurrent:key:7", "budget:3:1764518400:user:ann", "", ":user:"] {
            assert!(Descriptor::of_rate(name).overflow < OVERFLOW_ROWS / 2, "{name}");
            let hold = Descriptor::of_hold(name).overflow;
            assert!((OVERFLOW_ROWS / 2..OVERFLOW_ROWS).contains(&hold), "{name}");
        }
    }
}
