//! What people and rooms are called: text with rules, in a type that keeps them.
//!
//! A name passes RFC 8266 (PRECIS Nickname) unchanged, has no white space, and is of characters and scripts that UTS 39
//! allows in identifiers; two names clash when their UTS 39 skeletons do (THREATS.md row 17).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use precis_profiles::Nickname;
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use serde::{Deserialize, Serialize};
use unicode_security::{
    GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, confusable_detection::skeleton,
};
use unicode_width::UnicodeWidthStr;

use crate::limits::{NAME_BYTES_MAX, NAME_COLUMNS_MAX, ROOM_NAME_COLUMNS_MAX};

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident, $columns:expr) => {
        $(#[$doc])*
        ///
        /// Copies share the text: each event names its room and who it is about.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// What two names must not share in one place: the UTS 39 skeleton, without regard to case before and after
            /// (a zero's skeleton is a capital O).
            pub fn skeleton(&self) -> String {
                skeleton(&self.0.to_lowercase()).collect::<String>().to_lowercase()
            }
        }

        impl $type {
            /// Whether a person could take one for the other: they clash by [`skeleton`](Self::skeleton), or look alike
            /// in the case in which they are written (a capital I beside a small l).
            pub fn looks_like(&self, other: &Self) -> bool {
                let as_written = |name: &Self| skeleton(&name.0).collect::<String>().to_lowercase();
                self.skeleton() == other.skeleton() || as_written(self) == as_written(other)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                check(&text, $columns)?;
                Ok($type(text.into()))
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type!(
    /// What a person is called. Says nothing about who they are: that is their key.
    Name,
    NAME_COLUMNS_MAX
);
name_type!(
    /// What a room is called at a rendezvous.
    RoomName,
    ROOM_NAME_COLUMNS_MAX
);

/// Why a text can't be a name, in words for the person who chose it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing in it.
    #[error("a name can't be empty")]
    Empty,
    /// More bytes or columns than fit.
    #[error("a name has at most {columns} columns and {NAME_BYTES_MAX} bytes")]
    TooLong {
        /// Columns that this kind of name may have.
        columns: usize,
    },
    /// Begins like a command.
    #[error("a name can't begin with {0:?}{why}", why = if .0.is_whitespace() { "" } else { ", which begins commands and addresses" })]
    Leading(char),
    /// A character that names don't have.
    #[error("a name can't contain {0:?}: use letters, digits and . _ - '")]
    Character(char),
    /// Letters of scripts that don't occur together in one language.
    #[error("a name can't mix scripts whose letters look alike")]
    MixedScripts,
    /// RFC 8266 would have changed it, or refuses it.
    #[error("a name is written in its composed, compatibility-free form")]
    NotNormal,
}

fn check(text: &str, columns: usize) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > NAME_BYTES_MAX || text.width() > columns {
        return Err(NameError::TooLong { columns });
    }
    if !first.is_alphanumeric() {
        return Err(NameError::Leading(first));
    }
    if let Some(odd) = text.chars().find(|&c| !is_name_character(c)) {
        return Err(NameError::Character(odd));
    }
    if !text.check_restriction_level(RestrictionLevel::HighlyRestrictive) {
        return Err(NameError::MixedScripts);
    }
    match Nickname::enforce(text) {
        Ok(normal) if normal == text => Ok(()),
        _ => Err(NameError::NotNormal),
    }
}

/// UTS 39 already leaves out white space, controls, format and private characters.
fn is_name_character(c: char) -> bool {
    matches!(c, '.' | '_' | '-' | '\'') || c.identifier_allowed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_many_scripts_are_taken() {
        for name in ["alice", "Bob", "j.doe-2", "O'Neil", "Zoë", "Дмитрий", "日本", "محمد", "안녕"] {
            assert!(name.parse::<Name>().is_ok(), "{name}: {:?}", name.parse::<Name>());
        }
    }

    #[test]
    fn names_that_could_mislead_are_refused() {
        use NameError::*;
        let refused = [
            ("", Empty),
            ("a b", Character(' ')),
            ("/quit", Leading('/')),
            ("@bob", Leading('@')),
            (":q", Leading(':')),
            ("bob\u{1b}[2J", Character('\u{1b}')),
            ("bob\n", Character('\n')),
            ("b\u{202e}bo", Character('\u{202e}')),
            ("b\u{200b}ob", Character('\u{200b}')),
            ("раypal", MixedScripts),
            ("zoe\u{308}", NotNormal),
        ];
        for (name, why) in refused {
            assert_eq!(name.parse::<Name>(), Err(why), "{name:?}");
        }
        assert!("x".repeat(NAME_COLUMNS_MAX + 1).parse::<Name>().is_err());
        assert!("x".repeat(NAME_COLUMNS_MAX + 1).parse::<RoomName>().is_ok());
    }

    #[test]
    fn look_alikes_share_a_skeleton() {
        for (left, right) in [("alice", "Alice"), ("paypal", "раураl"), ("modern", "rnodern"), ("b0b", "bOb")] {
            let [left, right] = [left, right].map(|name| Name(name.into()).skeleton());
            assert_eq!(left, right);
        }
        let [alice, capital_i, bill] = ["alice", "aIice", "bill"].map(|name| Name(name.into()));
        assert!(alice.looks_like(&capital_i) && !alice.looks_like(&bill));
        assert_ne!(Name("alice".into()).skeleton(), Name("alicia".into()).skeleton());
    }

    #[test]
    fn a_bad_name_does_not_decode() {
        let bytes = postcard::to_stdvec("not a name").unwrap();
        assert!(postcard::from_bytes::<Name>(&bytes).is_err());
    }
}
