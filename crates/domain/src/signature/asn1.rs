//! As much of DER (X.690) as finds the public key in a SubjectPublicKeyInfo or a certificate.
//!
//! Certificates' chains and dates are not looked at: where one is trusted, it is for where it came from.

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// `[0] EXPLICIT`, the version of a certificate.
const VERSION: u8 = 0xa0;
/// Fields of a TBSCertificate between the version and the key (RFC 5280, section 4.1).
const BEFORE_KEY: usize = 5;

/// The key of a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
pub(super) fn key_of_spki(der: &[u8]) -> Option<&[u8]> {
    let (fields, rest) = enter(der, SEQUENCE)?;
    if !rest.is_empty() {
        return None;
    }
    let (_algorithm, rest) = enter(fields, SEQUENCE)?;
    let (bits, rest) = enter(rest, BIT_STRING)?;
    // No unused bits: keys are whole bytes.
    let key = bits.strip_prefix(&[0])?;
    rest.is_empty().then_some(key)
}

/// The key of a certificate.
pub(super) fn key_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = enter(der, SEQUENCE)?;
    let (mut fields, _) = enter(certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        fields = enter(fields, VERSION)?.1;
    }
    for _ in 0..BEFORE_KEY {
        fields = split(fields)?.2;
    }
    let (_, inside, rest) = split(fields)?;
    key_of_spki(&fields[..fields.len() - rest.len()]).filter(|_| !inside.is_empty())
}

/// What is inside of the first value, which has to be of this kind, and what follows it.
fn enter(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, inside, rest) = split(der)?;
    (found == tag).then_some((inside, rest))
}

/// The first value: its tag, what is inside, what follows.
fn split(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (inside, rest) = rest.split_at_checked(length)?;
    Some((tag, inside, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_and_what_is_cut_short_is_not() {
        // RFC 8410, section 10.1.
        let spki = data_encoding::HEXLOWER
            .decode(
                b"302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
            )
            .unwrap();
        let key = key_of_spki(&spki).unwrap();
        assert_eq!((key.len(), key[0]), (32, 0x19));
        for length in 0..spki.len() {
            assert_eq!(key_of_spki(&spki[..length]), None);
        }
        assert_eq!(key_of_spki(&[&spki[..], &[0]].concat()), None);
    }
}
