//! The integers and strings of the protocol, written to a buffer and read from a packet.
//!
//! Everything is little-endian; a *length-encoded* integer takes 1, 3, 4 or 9 bytes. Reading never panics and
//! never reads outside the packet: what is too short is [`Malformed`].

use std::fmt;

/// A packet that does not hold what its kind promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed packet")
    }
}

impl std::error::Error for Malformed {}

/// Appends a length-encoded integer.
pub fn put_length(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=250 => out.push(bytes[0]),
        251..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends bytes behind their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends bytes and the zero that ends them.
pub fn put_terminated(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.push(0);
}

/// What of a packet has not been read yet.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Reads from the start of `packet`.
    #[must_use]
    pub fn new(packet: &'a [u8]) -> Fields<'a> {
        Fields { rest: packet }
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    /// A length-encoded integer.
    pub fn length(&mut self) -> Result<u64, Malformed> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            0xfc => self.u16().map(u64::from),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => self.u64(),
            _ => Err(Malformed),
        }
    }

    /// Bytes behind their length.
    pub fn counted(&mut self) -> Result<&'a [u8], Malformed> {
        let count = usize::try_from(self.length()?).map_err(|_| Malformed)?;
        self.bytes(count)
    }

    /// Bytes up to a zero, which is taken too.
    pub fn terminated(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
        let bytes = self.bytes(end)?;
        self.u8()?;
        Ok(bytes)
    }

    /// All that is left.
    #[must_use]
    pub fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths_come_back(value in prop_oneof![0u64..300, 0u64..0x1_0000_0000, any::<u64>()]) {
            let mut out = Vec::new();
            put_length(&mut out, value);
            let mut fields = Fields::new(&out);
            prop_assert_eq!(fields.length(), Ok(value));
            prop_assert!(fields.is_empty());
        }

        #[test]
        fn what_is_cut_off_is_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            put_bytes(&mut out, &bytes);
            for cut in 0..out.len() {
                prop_assert_eq!(Fields::new(&out[..cut]).counted(), Err(Malformed));
            }
            prop_assert_eq!(Fields::new(&out).counted(), Ok(&bytes[..]));
        }
    }
}
