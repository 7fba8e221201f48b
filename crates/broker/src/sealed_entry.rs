//! Secrets of definitions on their way through the bucket: sealed before an entry is written, opened when
//! it is read. All else of a definition stays readable.

use hookrail_domain::secret::Secret;
use hookrail_domain::snapshot::{Definition, Entry};
use hookrail_keyring::{KeyRing, NONCE_BYTES, OpenError, Place, SealError, sealed_by};

/// Seals the secrets of an entry, whose values are in clear. `nonce` gives a random one each time.
///
/// # Errors
/// Where the ring is empty.
pub fn seal_entry(
    key_ring: &KeyRing,
    entry: &mut Entry,
    mut nonce: impl FnMut() -> [u8; NONCE_BYTES],
) -> Result<(), SealError> {
    for (id, value) in values_of(entry) {
        *value = key_ring.seal(Place::of_secret(&id), value.as_bytes(), nonce())?;
    }
    Ok(())
}

/// Seals what the newest key has not sealed, in an entry as it was stored. Gives how many that were.
///
/// # Errors
/// Where a value can't be opened; nothing may be written then.
pub fn reseal_entry(
    key_ring: &KeyRing,
    entry: &mut Entry,
    mut nonce: impl FnMut() -> [u8; NONCE_BYTES],
) -> Result<usize, OpenError> {
    let mut resealed = 0;
    for (id, value) in values_of(entry) {
        let Some(newest) = key_ring.sealing_key() else {
            break;
        };
        if sealed_by(value) == Some(newest) {
            continue;
        }
        let opened = key_ring.open(Place::of_secret(&id), value)?;
        let sealed = key_ring.seal(Place::of_secret(&id), &opened, nonce());
        *value = sealed.expect("the ring has a key, and what was opened is no larger than before");
        resealed += 1;
    }
    Ok(resealed)
}

/// Opens the secrets of an entry as it was stored.
pub(crate) fn open_entry(key_ring: &KeyRing, entry: &mut Entry) -> Result<(), OpenError> {
    for (id, value) in values_of(entry) {
        *value = key_ring.open_text(Place::of_secret(&id), value)?;
    }
    Ok(())
}

/// Which keys have sealed an entry's secrets; `None` for one in clear.
pub(crate) fn keys_of(entry: &mut Entry) -> Vec<Option<String>> {
    let keys = values_of(entry).into_iter();
    keys.map(|(_, value)| sealed_by(value).map(str::to_owned))
        .collect()
}

fn values_of(entry: &mut Entry) -> Vec<(String, &mut String)> {
    let Some(definition) = &mut entry.definition else {
        return Vec::new();
    };
    let secrets = secrets_of(definition).into_iter();
    secrets.filter_map(id_and_value).collect()
}

fn id_and_value(secret: &mut Secret) -> Option<(String, &mut String)> {
    let id = secret.id.map(|id| id.to_string()).unwrap_or_default();
    Some((id, secret.value.as_mut()?))
}

fn secrets_of(definition: &mut Definition) -> Vec<&mut Secret> {
    match definition {
        Definition::Source(source) | Definition::DeletedSource(source) => source.spec.secrets_mut(),
        Definition::Destination(destination) => destination.spec.secrets_mut(),
        Definition::Fetcher(fetcher) => fetcher.spec.secrets_mut(),
        Definition::Connection(connection) => connection.spec.secrets_mut(),
        Definition::Workspace(_) | Definition::Route(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use hookrail_domain::destination::{Destination, DestinationAuth, DestinationSpec};
    use hookrail_domain::ids::{DestinationId, SecretId, WorkspaceId};
    use hookrail_domain::snapshot::Key;
    use hookrail_keyring::key_line;

    use super::*;
    use crate::codec::{decode_entry, encode_entry};

    fn ring(ids: &[(&str, u8)]) -> KeyRing {
        let lines: Vec<String> = ids.iter().map(|(id, byte)| key_line(id, &[*byte; 32])).collect();
        KeyRing::parse(&lines.join("\n")).unwrap()
    }

    fn entry() -> Entry {
        let token = Secret {
            id: Some(SecretId::from_u128(5)),
            ..Secret::new("planted-token")
        };
        let id = DestinationId::from_u128(1);
        let destination = Destination {
            id,
            workspace: WorkspaceId::from_u128(2),
            spec: DestinationSpec {
                auth: DestinationAuth::Bearer { token },
                ..DestinationSpec::default()
            },
        };
        Entry {
            revision: 1,
            key: Key::Destination(id),
            definition: Some(Definition::Destination(Box::new(destination))),
        }
    }

    #[test]
    fn a_sealed_entry_shows_no_secret_and_opens_to_what_it_was() {
        let ring = ring(&[("k", 1)]);
        let mut sealed = entry();
        seal_entry(&ring, &mut sealed, || [9; NONCE_BYTES]).unwrap();
        let bytes = encode_entry(&sealed);
        assert!(!bytes.windows(13).any(|window| window == b"planted-token"));
        let mut read = decode_entry(&bytes).unwrap();
        assert_eq!(keys_of(&mut read), [Some("k".to_owned())]);
        open_entry(&ring, &mut read).unwrap();
        assert_eq!(read, entry());
    }

    #[test]
    fn an_entry_in_clear_is_read_and_sealed_when_it_is_written_again() {
        let (old, both) = (ring(&[("old", 1)]), ring(&[("new", 2), ("old", 1)]));
        let mut clear = entry();
        open_entry(&old, &mut clear).unwrap();
        assert_eq!(clear, entry());
        assert_eq!(reseal_entry(&old, &mut clear, || [1; NONCE_BYTES]), Ok(1));
        assert_eq!(reseal_entry(&both, &mut clear, || [2; NONCE_BYTES]), Ok(1));
        assert_eq!(keys_of(&mut clear), [Some("new".to_owned())]);
        assert_eq!(reseal_entry(&both, &mut clear, || [3; NONCE_BYTES]), Ok(0));
        let unknown = OpenError::UnknownKey("new".to_owned());
        assert_eq!(open_entry(&old, &mut clear), Err(unknown));
    }
}
