//! JSON as `serde_json` reads it: members in order, duplicates and all, values as they are spelled.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Whether this is JSON; lone surrogate escapes are accepted.
pub(crate) fn is_json(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// How many containers are open at most: of JSON, or of the start of some.
pub(crate) fn depth(input: &[u8]) -> usize {
    let (mut depth, mut deepest, mut inside, mut escaped) = (0_usize, 0, false, false);
    for &byte in input {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => depth += 1,
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// An object's members.
#[derive(Debug)]
pub struct Members(pub(crate) Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

impl Members {
    /// None where it is not an object, or where a key holds half a surrogate pair.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The raw values under this name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(other, _)| other == name).map(|(_, value)| value.get()).collect()
    }

    /// The first of them.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.get())
    }

    /// The first of them that is not null.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().find(|value| *value != "null")
    }

    /// Names and raw values of all members but these.
    #[must_use]
    pub fn others(&self, names: &[&str]) -> Vec<(&str, &str)> {
        let members = self.0.iter().map(|(name, value)| (name.as_str(), value.get()));
        members.filter(|(name, _)| !names.contains(name)).collect()
    }
}

/// The items of an array.
pub(crate) fn items(text: &str) -> Option<Vec<Box<RawValue>>> {
    serde_json::from_str(text).ok()
}

/// Whether any object in it has a key twice, so that readers may differ in what it says. Also where `serde_json` can't
/// tell: no JSON, half a surrogate pair in a key.
pub(crate) fn is_ambiguous(text: &str) -> bool {
    struct Walk;
    impl<'de> DeserializeSeed<'de> for Walk {
        type Value = ();

        fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            <Box<RawValue>>::deserialize(deserializer).and_then(|value| walk(value.get()))
        }
    }
    struct Inside;
    impl<'de> Visitor<'de> for Inside {
        type Value = ();

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object or an array")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut seen = HashSet::new();
            while let Some(key) = map.next_key::<String>()? {
                if !seen.insert(key) {
                    return Err(serde::de::Error::custom("twice"));
                }
                map.next_value_seed(Walk)?;
            }
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            while items.next_element_seed(Walk)?.is_some() {}
            Ok(())
        }
    }
    fn walk<E: serde::de::Error>(text: &str) -> Result<(), E> {
        if text.starts_with(['{', '[']) {
            let mut deserializer = serde_json::Deserializer::from_str(text);
            serde::Deserializer::deserialize_any(&mut deserializer, Inside).map_err(E::custom)?;
        }
        Ok(())
    }
    !is_json(text.as_bytes()) || walk::<serde_json::Error>(text.trim_ascii()).is_err()
}
