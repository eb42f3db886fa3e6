//! What the headers of an answer say: of each unit, the rate that leaves the least.

use crate::gcra;
use crate::plan::RateUnit;

/// What one rate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Its number, a minute.
    pub limit: u64,
    /// What it would still let through at once.
    pub remaining: u64,
    /// How long until it would let its whole number through.
    pub reset_ns: u64,
}

impl Family {
    /// Of a rate whose bucket has this level.
    pub(crate) fn at(limit: u64, level: u64) -> Self {
        Self { limit, remaining: gcra::remaining(level, limit), reset_ns: level }
    }
}

/// Of each unit, the rate that leaves the least; None where no rate has that unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strictest {
    /// Requests a minute.
    pub requests: Option<Family>,
    /// Tokens a minute.
    pub tokens: Option<Family>,
}

impl Strictest {
    /// One more rate.
    pub(crate) fn consider(&mut self, unit: RateUnit, family: Family) {
        let place = match unit {
            RateUnit::Requests => &mut self.requests,
            RateUnit::Tokens => &mut self.tokens,
        };
        let is_stricter =
            place.is_none_or(|known| (family.remaining, known.reset_ns) < (known.remaining, family.reset_ns));
        if is_stricter {
            *place = Some(family);
        }
    }
}
