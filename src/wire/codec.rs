//! Bytes: postcard in frames of a known length, one encoding for each value.
//!
//! A frame is `length: u32 big-endian`, then that many bytes: `kind: u8` and the postcard body. The length is checked
//! before memory is taken; unused bytes are an error; what was decoded must encode to the same bytes again, so that a
//! signed thing has one form (DESIGN.md §7).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::identity::{encode_into, encodes_to};
use crate::limits::FRAME_BYTES_MAX;

/// Bytes of the length that precedes each frame.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame claims more bytes than its receiver takes.
    #[error("a frame of {claimed} bytes is over the limit of {limit}")]
    TooLong {
        /// What the header says.
        claimed: usize,
        /// What the receiver takes.
        limit: usize,
    },
    /// A frame without even a kind.
    #[error("an empty frame")]
    Empty,
    /// Cut short, over a bound, or not of this shape.
    #[error("the bytes are not of the shape that their kind demands")]
    Malformed,
    /// Bytes left over, or another encoding of the same value.
    #[error("the bytes are not the one encoding of their value")]
    NotCanonical,
}

/// A set of messages that travel one way, each with a kind of its own.
pub trait Message: Sized {
    /// Appends `kind` and body.
    fn encode_into(&self, bytes: &mut Vec<u8>);
    /// How many bytes that are.
    fn encoded_len(&self) -> usize;
    /// Decodes kind and body; `Ok(None)` for a kind this version does not know, which is to be passed over.
    ///
    /// # Errors
    /// [`DecodeError`] when the kind is known and the body isn't of its shape.
    fn decode_from(bytes: &[u8]) -> Result<Option<Self>, DecodeError>;
}

/// One message as a whole frame, header included.
///
/// # Panics
/// When the message is longer than any receiver takes: the bounds of its parts make that a bug of ours.
pub fn frame<M: Message>(message: &M) -> Vec<u8> {
    // A long frame that grew as it was written would be copied again at each turn.
    let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + message.encoded_len());
    bytes.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    message.encode_into(&mut bytes);
    let length = bytes.len() - FRAME_HEADER_BYTES;
    assert!(length <= FRAME_BYTES_MAX, "the bounds of wire types keep a frame within its limit");
    bytes[..FRAME_HEADER_BYTES].copy_from_slice(&(length as u32).to_be_bytes());
    bytes
}

/// How many bytes follow a frame's header, before any memory is taken for them.
///
/// # Errors
/// [`DecodeError::TooLong`] or [`DecodeError::Empty`].
pub fn frame_body_bytes(header: [u8; FRAME_HEADER_BYTES], limit: usize) -> Result<usize, DecodeError> {
    // A length that doesn't fit usize is over any limit as well.
    let claimed = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
    match claimed {
        0 => Err(DecodeError::Empty),
        _ if claimed > limit => Err(DecodeError::TooLong { claimed, limit }),
        _ => Ok(claimed),
    }
}

/// A value's one encoding.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// How long a value's encoding is, without making it.
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    crate::identity::encoded_len(value)
}

/// A value from exactly these bytes.
///
/// # Errors
/// [`DecodeError::Malformed`] or [`DecodeError::NotCanonical`].
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    let (value, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|_| DecodeError::Malformed)?;
    if !rest.is_empty() || !encodes_to(&value, bytes) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Gives each variant of a message enum its kind, in one table per direction.
macro_rules! messages {
    ($(#[$doc:meta])* $message:ident by $kind:ident { $($(#[$variant_doc:meta])* $variant:ident($body:ty)),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant, reason = "messages are handled one by one, never kept in numbers")]
        pub enum $message {
            $($(#[$variant_doc])* $variant($body)),+
        }

        impl $crate::wire::codec::Message for $message {
            fn encode_into(&self, bytes: &mut Vec<u8>) {
                match self {
                    $($message::$variant(body) => {
                        bytes.push($kind::$variant as u8);
                        $crate::identity::encode_into(body, bytes);
                    })+
                }
            }

            fn encoded_len(&self) -> usize {
                match self {
                    $($message::$variant(body) => 1 + $crate::identity::encoded_len(body),)+
                }
            }

            fn decode_from(bytes: &[u8]) -> Result<Option<Self>, $crate::wire::codec::DecodeError> {
                let (&kind, body) = bytes.split_first().ok_or($crate::wire::codec::DecodeError::Empty)?;
                $(if kind == $kind::$variant as u8 {
                    return $crate::wire::codec::decode(body).map(|body| Some($message::$variant(body)));
                })+
                Ok(None)
            }
        }
    };
}
pub(super) use messages;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Few;

    #[test]
    fn a_length_over_the_limit_is_refused_before_memory_is_taken() {
        let limit = 100;
        assert_eq!(frame_body_bytes(100u32.to_be_bytes(), limit), Ok(100));
        let over = frame_body_bytes(u32::MAX.to_be_bytes(), limit);
        assert_eq!(over, Err(DecodeError::TooLong { claimed: u32::MAX as usize, limit }));
        assert_eq!(frame_body_bytes([0; 4], limit), Err(DecodeError::Empty));
    }

    #[test]
    fn left_over_bytes_and_second_encodings_are_refused() {
        assert_eq!(decode::<u32>(&[5]), Ok(5));
        assert_eq!(decode::<u32>(&[5, 0]), Err(DecodeError::NotCanonical));
        // 5 as a varint of two bytes.
        assert_eq!(decode::<u32>(&[0x85, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u32>(&[]), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_claimed_count_takes_no_memory() {
        let claims_a_billion = [0x80, 0x94, 0xeb, 0xdc, 0x03];
        assert_eq!(decode::<Few<u64, 8>>(&claims_a_billion), Err(DecodeError::Malformed));
        assert_eq!(decode::<Few<u8, 2>>(&[3, 1, 1, 1]), Err(DecodeError::Malformed));
        assert_eq!(decode::<Few<u8, 3>>(&[3, 1, 1, 1]).map(Few::into_vec), Ok(vec![1, 1, 1]));
    }
}
