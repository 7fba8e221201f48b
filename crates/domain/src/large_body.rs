//! Names of bodies in the object store: who a body belongs to, and a hash of its content, so that the
//! same body is put twice without harm, and another one never takes its place. Pure: nothing here
//! reads or writes.

use std::fmt::Display;

use crate::partition;

/// What stands between the owner and the rest.
const SEPARATOR: char = '.';
/// What stands between the hash and a delivery's generation.
const GENERATION: char = '-';

/// A hash of a body's content, as a token.
pub fn content_hash(bytes: &[u8]) -> String {
    partition::token(partition::hash(&[bytes]))
}

/// The name of the body of `owner`, an event or a delivery. A delivery that is sent again after its
/// death has its body under another name: the journal removes the old one when it likes.
pub fn object_name(owner: impl Display, bytes: &[u8], generation: u32) -> String {
    let hash = content_hash(bytes);
    match generation {
        0 => format!("{owner}{SEPARATOR}{hash}"),
        _ => format!("{owner}{SEPARATOR}{hash}{GENERATION}{generation}"),
    }
}

/// The owner in a name: the text of an event's or a delivery's id.
pub fn owner_in(name: &str) -> &str {
    name.split(SEPARATOR).next().unwrap_or_default()
}

/// The content's hash in a name.
pub fn hash_in(name: &str) -> &str {
    let rest = name.split(SEPARATOR).nth(1).unwrap_or_default();
    rest.split(GENERATION).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whose_body_it_is_and_which() {
        for generation in [0, 1, 12] {
            let name = object_name("dlv_1", b"{}", generation);
            assert_eq!(
                (owner_in(&name), hash_in(&name)),
                ("dlv_1", content_hash(b"{}").as_str())
            );
        }
        assert_ne!(object_name("dlv_1", b"{}", 0), object_name("dlv_1", b"[]", 0));
        assert_ne!(object_name("dlv_1", b"{}", 0), object_name("dlv_1", b"{}", 1));
        assert_eq!((owner_in(""), hash_in("")), ("", ""));
    }
}
