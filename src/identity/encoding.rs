//! A value's one encoding (postcard), without a buffer where none is needed: appended, compared or only measured.
//!
//! Chat spends much of its time here, since each entry is encoded to be named, checked, kept and sent.

use postcard::ser_flavors::Flavor;
use serde::Serialize;

/// Appends the encoding of `value`.
pub fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    put(value, Append(bytes));
}

/// How many bytes the encoding of `value` has.
pub fn encoded_len<T: Serialize>(value: &T) -> usize {
    put(value, Count(0))
}

/// Whether the encoding of `value` is exactly `bytes`.
pub fn encodes_to<T: Serialize>(value: &T, bytes: &[u8]) -> bool {
    put(value, Compare { rest: bytes, same: true })
}

fn put<T: Serialize, F: Flavor>(value: &T, flavor: F) -> F::Output {
    // Plain structs of sized fields: postcard has no way to fail on them.
    postcard::serialize_with_flavor(value, flavor).expect("wire types always encode")
}

struct Append<'b>(&'b mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

struct Count(usize);

impl Flavor for Count {
    type Output = usize;

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0 += data.len();
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, _data: u8) -> postcard::Result<()> {
        self.0 += 1;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.0)
    }
}

/// Goes along the bytes as they would be written.
struct Compare<'b> {
    rest: &'b [u8],
    same: bool,
}

impl Flavor for Compare<'_> {
    type Output = bool;

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        match self.rest.split_at_checked(data.len()) {
            Some((next, rest)) => {
                self.same &= next == data;
                self.rest = rest;
            }
            None => self.same = false,
        }
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        match self.rest {
            [next, rest @ ..] => {
                self.same &= *next == data;
                self.rest = rest;
            }
            [] => self.same = false,
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.same && self.rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_agree_with_postcard() {
        let value = (7u64, [1u8; 32], "words", vec![300u16, 2], Some(-5i32));
        let bytes = postcard::to_stdvec(&value).unwrap();
        let mut appended = vec![9];
        encode_into(&value, &mut appended);
        assert_eq!((appended[0], &appended[1..]), (9, &bytes[..]));
        assert_eq!(encoded_len(&value), bytes.len());
        assert!(encodes_to(&value, &bytes));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!encodes_to(&value, &other), "byte {at}");
            assert!(!encodes_to(&value, &bytes[..at]), "cut at {at}");
        }
        assert!(!encodes_to(&value, &[&bytes[..], &[0]].concat()));
    }
}
